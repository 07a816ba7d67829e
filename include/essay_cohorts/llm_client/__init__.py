"""One request to an LLM's API: sent, answered, retried, slowed down, and explained if it fails."""
