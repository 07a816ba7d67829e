"""Reads the wait that a server asks for in `retry-after-ms` or `Retry-After`, in the formats that servers use.

The proxy LiteLLM passes on the headers of the server behind it under names of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

_AMOUNT = re.compile(
    r"(?P<number>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|inf)\s*(?P<unit>ms|s|m)?", re.IGNORECASE
)
_HEADERS = (
    ("retry-after-ms", "ms"),
    ("retry-after", "s"),
    ("llm_provider-retry-after-ms", "ms"),
    ("llm_provider-retry-after", "s"),
)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0}


def retry_after_s(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds to wait from `now` (s since 1970); None if no header can be read.

    The first header that can be read counts. The names in `headers` must be in lower case.
    """
    waits = (_seconds(headers.get(name), unit, now) for name, unit in _HEADERS)
    return next((wait for wait in waits if wait is not None), None)


def _seconds(value: str | None, unit: str, now: float) -> float | None:
    """Return the seconds in a header: a number, in `unit` if it has no unit of its own, or an HTTP date."""
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
