"""Child processes that are started together, watched, and stopped when their owner ends in any way."""
