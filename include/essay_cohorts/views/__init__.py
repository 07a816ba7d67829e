"""Reads the store and prepares what the pages and the commands show."""
