"""The time, as the store's files have it."""

from __future__ import annotations

import pendulum


def now() -> str:
    """The time in UTC, ISO 8601."""
    return pendulum.now("UTC").to_iso8601_string()
