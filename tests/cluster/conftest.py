"""A distributed Airflow for the tests of this folder: four worker hosts, two schedulers, a data root and a judge."""

from __future__ import annotations

import json
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
import pytest

from devtools.cluster.cluster import Cluster
from devtools.cluster.postgresql import let_others_pass
from devtools.cluster.settings import LEDGER_DATABASE
from devtools.supervision import processes
from tests.e2e.conftest import DAG_ID, PROJECT, Stage
from tests.judge_server import JudgeServer
from tests.store_builder import StoreBuilder

WORKERS = 4
PYTHON = PROJECT / ".venv-cluster" / "bin" / "python"
_TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Grid:
    """The cluster and its stage, with what the scenarios ask of them."""

    cluster: Cluster
    stage: Stage

    def essays(self, first: int, count: int) -> list[str]:
        """Make essays with numbers of their own, so that the scenarios do not affect each other."""
        return [self.stage.store.essay(number) for number in range(first, first + count)]

    def trigger(self, conf: dict[str, Any], dag_id: str = DAG_ID) -> str:
        """Start a run and return its id."""
        return self.stage.airflow.api.trigger(dag_id, conf)

    def state(self, run_id: str, dag_id: str = DAG_ID) -> str:
        """Wait for the end of a run and return its state."""
        return self.stage.airflow.api.wait(dag_id, run_id, timeout_s=_TIMEOUT_S)

    def summary(self, run_id: str) -> dict[str, Any]:
        """Return what the run's summary counted."""
        found: dict[str, Any] = self.stage.airflow.api.xcom(DAG_ID, run_id, "summarise_cohort")
        return found

    def wait_for_calls(self, count: int) -> None:
        """Return when the judge was asked so often."""
        wait_until(lambda: self.stage.judge.calls() >= count)

    def callers(self) -> dict[str, str]:
        """Return the host of each caller that is registered in the ledger now."""
        return dict(self._ask("SELECT name, host FROM callers"))

    def calls_by_host(self, cohort_id: str, callers: dict[str, str]) -> Counter[str]:
        """Count a cohort's requests by the hosts of the callers that sent them."""
        found = self._ask("SELECT caller, count(*) FROM requests WHERE cohort_id = %s GROUP BY caller", cohort_id)
        hosts: Counter[str] = Counter()
        for caller, count in found:
            hosts[callers.get(caller, "?")] += count
        return hosts

    def _ask(self, question: LiteralString, *values: str) -> list[tuple[Any, ...]]:
        url = self.cluster.postgresql.url(LEDGER_DATABASE, "psycopg").replace("+psycopg", "")
        with psycopg.connect(url) as connection:
            return connection.execute(question, values).fetchall()

    def kill(self, name: str) -> None:
        """Kill a component and all its processes: a host, or a scheduler."""
        processes.kill_tree(self.stage.airflow.pids[name])


def wait_until(is_so: Callable[[], bool], timeout_s: float = 120.0) -> None:
    """Return when something is so."""
    until = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < until, f"not so after {timeout_s:g} s"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def running_grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grid]:
    """Start the cluster once for a module."""
    folder = let_others_pass(tmp_path_factory.mktemp("cluster"))
    store = StoreBuilder.sample(folder / "data")
    with JudgeServer.started(folder) as judge:
        key, extra = secrets.token_hex(12), {"max_attempts": 3, "first_wait_s": 0.05, "longest_wait_s": 0.2}
        connection = {"conn_type": "openai", "host": judge.base_url, "password": key, "extra": extra}
        given = {
            "DD_DATA_ROOT": str(store.root),
            "AIRFLOW_CONN_LLM_DEFAULT": json.dumps(connection),
            "DD_SCHEDULED_CONF": json.dumps({"target_template": "coherence", "top_n": 2}),
        }
        cluster = Cluster(
            home=folder / "home",
            project=PROJECT,
            environment=given,
            workers=WORKERS,
            schedulers=2,
            dag_ids=(DAG_ID, "scheduled_backfill"),
            python=str(PYTHON),
            may_end=True,
        )
        with cluster:
            stage = Stage(
                airflow=cluster.airflow,
                judge=judge,
                store=store,
                key=key,
                cli_environment={},
                crash_order=folder / "crash",
            )
            yield Grid(cluster=cluster, stage=stage)


@pytest.fixture
def grid(running_grid: Grid) -> Grid:
    """Return the running cluster after removing the judge's recorded requests and fault rules."""
    running_grid.stage.judge.reset()
    return running_grid
