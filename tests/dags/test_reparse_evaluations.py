"""The DAG's contract with Airflow: it parses lightly, its form offers what a request knows, its leaf is honest."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from include.cohorts.model import ID_PATTERN
from include.cohorts.reparsing import KEYS, ReparseRequest
from tests.dags.test_evaluation_backfill import HEAVY

PROJECT = Path(__file__).resolve().parents[2]

INSPECT = """
import json, logging, sys
logging.disable(logging.CRITICAL)
sys.path.insert(0, "dags")
import airflow.sdk
airflow_needs = set(sys.modules)
import reparse_evaluations
after = set(sys.modules)
from airflow.dag_processing.dagbag import DagBag
dag = DagBag("dags").dags["reparse_evaluations"]
print(json.dumps({
    "added": sorted(after - airflow_needs),
    "edges": {t.task_id: sorted(t.downstream_task_ids) for t in dag.tasks},
    "rules": {t.task_id: t.trigger_rule.value for t in dag.tasks},
    "retries": [t.retries for t in dag.tasks], "policies": [t.retry_policy is not None for t in dag.tasks],
    "doc": dag.doc_md, "max_active_runs": dag.max_active_runs, "schedule": str(dag.schedule),
    "params": {k: {"default": dag.params[k], "schema": dag.params.get_param(k).schema} for k in dag.params},
}))
"""


@pytest.fixture(scope="module")
def dag() -> dict[str, Any]:
    """What a fresh process sees when it parses the DAG file."""
    done = subprocess.run(
        [sys.executable, "-c", INSPECT], cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_parsing_imports_nothing_heavy(dag: dict[str, Any]) -> None:
    """Parsing the DAG file adds none of the heavy modules, and none of the product."""
    assert [name for name in dag["added"] if name in HEAVY or name.startswith("include.cohorts")] == []


def test_the_two_tasks_stand_in_a_row(dag: dict[str, Any]) -> None:
    """A failed `reparse` fails the leaf and with it the run: the leaf runs only after a success."""
    assert dag["edges"] == {"reparse": ["aggregate"], "aggregate": []}
    assert set(dag["rules"].values()) == {"all_success"}


def test_retries_are_those_of_the_backfill(dag: dict[str, Any]) -> None:
    """Two, for a worker that dies; a mistake in the conf is not tried again."""
    assert dag["retries"] == [2, 2]
    assert all(dag["policies"])


def test_it_is_started_by_people_one_run_at_a_time(dag: dict[str, Any]) -> None:
    """No schedule, and documentation that says what it costs."""
    assert (dag["schedule"], dag["max_active_runs"]) == ("None", 1)
    assert "**No LLM is called.**" in dag["doc"]


def test_params_are_the_request_s_settings(dag: dict[str, Any]) -> None:
    """The form offers exactly the keys that a request knows, with its defaults, titles, help and id rule."""
    defaults = ReparseRequest()
    assert {key: param["default"] for key, param in dag["params"].items()} == {
        key: getattr(defaults, key) for key in KEYS
    }
    schemas = {key: param["schema"] for key, param in dag["params"].items()}
    assert all(schema["title"] and len(schema["description_md"]) > 20 for schema in schemas.values())
    assert not any("`" in schema["description_md"] for schema in schemas.values())
    assert schemas["cohort_id"]["pattern"] == schemas["templates"]["items"]["pattern"] == f"^{ID_PATTERN}$"
