"""Celery, PostgreSQL, Redis, four workers with host names of their own and two schedulers: as on one machine.

The tests build on each other's wear: the last one kills a host, which stays away.
"""

from __future__ import annotations

import csv
import shutil
import time
from pathlib import Path

import pytest

from tests.cluster.conftest import WORKERS, Grid, wait_until
from tests.conftest import PlayedDag
from tests.e2e.conftest import DAG_ID
from tests.e2e.test_overlapping_runs import pay_once_for_what_is_shared

pytestmark = pytest.mark.timeout(600)

AT_ONCE = 40


def outcomes(root: Path, cohort_id: str) -> dict[str, str]:
    """Return a cohort's outcomes by gen_id; the offline judge's scores differ with each call."""
    with (root / "cohorts" / cohort_id / "scores.csv").open(encoding="utf-8") as rows:
        return {row["gen_id"]: row["outcome"] for row in csv.DictReader(rows)}


def test_a_cohort_is_that_of_one_machine(grid: Grid, tmp_path: Path) -> None:
    """The same cohort, run on the workers and in this process, has the same members, outcomes and counts."""
    conf = {"cohort_id": "same", "essay_ids": grid.essays(100, 25), "replicates": 2}
    shutil.copytree(grid.stage.store.root, tmp_path / "data")
    run_id = grid.trigger(conf)
    assert grid.state(run_id) == "success"
    alone = PlayedDag(root=tmp_path / "data", base_url=grid.stage.judge.base_url).run(conf)
    assert outcomes(grid.stage.store.root, "same") == outcomes(tmp_path / "data", "same")
    summary = grid.summary(run_id)
    assert summary["scored"] == alone.summary.totals.scored == 200
    hosts = {task.hostname for task in grid.stage.airflow.api.task_instances(DAG_ID, run_id) if task.hostname}
    assert hosts <= {f"worker-{number}" for number in range(1, WORKERS + 1)}
    assert len(hosts) > 1


def test_two_cohorts_pay_once_for_what_they_share(grid: Grid) -> None:
    """Claims hold between the workers of two runs."""
    pay_once_for_what_is_shared(grid.stage, 200)


def test_a_budget_holds_over_all_workers(grid: Grid) -> None:
    """Of 100 missing evaluations 30 are called; the others are deferred, and the run is red."""
    conf = {"cohort_id": "budget", "essay_ids": grid.essays(300, 25), "replicates": 1, "max_llm_calls": 30}
    run_id = grid.trigger(conf | {"max_concurrency": AT_ONCE})
    assert grid.state(run_id) == "failed"
    assert grid.stage.judge.calls() == 30
    again = grid.trigger(conf | {"max_llm_calls": 70})
    assert grid.state(again) == "success"
    assert grid.stage.judge.calls() == 100


def test_a_cancelled_run_is_completed_by_the_next(grid: Grid) -> None:
    """What was in flight when a person failed the run is the most that is paid for twice."""
    grid.stage.judge.faults({"fault": "latency", "seconds": 1.0})
    conf = {"cohort_id": "cancelled", "essay_ids": grid.essays(400, 50), "replicates": 1, "max_concurrency": AT_ONCE}
    run_id = grid.trigger(conf)
    grid.wait_for_calls(80)
    grid.stage.airflow.api.set_run_state(DAG_ID, run_id, "failed")
    assert grid.state(grid.trigger(conf)) == "success"
    assert 200 <= grid.stage.judge.calls() <= 200 + AT_ONCE


def test_a_scheduled_run_waits_in_the_triggerer(grid: Grid) -> None:
    """The wait for the cohort's run holds no worker, and the report has the run's counts."""
    api, store = grid.stage.airflow.api, grid.stage.store
    for number in (501, 502):
        essay = store.essay(number)
        for replicate in range(1, 5):
            store.evaluation(f"base{number}{replicate}", essay, replicate=replicate, score=number / 100)
    grid.stage.judge.faults({"fault": "latency", "seconds": 1.0})
    api.unpause("scheduled_backfill")  # so that the run of today's date is made
    wait_until(lambda: bool(api.dag_runs("scheduled_backfill")))
    [run] = api.dag_runs("scheduled_backfill")

    def is_deferred() -> bool:
        tasks = api.task_instances("scheduled_backfill", run.run_id)
        return any(task.task_id == "trigger_backfill" and task.state == "deferred" for task in tasks)

    wait_until(is_deferred)
    assert grid.state(run.run_id, "scheduled_backfill") == "success"
    assert api.xcom("scheduled_backfill", run.run_id, "report")["scored"] == grid.stage.judge.calls() > 0


