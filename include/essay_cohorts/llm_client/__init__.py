"""Sends one request to an LLM's API: retries it, slows down when told to, and explains its failure."""
