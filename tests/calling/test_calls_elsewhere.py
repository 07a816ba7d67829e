"""Runs in processes of their own that need the same evaluations at the same moment."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from essay_cohorts.ids import evaluation_gen_id
from tests.conftest import PlayedDag
from tests.judge_server import PROJECT, JudgeServer
from tests.store_builder import StoreBuilder

ONE_CELL: dict[str, Any] = {"templates": ["novelty"], "models": ["judge-a"], "replicates": 1, "max_concurrency": 4}
PATIENCE_S = 60.0


def conf(cohort: str, essays: list[str], **more: Any) -> dict[str, Any]:
    """One cohort over these essays."""
    return {**ONE_CELL, "cohort_id": cohort, "essay_ids": essays, **more}


@contextmanager
def run_beside(
    store: StoreBuilder, judge: JudgeServer, asked: dict[str, Any], run_id: str = "beside"
) -> Iterator[subprocess.Popen[str]]:
    """A run in a process of its own, from the moment that the judge has its first request."""
    before = judge.calls()
    command = [sys.executable, "-m", "tests.played_cohort", str(store.root), judge.base_url, run_id, "1"]
    with subprocess.Popen(
        [*command, json.dumps(asked)], cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
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


def told(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What the run beside said at its end."""
    out, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, errors[-2000:]
    said: dict[str, Any] = json.loads(out.splitlines()[-1])
    return said


def gen_id(essay: int) -> str:
    """The evaluation of an essay."""
    return evaluation_gen_id(f"e_essay{essay}", "novelty", "judge-a", 1)


def test_what_another_run_calls_for_is_waited_for(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """Two cohorts over the same twelve evaluations: each is called for once, and both are complete."""
    essays = [store.essay(number) for number in range(1, 13)]
    judge_server.faults({"fault": "latency", "seconds": 0.5})
    with run_beside(store, judge_server, conf("left", essays)) as beside:
        run = dag.run(conf("right", essays))
        assert told(beside)["complete"]
    assert run.summary.complete, run.summary.message
    assert judge_server.calls() == 12


def test_what_a_killed_run_was_calling_for_is_called_for(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """The other run is killed while its request is under way: this one asks again, and soon."""
    essays = [store.essay(1)]
    judge_server.faults({"fault": "hang", "times": 1})
    with run_beside(store, judge_server, conf("left", essays)) as beside:
        # Reaped too: a process that nobody has asked about is still there for others.
        beside.kill()
        beside.wait()
        run = dag.run(conf("right", essays))
    assert run.summary.complete
    assert judge_server.calls() == 2


def test_what_takes_too_long_elsewhere_is_told_and_taken_later(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """Longer than elsewhere_wait_s: an outcome of its own, red, no failure of ours; cleared later it is green."""
    essays = [store.essay(1), store.essay(2)]
    judge_server.faults({"fault": "latency", "seconds": 6, "contains": "number 1.", "times": 1})
    with run_beside(store, judge_server, conf("left", essays[:1])) as beside:
        dag.rules = {"elsewhere_wait_s": 0.5}
        run = dag.run(conf("right", essays))
        [row] = [row for row in store.rows("cohorts/right/scores.csv") if row["gen_id"] == gen_id(1)]
        assert row["outcome"] == "in_flight_elsewhere"
        assert not run.summary.complete
        assert "1 in flight elsewhere:" in run.summary.message
        assert "evaluation_backfill beside, evaluation.evaluation_raw 0, try 1 is calling the judge" in row["reason"]
        assert not (store.root / "gens" / "evaluation" / gen_id(1) / "failure.json").exists()
        assert told(beside)["complete"]
    calls = judge_server.calls()
    assert dag.run(conf("right", essays), try_number=2).summary.complete
    assert judge_server.calls() == calls


def test_a_run_started_again_beside_its_former_process(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """Marked failed and cleared while its process still calls: nothing is bought twice, the bound on calls holds."""
    essays = [store.essay(number) for number in range(1, 25)]
    judge_server.faults({"fault": "latency", "seconds": 0.4})
    with run_beside(store, judge_server, conf("c", essays), run_id="run-1") as beside:
        run = dag.run(conf("c", essays), run_id="run-1", try_number=2)
        assert told(beside)["complete"]
    assert run.summary.complete
    stats = judge_server.stats()
    assert (stats["requests"], stats["peak_in_flight"]) == (24, 4)


@pytest.mark.parametrize("latency_s", [0.0, 0.5])
def test_two_runs_that_ask_again_for_a_refused_reply_ask_once(
    latency_s: float, store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """retry_unscored in two runs at once buys one new reply, and the former one is kept."""
    essay = store.essay(1)
    store.evaluation("v_1", essay, score=None, reply="no", refused="no score line")
    judge_server.faults({"fault": "latency", "seconds": latency_s})
    with run_beside(store, judge_server, conf("left", [essay], retry_unscored=True)) as beside:
        assert dag.run(conf("right", [essay], retry_unscored=True)).summary.complete
        assert told(beside)["complete"]
    assert judge_server.calls() == 1
    assert store.read("gens/evaluation/v_1/raw.1.txt") == "no"
