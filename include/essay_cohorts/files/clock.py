"""The current time in the format of the store, and the comparison of file times."""

from __future__ import annotations

from datetime import date

import pendulum

# The clock of a worker and the clock of its disk differ by less than this, in ns.
_CLOCKS_DIFFER_NS = 60 * 10**9


def now() -> str:
    """Return the current time in UTC, ISO 8601."""
    return pendulum.now("UTC").to_iso8601_string()


def today() -> str:
    """Return the current day in UTC, such as 2026-01-31."""
    return pendulum.now("UTC").to_date_string()


def first_of_month(day: str) -> str:
    """Return the first day of the month of a day such as 2026-01-31."""
    return f"{day[:-2]}01"


def is_day(text: str) -> bool:
    """Return True for a day such as 2026-01-31."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def minutes_ago(minutes: int) -> str:
    """Return the time so many minutes ago, in the form of `now`."""
    return pendulum.now("UTC").subtract(minutes=minutes).to_iso8601_string()


def is_surely_older(changed_at: int, read_at: int) -> bool:
    """Return True if a file changed at `changed_at` before `read_at`, even if the times are of different clocks.

    Both times are in ns since 1970. A table of scores may replace the files that it was made from only by this rule.
    """
    return changed_at + _CLOCKS_DIFFER_NS < read_at
