"""The conf of a scheduled backfill: all mistakes are named at once, and passed-on settings keep their limits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from essay_cohorts.domain import is_id
from essay_cohorts.planning.request import parse_request
from essay_cohorts.selecting.scheduled_request import (
    LONGEST_PREFIX,
    MOST_LLM_CALLS,
    ScheduledRequest,
    parse_scheduled_request,
)

NIGHT = datetime(2026, 1, 31, 3, 0, 5, tzinfo=UTC)


def test_an_empty_conf_has_the_defaults_of_select_missing() -> None:
    """The defaults are the thirty best by novelty, for coherence, all models, and a cap on the calls."""
    checked = parse_scheduled_request({})
    assert checked.problems == ()
    assert checked.value == ScheduledRequest(passed_on={"max_llm_calls": MOST_LLM_CALLS})
    request = checked.value
    assert (request.baseline_template, request.target_template, request.top_n) == ("novelty", "coherence", 30)


def test_the_cohort_is_named_after_the_moment_in_utc() -> None:
    """The same instant gives the same id in every time zone."""
    request = parse_scheduled_request({"cohort_prefix": "nightly"}).value
    elsewhere = NIGHT.astimezone(timezone(timedelta(hours=9)))
    assert request.cohort_id(NIGHT) == request.cohort_id(elsewhere) == "nightly_20260131T030005"


def test_the_longest_prefix_still_makes_an_id() -> None:
    """The limit of the prefix leaves room for the time."""
    request = parse_scheduled_request({"cohort_prefix": "p" * LONGEST_PREFIX})
    assert request.problems == ()
    assert is_id(request.value.cohort_id(NIGHT))
    assert not is_id(f"p{request.value.cohort_id(NIGHT)}")


def test_the_triggered_conf_is_valid_for_a_backfill() -> None:
    """The conf has essays, template, cohort and the passed-on settings, without those that are null."""
    given = {"target_template": "t2", "max_cost_usd": 2.5, "max_llm_calls": None, "retry_unscored": True}
    conf = parse_scheduled_request(given).value.conf("c_1", ["e_1", "e_2"])
    assert conf == {
        "cohort_id": "c_1",
        "essay_ids": ["e_1", "e_2"],
        "templates": ["t2"],
        "max_cost_usd": 2.5,
        "retry_unscored": True,
    }
    assert parse_request(conf).problems == ()


@pytest.mark.parametrize(
    ("conf", "messages"),
    [
        pytest.param({"top": 5}, ["conf: top: there is no such setting", 'Did you mean "top_n"?'], id="unknown"),
        pytest.param({"essay_ids": ["e_1"]}, ["conf: essay_ids: there is no such setting"], id="another-dag-s"),
        pytest.param({"top_n": 0}, ["conf: top_n: 0 is not valid. Write a whole number from 1 to 1000."], id="none"),
        pytest.param({"top_n": True}, ["conf: top_n: True is not valid"], id="no-number"),
        pytest.param(
            {"any_model": "yes"}, ["conf: any_model: 'yes' is not valid. Write true or false."], id="switch"
        ),
        pytest.param({"retry_unscored": 1}, ["conf: retry_unscored: 1 is not valid"], id="passed-on-switch"),
        pytest.param({"average_models": []}, ["conf: average_models: [] is not valid"], id="no-model"),
        pytest.param({"average_models": ["m", "m"]}, ["entry 2: m is listed twice"], id="twice"),
        pytest.param({"target_template": "../x"}, ["conf: target_template: '../x' is not valid"], id="path"),
        pytest.param({"cohort_prefix": "p" * 85}, ["Write at most 84 characters"], id="long-prefix"),
        pytest.param({"max_concurrency": 0}, ["conf: max_concurrency: 0 is not valid"], id="passed-on"),
        pytest.param(
            {"top_n": 0, "tpo": 1, "max_cost_usd": -1},
            ["conf: top_n:", "conf: tpo:", "conf: max_cost_usd:"],
            id="all-at-once",
        ),
    ],
)
def test_bad_settings_are_named(conf: dict[str, Any], messages: list[str]) -> None:
    """Each problem names the key, the finding and the next step, and appears once."""
    problems = [str(problem) for problem in parse_scheduled_request(conf).problems]
    for part in messages:
        assert sum(part in problem for problem in problems) == 1
    assert len(problems) == len(conf)
