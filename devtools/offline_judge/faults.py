"""The fault rules of the offline judge: their keys, their checks, and the calls that they apply to."""

import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from devtools.offline_judge.answers import NOTICE, Answer, Call, error_answer

_PROSE = "The offline judge is not a model and was told to ramble. An essay is a fine thing to have written."
CANNED = {"truncate": (NOTICE, "length"), "garbage": (_PROSE, "stop"), "empty": ("", "stop")}

Kind = tuple[str, Callable[[Any], bool]]
"""The requirement on the value of one key of a fault rule, in words and as a check."""

_TEXT: Kind = ("a text", lambda v: isinstance(v, str))
_COUNT: Kind = ("a whole number from 0", lambda v: type(v) is int and v >= 0)
_STATUS: Kind = ("a status from 400 to 599", lambda v: type(v) is int and 400 <= v < 600)
_SECONDS: Kind = ("a number of seconds from 0", lambda v: type(v) in (int, float) and 0 <= v < math.inf)
_HEADER: Kind = ("printable ASCII text", lambda v: isinstance(v, str) and v.isascii() and v.isprintable())

_CHANCE: Kind = ("a number from 0 to 1", lambda v: type(v) in (int, float) and 0 <= v <= 1)
_RATE: Kind = ("a whole number from 1", lambda v: type(v) is int and v >= 1)

_MATCHING = {"fault": _TEXT, "contains": _TEXT, "times": _COUNT, "model": _TEXT, "chance": _CHANCE, "seed": _COUNT}
_FAULTS: dict[str, dict[str, Kind]] = {
    "status": {"status": _STATUS, "message": _TEXT, "retry_after": _SECONDS, "retry_after_raw": _HEADER},
    "latency": {"seconds": _SECONDS},
    "rate_limit": {"per_second": _RATE, "retry_after": _SECONDS},
    "length": {"most_tokens": _COUNT},
    "reply": {"content": _TEXT, "finish_reason": _TEXT, "requested_model": _TEXT},
} | {fault: {} for fault in ("hang", "disconnect", *CANNED)}
_NEEDED = {
    ("status", "status"),
    ("latency", "seconds"),
    ("reply", "content"),
    ("rate_limit", "per_second"),
    ("length", "most_tokens"),
}


def rule_problems(index: int, rule: Any) -> list[str]:
    """Return one sentence for each mistake in a rule; `index` counts from 0, and a null counts as a missing key."""
    if not isinstance(rule, dict):
        return [f"Rule {index} is not a JSON object."]
    fault = rule.get("fault")
    if not isinstance(fault, str) or fault not in _FAULTS:
        return [f"Rule {index} has no known 'fault': {fault!r}. Known faults: {', '.join(_FAULTS)}."]
    place, kinds = f"Rule {index} ({fault})", _MATCHING | _FAULTS[fault]
    unknown = [key for key in rule if key not in kinds]
    problems = [f"{place} has the unknown key {key!r}. Known keys: {', '.join(kinds)}." for key in unknown]
    for key, (words, holds) in kinds.items():
        value = rule.get(key)
        if (fault, key) in _NEEDED if value is None else not holds(value):
            problems.append(f"{place} needs {words} in {key!r}, not {value!r}.")
    return problems


@dataclass(kw_only=True, slots=True)
class Rule:
    """One checked fault rule: its keys as they were sent, and how often it was applied."""

    keys: dict[str, Any]
    fired: int = 0
    granted: deque[float] = field(default_factory=deque)
    chances: Random = field(init=False)

    def __post_init__(self) -> None:
        self.chances = Random(self.keys.get("seed") or 0)  # noqa: S311  (made-up faults)

    def applies_to(self, call: Call) -> bool:
        """Return whether the call matches and the rule is not used up."""
        if self.keys.get("times") is not None and self.fired >= self.keys["times"]:
            return False
        model = self.keys.get("requested_model" if self.keys["fault"] == "reply" else "model")
        if model not in (None, call.model) or (self.keys.get("contains") or "") not in call.prompt:
            return False
        if self.keys.get("chance") is not None and self.chances.random() >= self.keys["chance"]:
            return False
        return self.keys["fault"] != "rate_limit" or self._exceeds_rate(time.monotonic())

    def _exceeds_rate(self, now: float) -> bool:
        """Return whether `per_second` requests were granted within the last second; otherwise grant this request."""
        while self.granted and self.granted[0] <= now - 1:
            self.granted.popleft()
        if len(self.granted) >= self.keys["per_second"]:
            return True
        self.granted.append(now)
        return False

    def prose(self) -> str:
        """Return a text of random length, up to `most_tokens`, to put before a score."""
        return "Bla " * self.chances.randint(0, self.keys["most_tokens"])


def status_answer(keys: Mapping[str, Any]) -> Answer:
    """Make the error answer of a rule with a `status`, with Retry-After when the rule has one."""
    waits = [keys[key] for key in ("retry_after_raw", "retry_after") if keys.get(key) is not None]
    message = keys.get("message") or f"A fault rule of the offline judge answers {keys['status']}."
    return error_answer(keys["status"], message, {"Retry-After": str(waits[0])} if waits else None)
