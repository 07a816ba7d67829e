"""Coordinates processes through one SQL database: turns to plan, living callers, announcements."""
