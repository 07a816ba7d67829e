"""The scheduled DAG's contract: when it runs, what its form offers, and in which order it works."""

import itertools
import json
from typing import Any

import pytest

from essay_cohorts.planning.request import CohortRequest
from essay_cohorts.selecting.scheduled_request import KEYS, LONGEST_PREFIX, MOST_LLM_CALLS, TOP_N, ScheduledRequest
from tests.dags.conftest import parse_folder

DEFAULTS = {**{key: getattr(CohortRequest(), key) for key in KEYS if hasattr(CohortRequest(), key)}} | {
    key: getattr(ScheduledRequest(passed_on={}), key) for key in KEYS if hasattr(ScheduledRequest(passed_on={}), key)
}
DEFAULTS["max_llm_calls"] = MOST_LLM_CALLS


@pytest.fixture
def dag(dag_folder: dict[str, Any]) -> dict[str, Any]:
    """The DAG as a fresh process parses it."""
    found: dict[str, Any] = dag_folder["dags"]["scheduled_backfill"]
    return found


def test_it_runs_by_the_clock_but_only_once_somebody_wants_it(dag: dict[str, Any]) -> None:
    """A cron schedule, nothing caught up, one run at a time, and paused at first."""
    assert (dag["schedule"], dag["timetable"]) == ("0 3 * * *", "CronTriggerTimetable")
    assert (dag["catchup"], dag["max_active_runs"], dag["paused"]) == (False, 1, True)


def test_the_tasks_stand_in_the_promised_order(dag: dict[str, Any]) -> None:
    """Wait for earlier runs, aggregate, select, trigger, report."""
    order = ["earlier_runs_done", "aggregate", "select_missing", "trigger_backfill", "report"]
    assert sorted(dag["edges"]) == sorted(order)
    for earlier, later in itertools.pairwise(order):
        assert dag["edges"][earlier] == [later]
    assert set(dag["rules"].values()) == {"all_success"}


def test_the_form_offers_the_settings_with_their_defaults(dag: dict[str, Any]) -> None:
    """The params are exactly the conf's keys; each has a title, a help text and the limits of the check."""
    assert {key: param["default"] for key, param in dag["params"].items()} == {key: DEFAULTS[key] for key in KEYS}
    for param in dag["params"].values():
        assert param["schema"]["title"]
        assert len(param["help"]) > 20
    schema = dag["params"]["top_n"]["schema"]
    assert (schema["minimum"], schema["maximum"]) == TOP_N
    assert f"{{0,{LONGEST_PREFIX - 1}}}" in dag["params"]["cohort_prefix"]["schema"]["pattern"]


def test_a_deployment_sets_the_time_and_the_defaults_by_its_environment() -> None:
    """DD_SCHEDULE is the cron expression, DD_SCHEDULED_CONF what runs by the clock are asked for."""
    conf = {"target_template": "coherence", "top_n": 5, "max_cost_usd": 2.5}
    dags = parse_folder(DD_SCHEDULE="30 1 * * 1", DD_SCHEDULED_CONF=json.dumps(conf))["dags"]
    dag = dags["scheduled_backfill"]
    assert dag["schedule"] == "30 1 * * 1"
    assert {key: dag["params"][key]["default"] for key in conf} == conf
    assert dags["evaluation_backfill"]["params"]["max_cost_usd"]["default"] is None


@pytest.mark.parametrize(
    ("conf", "told"),
    [
        pytest.param({"top_n": "50"}, "DD_SCHEDULED_CONF: top_n: '50' is not valid", id="no-number"),
        pytest.param({"max_cost_usd": 0}, "DD_SCHEDULED_CONF: max_cost_usd: 0 is not valid", id="beyond-the-limits"),
        pytest.param({"target_template": "../x"}, "DD_SCHEDULED_CONF: target_template: '../x'", id="no-id"),
    ],
)
def test_a_default_that_no_run_would_take_is_told_as_an_import_error(conf: dict[str, Any], told: str) -> None:
    """It names the variable, the key and the value."""
    [error] = parse_folder(DD_SCHEDULED_CONF=json.dumps(conf))["errors"].values()
    assert told in error


@pytest.mark.parametrize("text", [pytest.param("{top_n: 5}", id="no-json"), pytest.param("[5]", id="no-object")])
def test_a_deployment_conf_that_is_none_is_told_as_an_import_error(text: str) -> None:
    """The other DAGs stay, and Airflow shows one sentence that names the variable and what it should be."""
    folder = parse_folder(DD_SCHEDULED_CONF=text)
    [(file, told)] = folder["errors"].items()
    assert file.endswith("scheduled_backfill.py")
    assert 'DD_SCHEDULED_CONF must be a JSON object, like {"top_n": 50}, and is: ' + text in told
    assert sorted(folder["dags"]) == ["aggregate_scores", "evaluation_backfill", "reparse_evaluations"]
