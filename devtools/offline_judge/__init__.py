"""An LLM server that is not a model: it answers at once, the same each time, and for nothing."""
