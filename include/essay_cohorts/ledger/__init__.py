"""Coordinates processes in a SQL database: who works on what, what is spent, how fast to ask judges."""
