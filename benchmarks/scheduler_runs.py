"""DagRuns in a real Airflow with a real scheduler, with calls over HTTP to the offline judge in another process."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.stores import Store
from devtools.local_airflow.service import LocalAirflow
from tests.judge_server import JudgeServer

PROJECT = Path(__file__).resolve().parents[1]
DAG_ID, NAIVE_ID = "evaluation_backfill", "naive_backfill"
_RUN_TIMEOUT_S = 900.0
_POLL_S = 0.2

# The settings of `airflow standalone` where `make up` has others; its triggerer does not matter here.
AIRFLOW_DEFAULTS = {
    "AIRFLOW__CORE__PARALLELISM": "32",
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "1",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "300",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "5",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "300",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "30",
    "AIRFLOW__DAG_PROCESSOR__PRINT_STATS_INTERVAL": "30",
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A kind of DagRun: `essays` essays with `templates` x `models` x 4 evaluations each, answered after a pause."""

    name: str
    essays: int
    judged: bool = False
    templates: int = 1
    models: int = 1
    latency_s: float = 0.0
    dag_id: str = DAG_ID

    def conf(self, essays: list[str], cohort_id: str) -> dict[str, Any]:
        """Return the conf of one run of this kind."""
        return {
            "cohort_id": cohort_id,
            "essay_ids": essays,
            "include_existing_evaluations": True,
            "templates": ["novelty", "coherence"][: self.templates],
            "models": ["judge-a", "judge-b"][: self.models],
            "max_concurrency": 50,
        }


MISSING_1000 = Case(name="1,000 missing at 1.0 s, 50 at once", essays=250, latency_s=1.0)
MISSING_5000 = Case(name="5,000 missing at 1.0 s, 50 at once", essays=1_250, latency_s=1.0)
MISSING_40 = Case(name="40 missing at no latency", essays=10)
MISSING_8 = Case(name="8 missing, one a mapped instance", essays=2)
REUSED_1000 = Case(name="1,000 evaluations, all existing", essays=63, judged=True, templates=2, models=2)
REUSED_10000 = Case(name="10,000 evaluations, all existing", essays=625, judged=True, templates=2, models=2)
REUSED_20000 = Case(name="20,000 evaluations, all existing", essays=1_250, judged=True, templates=2, models=2)
NAIVE_40 = Case(name="40 missing, the naive DAG", essays=10, dag_id=NAIVE_ID)


@dataclass(frozen=True, kw_only=True)
class Run:
    """The result of one DagRun; `peak_mb` is the largest resident memory of a task process, with shared pages."""

    state: str
    seconds: float
    instances: int
    calls: int
    peak_mb: float
    task_seconds: dict[str, float]


@dataclass(kw_only=True)
class Bench:
    """A warmed-up Airflow over one generated store; each run that calls uses essays that no earlier run used."""

    airflow: LocalAirflow
    judge: JudgeServer
    store: Store
    taken: int = 0
    runs: int = 0
    peaks: dict[int, float] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def started(cls, folder: Path, store: Store, *, defaults: bool = False, taken: int = 0) -> Iterator[Bench]:
        """Start Airflow and the judge, with the settings of `make up` or with Airflow's `defaults`.

        The runs skip the first `taken` fresh essays of the store.
        """
        folder.mkdir()
        with JudgeServer.started(folder) as judge:
            connection = {"conn_type": "openai", "host": judge.base_url, "password": "offline"}
            environment = {
                "DD_DATA_ROOT": str(store.root),
                "AIRFLOW_CONN_LLM_DEFAULT": json.dumps(connection),
                "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(_bundles()),
                **(AIRFLOW_DEFAULTS if defaults else {}),
            }
            with LocalAirflow(
                home=folder / "airflow",
                project=PROJECT,
                environment=environment,
                port=0,
                dag_ids=(DAG_ID, NAIVE_ID),
                schedules=True,
                warm=not defaults,
            ) as airflow:
                airflow.warm_up()
                bench = cls(airflow=airflow, judge=judge, store=store, taken=taken)
                bench.run(Case(name="warm up", essays=1))
                yield bench

    def run(self, case: Case) -> Run:
        """Trigger one DagRun, wait for its end, and measure it."""
        essays = self._essays(case)
        self.judge.reset()
        self.judge.faults({"fault": "latency", "seconds": case.latency_s})
        self.runs += 1
        run_id, api = f"bench_{self.runs}", self.airflow.api
        with _watched_memory(self.airflow.pids["scheduler"]) as peaks:
            api.trigger(case.dag_id, case.conf(essays, run_id), run_id)
            state = api.wait(case.dag_id, run_id, _RUN_TIMEOUT_S, poll_s=_POLL_S)
        run, tasks = api.dag_run(case.dag_id, run_id), api.task_instances(case.dag_id, run_id)
        assert run.started_at
        assert run.ended_at
        longest: dict[str, float] = {}
        for task in tasks:
            if task.started_at and task.ended_at:
                seconds = (task.ended_at - task.started_at).total_seconds()
                longest[task.task_id] = max(longest.get(task.task_id, 0.0), seconds)
        return Run(
            state=state,
            seconds=(run.ended_at - run.started_at).total_seconds(),
            instances=len(tasks),
            calls=self.judge.calls(),
            peak_mb=max(peaks.values(), default=0.0),
            task_seconds=longest,
        )

    def _essays(self, case: Case) -> list[str]:
        if case.judged:
            return list(self.store.judged[: case.essays])
        self.taken += case.essays
        return list(self.store.fresh[self.taken - case.essays : self.taken])


def _bundles() -> list[dict[str, Any]]:
    local = "airflow.dag_processing.bundles.local.LocalDagBundle"
    folders = {"dags-folder": PROJECT / "dags", "naive": PROJECT / "benchmarks" / "naive"}
    return [{"name": name, "classpath": local, "kwargs": {"path": str(path)}} for name, path in folders.items()]


@contextmanager
def _watched_memory(scheduler_pid: int) -> Iterator[dict[int, float]]:
    """Record the peak resident memory, in MB by pid, of every process below the scheduler during the block."""
    peaks: dict[int, float] = {}
    done = threading.Event()

    def watch() -> None:
        scheduler = psutil.Process(scheduler_pid)
        while not done.wait(_POLL_S):
            for child in scheduler.children(recursive=True):
                peak = _high_water_mb(child.pid)
                if peak is not None:
                    peaks[child.pid] = peak

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peaks
    finally:
        done.set()
        watcher.join()


def _high_water_mb(pid: int) -> float | None:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), None)
