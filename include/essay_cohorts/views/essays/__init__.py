"""What the pages and commands show of essays: titles, lists, texts, and everybody's scores of one essay."""
