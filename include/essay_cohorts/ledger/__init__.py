"""Coordinates processes through one SQL database: turns, slots, living callers, announcements."""
