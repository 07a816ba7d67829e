"""The scheduled DAG's contract: when it runs, what its form offers, and the order of its tasks."""

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
    """Return the DAG as a fresh process parses it."""
    parsed: dict[str, Any] = dag_folder["dags"]["scheduled_backfill"]
    return parsed


def test_it_runs_on_a_schedule_once_it_is_unpaused(dag: dict[str, Any]) -> None:
    """The DAG has a cron schedule without catch-up, runs once at a time, and is paused at first."""
    assert (dag["schedule"], dag["timetable"]) == ("0 3 * * *", "CronTriggerTimetable")
    assert (dag["catchup"], dag["max_active_runs"], dag["paused"]) == (False, 1, True)


def test_the_tasks_have_the_promised_order(dag: dict[str, Any]) -> None:
    """The tasks wait for earlier runs, aggregate, select, trigger and report, in this order."""
    order = ["earlier_runs_done", "aggregate", "select_missing", "trigger_backfill", "report"]
    assert sorted(dag["edges"]) == sorted(order)
    for earlier, later in itertools.pairwise(order):
        assert dag["edges"][earlier] == [later]
    assert set(dag["rules"].values()) == {"all_success"}


def test_the_form_offers_the_settings_with_their_defaults(dag: dict[str, Any]) -> None:
    """The params are exactly the conf's keys; each has a title, a help text and the limits of the conf's check."""
    assert {key: param["default"] for key, param in dag["params"].items()} == {key: DEFAULTS[key] for key in KEYS}
    for param in dag["params"].values():
        assert param["schema"]["title"]
        assert len(param["help"]) > 20
    schema = dag["params"]["top_n"]["schema"]
    assert (schema["minimum"], schema["maximum"]) == TOP_N
    assert f"{{0,{LONGEST_PREFIX - 1}}}" in dag["params"]["cohort_prefix"]["schema"]["pattern"]


def test_a_deployment_sets_the_time_and_the_defaults_by_its_environment() -> None:
    """DD_SCHEDULE is the cron expression, and DD_SCHEDULED_CONF holds the defaults of scheduled runs."""
    conf = {"target_template": "coherence", "top_n": 5, "max_cost_usd": 2.5}
    dags = parse_folder(DD_SCHEDULE="30 1 * * 1", DD_SCHEDULED_CONF=json.dumps(conf))["dags"]
    dag = dags["scheduled_backfill"]
    assert dag["schedule"] == "30 1 * * 1"
    assert {key: dag["params"][key]["default"] for key in conf} == conf
    assert dags["evaluation_backfill"]["params"]["max_cost_usd"]["default"] is None


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        pytest.param({"top_n": "50"}, "DD_SCHEDULED_CONF: top_n: '50' is not valid", id="no-number"),
        pytest.param({"max_cost_usd": 0}, "DD_SCHEDULED_CONF: max_cost_usd: 0 is not valid", id="beyond-the-limits"),
        pytest.param({"target_template": "../x"}, "DD_SCHEDULED_CONF: target_template: '../x'", id="no-id"),
    ],
)
def test_an_invalid_default_is_an_import_error(conf: dict[str, Any], message: str) -> None:
    """The import error names the variable, the key and the value."""
    [error] = parse_folder(DD_SCHEDULED_CONF=json.dumps(conf))["errors"].values()
    assert message in error


@pytest.mark.parametrize("text", [pytest.param("{top_n: 5}", id="no-json"), pytest.param("[5]", id="no-object")])
def test_a_deployment_conf_that_is_not_an_object_is_an_import_error(text: str) -> None:
    """The other DAGs stay, and the import error names the variable and an example of its form."""
    folder = parse_folder(DD_SCHEDULED_CONF=text)
    [(file, message)] = folder["errors"].items()
    assert file.endswith("scheduled_backfill.py")
    assert 'DD_SCHEDULED_CONF must be a JSON object, like {"top_n": 50}, but is: ' + text in message
    assert sorted(folder["dags"]) == ["aggregate_scores", "evaluation_backfill", "reparse_evaluations"]