def test_all_workers_use_their_slots(grid: Grid) -> None:
    """A run with 200 calls at once has a slice for each slot, and each worker makes its part of the calls."""
    grid.stage.judge.faults({"fault": "latency", "seconds": 1.0})
    conf = {"cohort_id": "wide", "essay_ids": grid.essays(1000, 500), "replicates": 1, "max_concurrency": 200}
    run_id = grid.trigger(conf)
    grid.wait_for_calls(1_000)
    callers = grid.callers()
    assert grid.state(run_id) == "success"
    assert grid.stage.judge.calls() == 2_000
    slots = int(grid.cluster.settings["AIRFLOW__CORE__PARALLELISM"])
    assert len(grid.stage.airflow.api.xcom(DAG_ID, run_id, "plan_cohort")) == slots
    hosts = grid.calls_by_host("wide", callers)
    assert sorted(hosts) == [f"worker-{number}" for number in range(1, WORKERS + 1)]
    assert min(hosts.values()) >= 0.15 * 2_000


@pytest.mark.parametrize("server", ["redis", "postgresql"])
def test_a_server_that_is_away_costs_no_reply(grid: Grid, server: str) -> None:
    """With Redis away for 20 s, or PostgreSQL killed and restarted, only what was in flight may be paid for twice."""
    grid.stage.judge.faults({"fault": "latency", "seconds": 1.0})
    first = {"redis": 2000, "postgresql": 2100}[server]
    conf = {"cohort_id": f"no_{server}", "essay_ids": grid.essays(first, 75), "replicates": 1}
    run_id = grid.trigger(conf | {"max_concurrency": 20})
    grid.wait_for_calls(100)
    service = {"redis": grid.cluster.redis, "postgresql": grid.cluster.postgresql}[server]
    service.kill()
    time.sleep({"redis": 20.0, "postgresql": 2.0}[server])
    service.start()
    assert grid.state(run_id) == "success"
    assert 300 <= grid.stage.judge.calls() <= 300 + 20
    assert set(grid.stage.judge.tally().values()) <= {1, 2}


def test_a_killed_scheduler_is_replaced_by_the_other(grid: Grid) -> None:
    """With one of two schedulers killed in mid-run, the run ends green, with nothing paid for twice."""
    grid.stage.judge.faults({"fault": "latency", "seconds": 1.0})
    conf = {"cohort_id": "scheduler", "essay_ids": grid.essays(2200, 50), "replicates": 1, "max_concurrency": 20}
    run_id = grid.trigger(conf)
    grid.wait_for_calls(60)
    grid.kill("scheduler")
    assert grid.state(run_id) == "success"
    assert 200 <= grid.stage.judge.calls() <= 200 + 20


def test_a_killed_host_costs_what_it_had_in_flight(grid: Grid) -> None:
    """The living workers do the rest at once; the dead slices are tried again after a minute, and nothing is lost."""
    grid.stage.judge.faults({"fault": "latency", "seconds": 1.0})
    conf = {"cohort_id": "host", "essay_ids": grid.essays(3000, 250), "replicates": 1, "max_concurrency": AT_ONCE}
    run_id = grid.trigger(conf)
    grid.wait_for_calls(333)
    [(busiest, _)] = grid.calls_by_host("host", grid.callers()).most_common(1)
    grid.kill(busiest)
    assert grid.state(run_id) == "success"
    assert 1_000 <= grid.stage.judge.calls() <= 1_000 + AT_ONCE
    assert grid.summary(run_id)["scored"] == 1_000
