"""The DAG's contract with Airflow: it parses lightly, and its tasks, edges and params are the ones promised."""

import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from include.cohorts.model import ID_PATTERN
from include.cohorts.request import KEYS, LIMITS, CohortRequest

PROJECT = Path(__file__).resolve().parents[2]
HEAVY = (
    "pandas",
    "numpy",
    "openai",
    "httpx2",
    "tenacity",
    "filelock",
    "typer",
    "include.cohorts.planning_step",
    "include.cohorts.steps",
)

INSPECT = """
import json, logging, sys
logging.disable(logging.CRITICAL)
sys.path.insert(0, "dags")
before = set(sys.modules)
import airflow.sdk
airflow_needs = set(sys.modules)
import evaluation_backfill
after = set(sys.modules)
from airflow.dag_processing.dagbag import DagBag
bag = DagBag("dags")
dag = bag.dags["evaluation_backfill"]
print(json.dumps({
    "errors": {str(k): v for k, v in bag.import_errors.items()},
    "dags": sorted(bag.dags),
    "added": sorted(after - airflow_needs),
    "edges": {t.task_id: sorted(t.downstream_task_ids) for t in dag.tasks},
    "rules": {t.task_id: t.trigger_rule.value for t in dag.tasks},
    "labels": {t.task_id: t.map_index_template for t in dag.tasks},
    "doc": dag.doc_md, "tags": sorted(dag.tags), "max_active_runs": dag.max_active_runs,
    "schedule": str(dag.schedule),
    "leaves": [t.task_id for t in dag.leaves],
    "params": {k: {"default": dag.params[k], "schema": dag.params.get_param(k).schema,
                   "help": dag.params.get_param(k).schema.get("description_md")} for k in dag.params},
}))
"""


@pytest.fixture(scope="module")
def dag() -> dict[str, Any]:
    """What a fresh process sees when it parses the DAG folder."""
    done = subprocess.run(
        [sys.executable, "-c", INSPECT], cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_the_folder_has_its_dags_and_no_import_error(dag: dict[str, Any]) -> None:
    """The DAG folder imports cleanly, and the modules beside the DAGs are not taken for DAGs."""
    assert dag["errors"] == {}
    assert dag["dags"] == ["evaluation_backfill", "reparse_evaluations"]


def test_parsing_imports_nothing_heavy(dag: dict[str, Any]) -> None:
    """Parsing the DAG file adds none of the heavy modules to what Airflow itself imports."""
    added = dag["added"]
    assert [name for name in added if name in HEAVY or name.startswith("include.cohorts")] == []


def test_the_tasks_stand_in_the_promised_order(dag: dict[str, Any]) -> None:
    """The chain is plan, dry-run gate, batches, the four steps of the mapped group, and the summary."""
    order = [
        "plan_cohort",
        "not_a_dry_run",
        "batches",
        "evaluation.check_parsed",
        "evaluation.evaluation_prompt",
        "evaluation.evaluation_raw",
        "evaluation.evaluation_parsed",
        "summarise_cohort",
    ]
    assert sorted(dag["edges"]) == sorted(order)
    for earlier, later in itertools.pairwise(order):
        assert later in dag["edges"][earlier]


def test_the_summary_is_the_only_leaf(dag: dict[str, Any]) -> None:
    """The run's state is the state of the one task that looks at the outcome."""
    assert dag["leaves"] == ["summarise_cohort"]
    assert dag["rules"]["summarise_cohort"] == "all_done"
    assert dag["rules"]["evaluation.evaluation_parsed"] == "none_skipped"


def test_mapped_instances_show_their_slice(dag: dict[str, Any]) -> None:
    """Each task of the mapped group shows its slice's label in the grid."""
    labels = {task: label for task, label in dag["labels"].items() if task.startswith("evaluation.")}
    assert set(labels.values()) == {"{{ task.op_kwargs['part']['label'] }}"}


def test_the_dag_explains_itself(dag: dict[str, Any]) -> None:
    """The DAG page has documentation and tags, no schedule, and several runs at a time."""
    assert "never paid for again" in dag["doc"]
    assert dag["tags"] == ["backfill", "evaluation", "llm"]
    assert dag["max_active_runs"] == 16
    assert dag["schedule"] == "None"


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
