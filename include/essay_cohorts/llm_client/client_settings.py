"""The rules for calls, as a Connection's extra sets them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from essay_cohorts.errors import Checked, Problem, choose_from, closest


@dataclass(frozen=True, kw_only=True, slots=True)
class CallRules:
    """Timeouts (s, each for one request), the number of requests a call may make, and the waits between them (s).

    A call fails if the server asks for a longer wait than `longest_retry_after_s`. A slice waits at most
    `elsewhere_wait_s` in all for evaluations that other runs are calling for.
    """

    connect_timeout_s: float = 5.0
    read_timeout_s: float = 120.0
    total_timeout_s: float = 300.0
    max_attempts: int = 5
    first_wait_s: float = 1.0
    longest_wait_s: float = 30.0
    longest_retry_after_s: float = 120.0
    elsewhere_wait_s: float = 600.0


def read_call_rules(extra: Mapping[str, Any], place: str) -> Checked[CallRules]:
    """Return the rules that a Connection's extra sets; a key that is not set keeps its default."""
    names = [field.name for field in fields(CallRules)]
    problems: list[Problem] = []
    values: dict[str, Any] = {}
    for key, value in extra.items():
        here = f"{place}: {key}"
        whole = key == "max_attempts"
        if key not in names:
            # Other keys of the extra are for Airflow's hook, but a key that resembles one of these is a mistake.
            if closest(key, names) is not None or key.startswith("max_") or key.endswith("_s"):
                finding, next_step = "there is no such setting.", choose_from(key, names)
                problems.append(Problem(place=here, finding=finding, next_step=next_step))
        elif isinstance(value, bool) or not isinstance(value, int if whole else int | float) or not 0 < value <= 3600:
            next_step = f"Write a {'whole number' if whole else 'number'} above 0 and up to 3600."
            problems.append(Problem(place=here, finding=f"{value!r} is not valid.", next_step=next_step))
        else:
            values[key] = value if whole else float(value)
    return Checked(value=CallRules(**values), problems=tuple(problems))
