"""The request for a scheduled backfill: its checked conf, and the conf of the run that it triggers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from essay_cohorts.conf_checks import check_list, check_number, check_switch, unknown_keys, wrong
from essay_cohorts.domain import ID_RULE, is_id
from essay_cohorts.errors import Checked, Problem
from essay_cohorts.planning.request import parse_request

TOP_N = (1, 1_000)
# The cohort's id, the prefix with the time after it, must not exceed the limit of an id.
LONGEST_PREFIX = 84
# The default limit of requests for a scheduled run, which nobody watches.
MOST_LLM_CALLS = 500
# These settings are passed on to the triggered run, with the same names and limits.
PASSED_ON = ("max_concurrency", "max_llm_calls", "max_cost_usd", "max_unscored", "retry_unscored", "changed_inputs")


@dataclass(frozen=True, kw_only=True, slots=True)
class ScheduledRequest:
    """Rank by the baseline template, take the best `top_n`, judge those that the target has not fully judged.

    `average_models` names the models that rank (None: all models for evaluation). `passed_on` has settings of
    `evaluation_backfill`.
    """

    cohort_prefix: str = "scheduled"
    baseline_template: str = "novelty"
    target_template: str = "coherence"
    top_n: int = 30
    average_models: tuple[str, ...] | None = None
    any_model: bool = False
    retry_unscored: bool = False
    passed_on: Mapping[str, Any]

    def cohort_id(self, moment: datetime) -> str:
        """Return the id of this moment's cohort: the prefix and the time in UTC, to the second."""
        return f"{self.cohort_prefix}_{moment.astimezone(UTC):%Y%m%dT%H%M%S}"

    def conf(self, cohort_id: str, essay_ids: Sequence[str]) -> dict[str, Any]:
        """Return the conf for `evaluation_backfill` that judges these essays."""
        selection = {"cohort_id": cohort_id, "essay_ids": list(essay_ids), "templates": [self.target_template]}
        return {**self.passed_on, **selection}


OWN_KEYS = tuple(field.name for field in fields(ScheduledRequest) if field.name != "passed_on")
KEYS = (*OWN_KEYS, *(key for key in PASSED_ON if key not in OWN_KEYS))


def parse_scheduled_request(conf: Mapping[str, Any], place: str = "conf") -> Checked[ScheduledRequest]:
    """Check a conf: unknown keys, types, limits. A key that is absent or null gets its default.

    Only for `max_llm_calls` null means no cap; when the key is absent, the cap is MOST_LLM_CALLS.
    """
    problems = list(unknown_keys(conf, KEYS, place))
    conf = {"max_llm_calls": MOST_LLM_CALLS, **conf}
    given = {key: value for key, value in conf.items() if key in KEYS and value is not None}
    passed_on = {key: value for key, value in given.items() if key in PASSED_ON}
    problems += parse_request(passed_on, place).problems
    values: dict[str, Any] = {}
    for key in (key for key in OWN_KEYS if key in given):
        found = tuple(_check(key, given[key], f"{place}: {key}"))
        problems += (problem for problem in found if key not in PASSED_ON)
        if not found:
            values[key] = tuple(given[key]) if isinstance(given[key], list) else given[key]
    return Checked(value=ScheduledRequest(passed_on=passed_on, **values), problems=tuple(problems))


def _check(key: str, given: Any, place: str) -> Iterator[Problem]:
    if key == "top_n":
        yield from check_number(given, *TOP_N, place)
    elif key == "average_models":
        yield from check_list(given, place, ids_only=False)
    elif key in ("any_model", "retry_unscored"):
        yield from check_switch(given, place)
    elif not is_id(given):
        yield wrong(place, given, ID_RULE)
    elif key == "cohort_prefix" and len(given) > LONGEST_PREFIX:
        yield wrong(place, given, f"Write at most {LONGEST_PREFIX} characters, because the time follows them.")
