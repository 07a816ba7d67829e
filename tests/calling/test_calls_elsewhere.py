"""Two runs in separate processes that need the same evaluations at the same moment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from essay_cohorts.ids import evaluation_gen_id
from tests.conftest import PlayedDag
from tests.judge_server import PROJECT, JudgeServer
from tests.store_builder import StoreBuilder

pytestmark = pytest.mark.slow

ONE_CELL: dict[str, Any] = {"templates": ["novelty"], "models": ["judge-a"], "replicates": 1, "max_concurrency": 4}
PATIENCE_S = 60.0
NO_MORE: Mapping[str, str] = {}


def conf(cohort: str, essays: list[str], **more: Any) -> dict[str, Any]:
    """Return the conf of a cohort of these essays."""
    return {**ONE_CELL, "cohort_id": cohort, "essay_ids": essays, **more}


@contextmanager
def run_beside(
    store: StoreBuilder,
    judge: JudgeServer,
    asked: dict[str, Any],
    run_id: str = "beside",
    environment: Mapping[str, str] = NO_MORE,
) -> Iterator[subprocess.Popen[str]]:
    """Start a run in another process, and enter the block when the judge has the run's first request."""
    before = judge.calls()
    command = [sys.executable, "-m", "tests.played_cohort", str(store.root), judge.base_url, run_id, "1"]
    with subprocess.Popen(
        [*command, json.dumps(asked)],
        cwd=PROJECT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            end = time.monotonic() + PATIENCE_S
            while judge.calls() == before:
                assert process.poll() is None
                assert time.monotonic() < end
                time.sleep(0.02)
            yield process
        finally:
            process.kill()


def result_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Return the result that the other run printed at its end."""
    out, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, errors[-2000:]
    result: dict[str, Any] = json.loads(out.splitlines()[-1])
    return result


def gen_id(essay: int) -> str:
    """Return the gen_id of an essay's evaluation."""
    return evaluation_gen_id(f"e_essay{essay}", "novelty", "judge-a", 1)


def test_a_call_of_another_run_is_waited_for(store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer) -> None:
    """Two cohorts have the same twelve evaluations: one call is made for each, and both cohorts are complete."""
    essays = [store.essay(number) for number in range(1, 13)]
    judge_server.faults({"fault": "latency", "seconds": 0.5})
    with run_beside(store, judge_server, conf("left", essays)) as other_process:
        run = dag.run(conf("right", essays))
        assert result_of(other_process)["complete"]
    assert run.summary.complete, run.summary.message
    assert judge_server.calls() == 12


def test_a_call_of_a_killed_run_is_made_again(store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer) -> None:
    """If the other run is killed while its request is in flight, this run soon asks again."""
    essays = [store.essay(1)]
    judge_server.faults({"fault": "hang", "times": 1})
    with run_beside(store, judge_server, conf("left", essays)) as other_process:
        # Wait for the killed process: until then it is a zombie, and other processes believe that it is alive.
        other_process.kill()
        other_process.wait()
        run = dag.run(conf("right", essays))
    assert run.summary.complete
    assert judge_server.calls() == 2


def test_a_call_of_another_run_that_takes_too_long_is_reported(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """After elsewhere_wait_s, the outcome is in_flight_elsewhere, without a failure.json.

    The run fails. When it is cleared later, it is complete without another call.
    """
    essays = [store.essay(1), store.essay(2)]
    judge_server.faults({"fault": "latency", "seconds": 6, "contains": "number 1.", "times": 1})
    with run_beside(store, judge_server, conf("left", essays[:1])) as other_process:
        dag.rules = {"elsewhere_wait_s": 0.5}
        run = dag.run(conf("right", essays))
        [row] = [row for row in store.rows("cohorts/right/scores.csv") if row["gen_id"] == gen_id(1)]
        assert row["outcome"] == "in_flight_elsewhere"
        assert not run.summary.complete
        assert "1 in flight elsewhere:" in run.summary.message
        assert "evaluation_backfill beside, evaluation.evaluation_raw 0, try 1 is calling the judge" in row["reason"]
        assert not (store.root / "gens" / "evaluation" / gen_id(1) / "failure.json").exists()
        assert result_of(other_process)["complete"]
    calls = judge_server.calls()
    assert dag.run(conf("right", essays), try_number=2).summary.complete
    assert judge_server.calls() == calls


def test_a_cleared_run_whose_former_process_is_still_alive(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """A run is cleared while its former process still makes calls: no call is made twice, max_concurrency holds."""
    essays = [store.essay(number) for number in range(1, 25)]
    judge_server.faults({"fault": "latency", "seconds": 0.4})
    with run_beside(store, judge_server, conf("c", essays), run_id="run-1") as other_process:
        run = dag.run(conf("c", essays), run_id="run-1", try_number=2)
        assert result_of(other_process)["complete"]
    assert run.summary.complete
    stats = judge_server.stats()
    assert (stats["requests"], stats["peak_in_flight"]) == (24, 4)


@pytest.mark.parametrize("latency_s", [0.0, 0.5])
def test_two_runs_that_ask_again_for_a_refused_reply_ask_once(
    latency_s: float, store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """Two simultaneous runs with retry_unscored make only one call, and the former reply is kept."""
    essay = store.essay(1)
    store.evaluation("v_1", essay, score=None, reply="no", refused="no score line")
    judge_server.faults({"fault": "latency", "seconds": latency_s})
    with run_beside(store, judge_server, conf("left", [essay], retry_unscored=True)) as other_process:
        assert dag.run(conf("right", [essay], retry_unscored=True)).summary.complete
        assert result_of(other_process)["complete"]
    assert judge_server.calls() == 1
    assert store.read("gens/evaluation/v_1/raw.1.txt") == "no"
