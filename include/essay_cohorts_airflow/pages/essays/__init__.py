"""The pages of essays, and Markdown of essays and replies as HTML."""
