"""Creates a data root, and brings people's essays, scores, templates and judges into it."""
