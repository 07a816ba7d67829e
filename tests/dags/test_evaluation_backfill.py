"""The DAG's contract with Airflow: its tasks, edges, trigger rules, assets and params."""

from typing import Any

import pytest

from essay_cohorts.errors import BadInput
from essay_cohorts.planning.request import KEYS, LIMITS, CohortRequest, parse_request
from tests.dags.conftest import parse_folder

LEAVES = ["announce_completion", "write_report"]
STAGES = ("prompt", "raw", "parsed")


@pytest.fixture
def dag(dag_folder: dict[str, Any]) -> dict[str, Any]:
    """Return the DAG as a fresh process parses it."""
    parsed: dict[str, Any] = dag_folder["dags"]["evaluation_backfill"]
    return parsed


def test_the_graph_has_exactly_the_promised_edges(dag: dict[str, Any]) -> None:
    """The chain is plan, the mapped group's four steps, the summary and its announcement.

    The dry-run gate, the announcement of reused evaluations and the report stand beside the chain.
    """
    steps = [f"evaluation.{name}" for name in ("check_parsed", *(f"evaluation_{stage}" for stage in STAGES))]
    assert dag["edges"] == {
        "plan_cohort": sorted(["not_a_dry_run", *steps]),
        "not_a_dry_run": ["announce_reused", "write_report"],
        "announce_reused": ["summarise_cohort", "write_report"],
        "evaluation.check_parsed": ["evaluation.evaluation_prompt"],
        "evaluation.evaluation_prompt": ["evaluation.evaluation_raw"],
        "evaluation.evaluation_raw": ["evaluation.evaluation_parsed"],
        "evaluation.evaluation_parsed": ["summarise_cohort", "write_report"],
        "summarise_cohort": ["announce_completion"],
        **{leaf: [] for leaf in LEAVES},
    }


def test_the_leaves_follow_the_summary(dag: dict[str, Any]) -> None:
    """A red summary makes a leaf, and so the run, red; the summary and the report run whatever happened before."""
    assert sorted(dag["leaves"]) == LEAVES
    assert dag["rules"]["write_report"] == "all_done"
    assert dag["rules"]["announce_completion"] == "all_success"
    assert dag["rules"]["summarise_cohort"] == "all_done"
    assert dag["rules"]["evaluation.evaluation_parsed"] == "none_skipped"


def test_only_tasks_that_can_skip_themselves_declare_an_asset(dag: dict[str, Any]) -> None:
    """Each success of a task with an outlet is an event, so only tasks that skip themselves have an outlet."""
    assert {task: assets for task, assets in dag["outlets"].items() if assets} == {
        "evaluation.evaluation_parsed": ["finished_evaluations"],
        "announce_reused": ["finished_evaluations"],
        "announce_completion": ["completed_cohorts"],
    }


def test_without_events_of_evaluations_only_the_completion_is_an_asset() -> None:
    """With DD_EVENTS=cohort one task has an outlet: the success of another one would be an event without gen_id."""
    outlets = parse_folder(DD_EVENTS="cohort")["dags"]["evaluation_backfill"]["outlets"]
    assert {task: assets for task, assets in outlets.items() if assets} == {
        "announce_completion": ["completed_cohorts"]
    }


def test_mapped_instances_show_their_slice(dag: dict[str, Any]) -> None:
    """Each task of the mapped group shows the label of its slice in the grid."""
    labels = {task: label for task, label in dag["labels"].items() if task.startswith("evaluation.")}
    assert set(labels.values()) == {"{{ task.op_kwargs['part']['label'] }}"}


def test_the_dag_explains_itself(dag: dict[str, Any]) -> None:
    """The DAG has documentation and tags, no clock, and allows several runs at a time."""
    assert "never paid for again" in dag["doc"]
    assert dag["tags"] == ["backfill", "evaluation", "llm"]
    assert dag["max_active_runs"] == 16
    assert dag["timetable"] == "PartitionedAtRuntime"


def test_params_are_the_request_s_settings(dag: dict[str, Any]) -> None:
    """The trigger form offers exactly the conf keys that a request knows, with the same defaults."""
    defaults = CohortRequest()
    assert {key: param["default"] for key, param in dag["params"].items()} == {
        key: getattr(defaults, key) for key in KEYS
    }


@pytest.mark.parametrize("key", [pytest.param(key, id=key) for key in KEYS])
def test_every_param_has_title_help_and_validation(dag: dict[str, Any], key: str) -> None:
    """Each field of the trigger form has a title, a help text, and a schema with the limits of the plan."""
    schema = dag["params"][key]["schema"]
    assert schema["title"]
    assert len(dag["params"][key]["help"]) > 20
    assert "type" in schema or "enum" in schema
    assert "`" not in dag["params"][key]["help"]
    if key in LIMITS:
        assert (schema["minimum"], schema["maximum"]) == LIMITS[key]


@pytest.mark.parametrize("key", [pytest.param(k, id=k) for k in ("mode", "include_existing_evaluations")])
def test_nullable_choices_are_lists_that_can_go_back_to_null(dag: dict[str, Any], key: str) -> None:
    """A nullable choice is a drop-down list with a text for each value, null included."""
    schema = dag["params"][key]["schema"]
    assert None in schema["enum"]
    assert "boolean" not in schema.get("type", [])
    assert len(schema["values_display"]) == len(schema["enum"])


@pytest.mark.parametrize(
    ("key", "typed", "message"),
    [
        pytest.param("cohort_id", "a/b", "conf: cohort_id: 'a/b' is not valid. An id is 1 to 100", id="no-id"),
        pytest.param("essay_ids", ["e 2"], "essay_ids, entry 1: 'e 2' is not valid.", id="no-id-in-a-list"),
        pytest.param("essay_ids", ["e_1", "e_1"], "entry 2: e_1 is listed twice.", id="twice"),
        pytest.param("templates", [], "Write a list with at least one entry", id="empty-list"),
        pytest.param("replicates", 1.5, "1.5 is not valid. Write a whole number from 1 to 1000.", id="not-whole"),
    ],
)
def test_what_a_person_can_type_is_refused_in_our_words(
    dag: dict[str, Any], key: str, typed: Any, message: str
) -> None:
    """The schema lets the value pass, because Airflow's form shows no reason; planning names the problem."""
    from airflow.sdk import Param

    assert Param(typed, schema=dag["params"][key]["schema"]).resolve() == typed
    assert message in str(BadInput(parse_request({key: typed}).problems))


def test_the_first_section_has_the_dry_run_and_the_budgets(dag: dict[str, Any]) -> None:
    """The only section that is open at first begins with what keeps a run from spending."""
    first = [key for key, param in dag["params"].items() if param["schema"]["section"] is None]
    assert first[:4] == ["cohort_id", "dry_run", "max_llm_calls", "max_cost_usd"]
