"""The time, as the store's files have it."""

from __future__ import annotations

import pendulum

# A worker's clock and that of the disk that it writes to differ by less than this, in ns.
_CLOCKS_DIFFER_NS = 60 * 10**9


def now() -> str:
    """Return the time in UTC, ISO 8601."""
    return pendulum.now("UTC").to_iso8601_string()


def is_surely_older(changed_at: int, read_at: int) -> bool:
    """Return True when a file that changed at `changed_at` did so before `read_at`, whichever clocks told.

    Both in ns.

    The one rule by which a table of scores may stand in for the files that it was made from.
    """
    return changed_at + _CLOCKS_DIFFER_NS < read_at
