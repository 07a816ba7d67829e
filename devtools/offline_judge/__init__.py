"""An LLM server without a model: it answers at once, always with the same scores, and costs nothing."""
