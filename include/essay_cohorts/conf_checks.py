"""Checks that the confs of all DAGs share: unknown keys, switches, numbers, lists."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from essay_cohorts.domain import ID_RULE, is_id, one_form
from essay_cohorts.errors import Problem, choose_from


def unknown_keys(conf: Mapping[str, Any], known: Collection[str], place: str) -> Iterator[Problem]:
    """Yield a problem for each key that is not the name of a setting. Airflow itself ignores such a key."""
    for key in conf:
        if key not in known:
            finding = "there is no such setting, and it would have been ignored."
            yield Problem(place=f"{place}: {key}", finding=finding, next_step=choose_from(key, known))


def check_switch(given: Any, place: str) -> Iterator[Problem]:
    """Yield a problem unless the value is true or false."""
    if not isinstance(given, bool):
        yield wrong(place, given, "Write true or false.")


def check_number(given: Any, low: int, high: int, place: str) -> Iterator[Problem]:
    """Yield a problem unless the value is a whole number from `low` to `high`."""
    if isinstance(given, bool) or not isinstance(given, int) or not low <= given <= high:
        yield wrong(place, given, f"Write a whole number from {low} to {high}.")


def check_list(given: Any, place: str, *, ids_only: bool) -> Iterator[Problem]:
    """Yield a problem unless the value is a non-empty list of different texts, which are ids with `ids_only`."""
    if not isinstance(given, list | tuple) or not given:
        yield wrong(place, given, 'Write a list with at least one entry, like ["a", "b"], or leave it out.')
        return
    seen: set[object] = set()
    for position, entry in enumerate(given, start=1):
        here = f"{place}, entry {position}"
        if not isinstance(entry, str) or not entry.strip() or (ids_only and not is_id(entry)):
            yield wrong(here, entry, ID_RULE if ids_only else "Write a model's id as a text that is not empty.")
        elif one_form(entry) in seen:
            yield Problem(place=here, finding=f"{entry} is listed twice.", next_step="Delete one.")
        else:
            seen.add(one_form(entry))


def wrong(place: str, given: Any, next_step: str) -> Problem:
    """Return the problem of a value that is not valid."""
    return Problem(place=place, finding=f"{given!r} is not valid.", next_step=next_step)
