"""Stored replies, scored again by today's parsers, without a call."""
