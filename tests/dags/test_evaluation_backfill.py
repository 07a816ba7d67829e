"""The DAG's contract with Airflow: it parses lightly, and its tasks, edges and params are the ones promised."""

import itertools
from typing import Any

import pytest

from essay_cohorts.domain import ID_PATTERN
from essay_cohorts.planning.request import KEYS, LIMITS, CohortRequest


@pytest.fixture
def dag(dag_folder: dict[str, Any]) -> dict[str, Any]:
    """The DAG as a fresh process parses it."""
    found: dict[str, Any] = dag_folder["dags"]["evaluation_backfill"]
    return found


def test_the_tasks_stand_in_the_promised_order(dag: dict[str, Any]) -> None:
    """The chain is plan, dry-run gate, batches, the mapped group's four steps, the summary and its announcement."""
    order = [
        "plan_cohort",
        "not_a_dry_run",
        "batches",
        "evaluation.check_parsed",
        "evaluation.evaluation_prompt",
        "evaluation.evaluation_raw",
        "evaluation.evaluation_parsed",
        "summarise_cohort",
        "announce_completion",
    ]
    assert sorted(dag["edges"]) == sorted([*order, "announce_reused"])
    for earlier, later in itertools.pairwise(order):
        assert later in dag["edges"][earlier]
    assert "announce_reused" in dag["edges"]["not_a_dry_run"]
    assert dag["edges"]["announce_reused"] == ["summarise_cohort"]


def test_the_only_leaf_stands_behind_the_summary_alone(dag: dict[str, Any]) -> None:
    """A red summary makes the leaf, and so the run, red; a green one has looked at the outcome."""
    assert dag["leaves"] == ["announce_completion"]
    assert dag["rules"]["announce_completion"] == "all_success"
    assert dag["rules"]["summarise_cohort"] == "all_done"
    assert dag["rules"]["evaluation.evaluation_parsed"] == "none_skipped"


def test_only_tasks_that_can_skip_themselves_declare_an_asset(dag: dict[str, Any]) -> None:
    """A success with an outlet is an event: the steps that may have nothing to say are the ones that declare it."""
    assert {task: assets for task, assets in dag["outlets"].items() if assets} == {
        "evaluation.evaluation_parsed": ["finished_evaluations"],
        "announce_reused": ["finished_evaluations"],
        "announce_completion": ["completed_cohorts"],
    }


def test_mapped_instances_show_their_slice(dag: dict[str, Any]) -> None:
    """Each task of the mapped group shows its slice's label in the grid."""
    labels = {task: label for task, label in dag["labels"].items() if task.startswith("evaluation.")}
    assert set(labels.values()) == {"{{ task.op_kwargs['part']['label'] }}"}


def test_the_dag_explains_itself(dag: dict[str, Any]) -> None:
    """The DAG page has documentation and tags, no schedule, and several runs at a time."""
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
    """Each field of the trigger form says what it is, and has a schema that refuses what the plan would refuse."""
    schema = dag["params"][key]["schema"]
    assert schema["title"]
    assert len(dag["params"][key]["help"]) > 20
    assert "type" in schema or "enum" in schema
    assert "`" not in dag["params"][key]["help"]
    if key in LIMITS:
        assert (schema["minimum"], schema["maximum"]) == LIMITS[key]


@pytest.mark.parametrize("key", [pytest.param(k, id=k) for k in ("mode", "include_existing_evaluations")])
def test_nullable_choices_are_lists_that_can_go_back_to_null(dag: dict[str, Any], key: str) -> None:
    """A nullable choice is a drop-down with a sentence for each value, null among them."""
    schema = dag["params"][key]["schema"]
    assert None in schema["enum"]
    assert "boolean" not in schema.get("type", [])
    assert len(schema["values_display"]) == len(schema["enum"])


def test_the_form_s_pattern_of_an_id_is_the_product_s(dag: dict[str, Any]) -> None:
    """What the form lets through as an id is what planning lets through: the DAG file cannot import the rule."""
    params = dag["params"]
    patterns = [params["cohort_id"]["schema"]["pattern"]]
    patterns += [params[key]["schema"]["items"]["pattern"] for key in ("essay_ids", "templates")]
    assert patterns == [f"^{ID_PATTERN}$"] * 3
