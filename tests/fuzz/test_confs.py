"""Fuzz tests of confs and the environment: each value is accepted, or the problem names its key."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from essay_cohorts.errors import BadInput, Problem
from essay_cohorts.planning.request import parse_request
from essay_cohorts.settings import read_settings
from tests.fuzz import fuzzed
from tests.fuzz.near_misses import (
    GOOD_IDS,
    ODD_IDS,
    ids,
    is_readable,
    may_be_an_id,
    odd_texts,
    odd_values,
    with_slips,
)

WHOLE_NUMBERS = {
    "replicates": (1, 1000),
    "max_concurrency": (1, 500),
    "batch_size": (1, 100_000),
    "max_unscored": (0, 1_000_000),
}
YES_OR_NO = ("include_existing_evaluations", "retry_unscored", "dry_run")
LISTS = ("essay_ids", "templates", "models")
KEYS = (*WHOLE_NUMBERS, *YES_OR_NO, *LISTS, "mode", "cohort_id")
MODES = ("evaluation-only", "evaluations-only", "reuse-essays", "reuse_essays")
DEFAULTS = {
    **dict.fromkeys(KEYS),
    "max_concurrency": 16,
    "max_unscored": 0,
    "retry_unscored": False,
    "dry_run": False,
}

numbers = st.one_of(
    *(st.sampled_from([low - 1, low, high, high + 1, float(low)]) for low, high in WHOLE_NUMBERS.values())
)
lists = st.one_of(
    st.lists(ids, max_size=3), st.lists(st.sampled_from(GOOD_IDS), max_size=3), st.lists(odd_values, max_size=2)
)
modes = st.one_of(
    st.sampled_from([*MODES, "Evaluation-Only ", "regenerate", "reuse-drafts", "evaluation_only", ""]),
    with_slips(st.sampled_from(MODES)),
)
values = st.one_of(odd_values, numbers, lists, modes, st.booleans())
near_values = {
    **dict.fromkeys(WHOLE_NUMBERS, numbers),
    **dict.fromkeys(YES_OR_NO, st.booleans()),
    **dict.fromkeys(LISTS, lists),
    "mode": modes,
    "cohort_id": ids,
}
wrong_keys = st.one_of(
    st.sampled_from(
        ["dryrun", "dry-run", "DRY_RUN", "cohort", "", "../x", "essay_ids, entry 1", "__class__", "\ud800"]
    ),
    with_slips(st.sampled_from(KEYS), most=1),
    odd_texts(20),
)
confs = st.builds(
    lambda near, odd, strange: {**near, **odd, **strange},
    st.fixed_dictionaries({}, optional=near_values),
    st.dictionaries(st.sampled_from(KEYS), values, max_size=2),
    st.dictionaries(wrong_keys, values, max_size=1),
)


@fuzzed("confs")
@given(confs)
@example({"essay_ids": ["../x"], "cohort_id": "../x", "templates": ["../../etc/passwd"]}).via("ids that are paths")
@example({"models": ["\ud800", "\ud800"]}).via("a lone surrogate that is listed twice")
@example({"models": ["e\u0301a"]}).via("an accent of its own")
def test_each_key_is_taken_or_named(conf: dict[str, Any]) -> None:
    """A key's value is taken as it stands when it may be, else a readable problem names the key."""
    checked = parse_request(conf)
    wrong = {key for key, value in conf.items() if not may_be(key, value)}
    assert {key for key in wrong if not any(is_about(problem, key) for problem in checked.problems)} == set()
    for problem in checked.problems:
        assert any(is_about(problem, key) for key in wrong)
        assert is_readable(str(problem))
    for key in KEYS:
        given_value = None if key in wrong else conf.get(key)
        assert getattr(checked.value, key) == (DEFAULTS[key] if given_value is None else as_taken(key, given_value))


def may_be(key: str, value: Any) -> bool:
    """Return True if the docs of the DAG's params allow the value; with null the value comes from the file."""
    if key in KEYS and value is None:
        return True
    if key in WHOLE_NUMBERS:
        low, high = WHOLE_NUMBERS[key]
        return type(value) is int and low <= value <= high
    if key in YES_OR_NO:
        return type(value) is bool
    if key in LISTS:
        return (
            isinstance(value, list) and value != [] and all_different(value) and all(may_be_in(key, v) for v in value)
        )
    if key == "mode":
        return isinstance(value, str) and value.strip().lower() in MODES
    return key == "cohort_id" and may_be_an_id(value)


def may_be_in(key: str, entry: Any) -> bool:
    return isinstance(entry, str) and entry.strip() != "" and (key == "models" or may_be_an_id(entry))


def all_different(values: list[Any]) -> bool:
    return all(value not in values[:position] for position, value in enumerate(values))


def as_taken(key: str, value: Any) -> Any:
    if key == "mode":
        return "evaluation-only"
    if not isinstance(value, list):
        return value
    # Ids are compared in composed form.
    return tuple(unicodedata.normalize("NFC", each) for each in value)


def is_about(problem: Problem, key: str) -> bool:
    return problem.place == f"conf: {key}" or problem.place.startswith(f"conf: {key}, entry ")


@fuzzed("environment")
@given(st.one_of(ids, odd_texts(20), st.sampled_from([*ODD_IDS, "NONE", " c ", "False", "null", "0", "O"])))
def test_the_environment_names_a_cohort_or_is_refused(tmp_path: Path, cohort: str) -> None:
    """DD_COHORT names no cohort, or one that may be a folder; anything else is bad input that names the variable."""
    wanted = cohort.strip()
    environment = {"DD_DATA_ROOT": str(tmp_path), "DD_COHORT": cohort}
    if wanted.lower() in ("", "0", "false", "none", "null"):
        assert read_settings(environment).cohort_id is None
    elif may_be_an_id(wanted):
        assert read_settings(environment).cohort_id == wanted
    else:
        with pytest.raises(BadInput, match="DD_COHORT") as caught:
            read_settings(environment)
        assert is_readable(str(caught.value))
