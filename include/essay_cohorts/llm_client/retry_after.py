"""How long a server asks to wait: the headers `retry-after-ms` and `Retry-After`, as servers really write them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

_AMOUNT = re.compile(
    r"(?P<number>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|inf)\s*(?P<unit>ms|s|m)?", re.IGNORECASE
)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0}


def retry_after_s(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds to wait from `now` (s since 1970); None when no header says, or none can be read.

    Where one header cannot be read the other one counts. The names are in lower case.
    """
    waits = (_seconds(headers.get("retry-after-ms"), "ms", now), _seconds(headers.get("retry-after"), "s", now))
    return next((wait for wait in waits if wait is not None), None)


def _seconds(value: str | None, unit: str, now: float) -> float | None:
    """Return a number, with a unit or in `unit`, or an HTTP date."""
    text = (value or "").strip()
    amount = _AMOUNT.fullmatch(text)
    if amount:
        wait = float(amount["number"]) * _SECONDS[(amount["unit"] or unit).lower()]
    else:
        try:
            wait = parsedate_to_datetime(text).timestamp() - now
        except ValueError:
            return None
    return max(0.0, wait)
