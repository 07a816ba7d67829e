"""Scores stored replies again with today's parsers, without a call."""
