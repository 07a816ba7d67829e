"""DagRuns side by side that need the same evaluations, under a real scheduler: each is bought once, all are green."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import DAG_ID, FinishedRun, Stage

SHARED = 100


def missing(stage: Stage, first: int) -> list[str]:
    """Essays, numbered from `first`, of which SHARED evaluations are missing: four an essay."""
    return [stage.store.essay(number) for number in range(first, first + SHARED // 4)]


def run_together(stage: Stage, *confs: dict[str, object]) -> list[FinishedRun]:
    """Triggers all at once and waits for all."""
    run_ids = [stage.airflow.api.trigger(DAG_ID, conf) for conf in confs]
    return [stage.wait(run_id) for run_id in run_ids]


@pytest.mark.parametrize("first", [pytest.param(8000, id="once"), pytest.param(8500, id="and again")])
def test_two_cohorts_buy_what_they_share_once(stage: Stage, first: int) -> None:
    """Two cohorts over the same missing evaluations, started together: one call each, both runs `success`."""
    stage.judge.faults({"fault": "latency", "seconds": 0.3})
    conf = {"essay_ids": missing(stage, first), "replicates": 1}
    runs = run_together(stage, {**conf, "cohort_id": f"left{first}"}, {**conf, "cohort_id": f"right{first}"})
    assert [run.state for run in runs] == ["success", "success"]
    assert stage.judge.calls() == SHARED
    assert set(stage.judge.tally().values()) == {1}
    summaries = [run.xcom("summarise_cohort") for run in runs]
    assert sum(summary["called"] for summary in summaries) == SHARED
    assert [summary["planned"] for summary in summaries] == [SHARED, SHARED]


def test_two_triggers_of_one_cohort_buy_each_evaluation_once(stage: Stage) -> None:
    """One cohort triggered twice at once: one call each, never more in flight than allowed, both `success`."""
    stage.judge.faults({"fault": "latency", "seconds": 0.3})
    conf = {"essay_ids": missing(stage, 9000), "replicates": 1, "cohort_id": "twice", "max_concurrency": 8}
    runs = run_together(stage, conf, conf)
    assert [run.state for run in runs] == ["success", "success"]
    assert stage.judge.calls() == SHARED
    assert stage.judge.stats()["peak_in_flight"] <= 8
