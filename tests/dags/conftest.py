"""Sets the environment of Airflow before a test imports Airflow, which reads its home when it is imported."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]

os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="airflow-home-")
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(PROJECT / "dags")
sys.path.insert(0, str(PROJECT / "dags"))

INSPECT = """
import json, logging, sys
logging.disable(logging.CRITICAL)
sys.path.insert(0, "dags")
import airflow.sdk
airflow_needs = set(sys.modules)
import aggregate_scores, evaluation_backfill, reparse_evaluations
after = set(sys.modules)
from airflow.dag_processing.dagbag import DagBag
bag = DagBag("dags")

def describe(dag):
    return {
        "edges": {t.task_id: sorted(t.downstream_task_ids) for t in dag.tasks},
        "rules": {t.task_id: t.trigger_rule.value for t in dag.tasks},
        "labels": {t.task_id: t.map_index_template for t in dag.tasks},
        "policies": [t.retry_policy is not None for t in dag.tasks],
        "retries": {t.task_id: t.retries for t in dag.tasks},
        "outlets": {t.task_id: [asset.name for asset in t.outlets] for t in dag.tasks},
        "doc": dag.doc_md, "tags": sorted(dag.tags), "max_active_runs": dag.max_active_runs,
        "schedule": str(dag.schedule), "catchup": dag.catchup, "paused": dag.is_paused_upon_creation,
        "timetable": type(dag.timetable).__name__,
        "leaves": [t.task_id for t in dag.leaves],
        "params": {k: {"default": dag.params[k], "schema": dag.params.get_param(k).schema,
                       "help": dag.params.get_param(k).schema.get("description_md")} for k in dag.params},
    }

print(json.dumps({
    "errors": {str(k): v for k, v in bag.import_errors.items()},
    "added": sorted(after - airflow_needs),
    "dags": {dag_id: describe(dag) for dag_id, dag in bag.dags.items()},
}))
"""


def parse_folder(**environment: str) -> dict[str, Any]:
    """Return what a fresh process sees in the DAG folder: import errors, modules beyond Airflow's, and each DAG."""
    done = subprocess.run(
        [sys.executable, "-c", INSPECT],
        cwd=PROJECT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    seen: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return seen


@pytest.fixture(scope="session")
def dag_folder() -> dict[str, Any]:
    """Return the DAG folder as a fresh process parses it."""
    return parse_folder()
