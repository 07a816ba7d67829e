"""Reads and checks the conf of a trigger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from essay_cohorts.conf_checks import check_list, check_number, check_switch, unknown_keys, wrong
from essay_cohorts.domain import ID_RULE, ChangedInputs, is_id, one_form
from essay_cohorts.errors import Checked, Problem, choose_from
from essay_cohorts.planning.selection_file import EVALUATION_ONLY, read_mode

LIMITS = {
    "replicates": (1, 1000),
    "max_concurrency": (1, 500),
    "batch_size": (1, 100_000),
    "max_unscored": (0, 1_000_000),
    "max_llm_calls": (1, 10_000_000),
}
COST_USD = (0.000001, 1_000_000)


@dataclass(frozen=True, kw_only=True, slots=True)
class CohortRequest:
    """The conf of one run; for a key that is None, the selection file, the environment or the catalog decides."""

    cohort_id: str | None = None
    essay_ids: tuple[str, ...] | None = None
    mode: str | None = None
    include_existing_evaluations: bool | None = None
    templates: tuple[str, ...] | None = None
    models: tuple[str, ...] | None = None
    replicates: int | None = None
    max_concurrency: int = 16
    batch_size: int | None = None
    retry_unscored: bool = False
    max_unscored: int = 0
    max_llm_calls: int | None = None
    max_cost_usd: float | None = None
    changed_inputs: str | None = None
    dry_run: bool = False


_MODE_STEP = f'Write "{EVALUATION_ONLY}", or leave mode out.'

KEYS = tuple(field.name for field in fields(CohortRequest))


def parse_request(conf: Mapping[str, Any], place: str = "conf") -> Checked[CohortRequest]:
    """Check a conf: unknown keys, types and limits. A key that is missing or null gets its default."""
    problems = list(unknown_keys(conf, KEYS, place))
    values: dict[str, Any] = {}
    for key in KEYS:
        given = conf.get(key)
        if given is None:
            continue
        found = tuple(_check(key, given, f"{place}: {key}"))
        problems += found
        if not found:
            values[key] = _canonical(key, given)
    return Checked(value=CohortRequest(**values), problems=tuple(problems))


def _check(key: str, given: Any, place: str) -> Iterator[Problem]:
    if key in LIMITS:
        yield from check_number(given, *LIMITS[key], place)
    elif key == "max_cost_usd":
        low, high = COST_USD
        if isinstance(given, bool) or not isinstance(given, int | float) or not low <= given <= high:
            yield wrong(place, given, f"Write an amount in USD from {low:.6f} to {high:,}.")
    elif key in ("essay_ids", "templates", "models"):
        yield from check_list(given, place, ids_only=key != "models")
    elif key in ("include_existing_evaluations", "retry_unscored", "dry_run"):
        yield from check_switch(given, place)
    elif key == "changed_inputs":
        if given not in list(ChangedInputs):
            yield wrong(place, given, choose_from(str(given), list(ChangedInputs)))
    elif key == "mode":
        yield from read_mode(given, place).problems if isinstance(given, str) else (wrong(place, given, _MODE_STEP),)
    elif not is_id(given):
        yield wrong(place, given, ID_RULE)


def _canonical(key: str, given: Any) -> Any:
    if isinstance(given, list):
        return tuple(map(one_form, given))
    return read_mode(given, key).value if key == "mode" else given
