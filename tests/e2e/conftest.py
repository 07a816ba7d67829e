"""One real Airflow with a real scheduler for the whole suite, with one data root and one offline judge.

Each scenario uses essays of its own, so that the scenarios do not affect each other.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from devtools.local_airflow.environment import airflow_environment
from devtools.local_airflow.keys import ensure_keys
from devtools.local_airflow.service import LocalAirflow
from devtools.rest_api.runs import TaskInstance
from tests.crash_order import crash_environment
from tests.judge_server import JudgeServer
from tests.store_builder import StoreBuilder

NO_MORE: Mapping[str, str] = {}
PROJECT = Path(__file__).resolve().parents[2]
DAG_ID = "evaluation_backfill"
SKIPPED = re.compile(r"Skipping (\S+?): parsed\.txt already exists")


@dataclass(frozen=True)
class FinishedRun:
    """A DagRun that has ended, read through Airflow's REST API and its log files."""

    airflow: LocalAirflow
    run_id: str
    state: str

    def tasks(self) -> list[TaskInstance]:
        return self.airflow.api.task_instances(DAG_ID, self.run_id)

    def states(self, task_id: str) -> dict[int, str | None]:
        """Return the states of a task's instances by map index."""
        return {task.map_index: task.state for task in self.tasks() if task.task_id == task_id}

    def xcom(self, task_id: str, key: str = "return_value") -> Any:
        return self.airflow.api.xcom(DAG_ID, self.run_id, task_id, key=key)

    def log(self, task_id: str, map_index: int = -1, try_number: int = 1) -> str:
        return self.airflow.api.task_log(DAG_ID, self.run_id, task_id, map_index, try_number)

    def skip_lines(self) -> list[str]:
        """Return the sorted gen_ids of all `Skipping ...` lines in the run's task logs."""
        folder = self.airflow.layout.logs / "tasks" / f"dag_id={DAG_ID}" / f"run_id={self.run_id}"
        return sorted(found for log in folder.rglob("*.log") for found in SKIPPED.findall(log.read_text("utf-8")))


@dataclass(frozen=True)
class Stage:
    """Everything that a scenario needs: Airflow, the judge, the store, and the API key in the Connection."""

    airflow: LocalAirflow
    judge: JudgeServer
    store: StoreBuilder
    key: str
    cli_environment: dict[str, str]
    crash_order: Path

    def trigger(self, conf: dict[str, Any]) -> FinishedRun:
        return self.wait(self.airflow.api.trigger(DAG_ID, conf))

    def trigger_by_command_line(self, conf: dict[str, Any], run_id: str) -> FinishedRun:
        command = [sys.executable, "-m", "airflow", "dags", "trigger", DAG_ID, "--run-id", run_id]
        done = subprocess.run(
            [*command, "--conf", json.dumps(conf)],
            cwd=PROJECT,
            env=self.cli_environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return self.wait(run_id)

    def clear(self, run: FinishedRun) -> FinishedRun:
        self.airflow.api.clear_run(DAG_ID, run.run_id)
        return self.wait(run.run_id)

    def wait(self, run_id: str) -> FinishedRun:
        state = self.airflow.api.wait(DAG_ID, run_id, timeout_s=150)
        return FinishedRun(airflow=self.airflow, run_id=run_id, state=state)

    def cohort(self, cohort_id: str, name: str) -> str:
        return self.store.read(f"cohorts/{cohort_id}/{name}")

    def metadata_bytes(self) -> dict[str, bytes]:
        """Return the content of every metadata.json in the store, by path."""
        root = self.store.root / "gens"
        return {str(path.relative_to(root)): path.read_bytes() for path in root.glob("*/*/metadata.json")}


@contextmanager
def started_stage(folder: Path, settings: Mapping[str, str] = NO_MORE) -> Iterator[Stage]:
    """Start Airflow with the product's `settings`, a judge, and a store without essays."""
    store = StoreBuilder.sample(folder / "data")
    key = f"sk-e2e-{secrets.token_hex(12)}"
    with JudgeServer.started(folder) as judge:
        extra = {"max_attempts": 3, "first_wait_s": 0.05, "longest_wait_s": 0.2}
        connection = {"conn_type": "openai", "host": judge.base_url, "password": key, "extra": extra}
        given = {
            "DD_DATA_ROOT": str(store.root),
            "AIRFLOW_CONN_LLM_DEFAULT": json.dumps(connection),
            **crash_environment(folder / "crash"),
            **settings,
        }
        dag_ids = [DAG_ID, "reparse_evaluations"]
        airflow = LocalAirflow(home=folder / "airflow", project=PROJECT, environment=given, port=0, dag_ids=dag_ids)
        with airflow:
            environment = airflow_environment(
                os.environ,
                given,
                layout=airflow.layout,
                keys=ensure_keys(airflow.layout.home),
                port=airflow.port,
                schedules=False,
            )
            yield Stage(
                airflow=airflow,
                judge=judge,
                store=store,
                key=key,
                cli_environment=dict(environment),
                crash_order=folder / "crash",
            )


@pytest.fixture(scope="package")
def running_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Start Airflow and the judge once for the tests of this folder that run in one worker."""
    with started_stage(tmp_path_factory.mktemp("e2e")) as started:
        yield started


@pytest.fixture
def stage(running_stage: Stage) -> Stage:
    """Return the running stage after removing the judge's recorded requests and fault rules."""
    running_stage.judge.reset()
    return running_stage
