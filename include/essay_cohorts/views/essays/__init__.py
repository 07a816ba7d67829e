"""What the pages show of essays: lists, texts, and everybody's scores of one essay."""
