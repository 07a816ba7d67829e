"""Child processes that start together, are watched, and never outlive their owner."""
