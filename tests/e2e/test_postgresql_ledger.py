"""A real Airflow with its ledger in PostgreSQL: overlapping runs, and a server that is killed during calls."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from devtools.cluster.postgresql import PostgreSQL, let_others_pass
from tests.e2e.conftest import DAG_ID, Stage, started_stage
from tests.e2e.test_overlapping_runs import pay_once_for_what_is_shared

pytestmark = pytest.mark.postgresql

CALLS, AT_ONCE, AWAY_S = 120, 8, 20.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgreSQL]:
    """Start a server that these tests may kill."""
    with PostgreSQL(let_others_pass(tmp_path_factory.mktemp("killed")) / "server") as started:
        yield started


@pytest.fixture(scope="module")
def running_stage(server: PostgreSQL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Start an Airflow whose tasks use the server."""
    with started_stage(tmp_path_factory.mktemp("postgresql"), {"DD_LEDGER": server.new_database()}) as started:
        yield started


@pytest.mark.parametrize("first", [pytest.param(100, id="once"), pytest.param(200, id="and again")])
def test_two_cohorts_pay_once_for_what_they_share(stage: Stage, first: int) -> None:
    """Claims in PostgreSQL hold between the tasks of two runs."""
    pay_once_for_what_is_shared(stage, first)


def test_a_killed_server_costs_no_reply(stage: Stage, server: PostgreSQL) -> None:
    """The run waits for the server and succeeds; what was in flight may be asked again, and nothing else."""
    stage.judge.faults({"fault": "latency", "seconds": 1.0})
    essays = [stage.store.essay(number) for number in range(300, 300 + CALLS // 4)]
    conf = {"cohort_id": "killed", "essay_ids": essays, "replicates": 1, "max_concurrency": AT_ONCE}
    run_id = stage.airflow.api.trigger(DAG_ID, conf)
    until = time.monotonic() + 60
    while stage.judge.calls() < CALLS // 4:
        assert time.monotonic() < until
        time.sleep(0.05)
    server.kill()
    time.sleep(AWAY_S)
    asked = stage.judge.calls()
    assert asked <= CALLS // 4 + 2 * AT_ONCE, "calls were begun without the ledger"
    server.start()
    run = stage.wait(run_id)
    assert run.state == "success"
    assert CALLS <= stage.judge.calls() <= CALLS + AT_ONCE
    assert run.xcom("summarise_cohort")["scored"] == CALLS
    assert "Trying for 60 s" in run.log("evaluation.evaluation_raw", 0)
