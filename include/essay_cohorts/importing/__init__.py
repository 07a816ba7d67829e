"""Creates a data root, and brings people's essays, templates and judges into it."""
