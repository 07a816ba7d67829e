"""Tests with a real scheduler that concurrent DagRuns pay only once for the evaluations that they share."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import DAG_ID, FinishedRun, Stage

SHARED = 100


def missing(stage: Stage, first: int) -> list[str]:
    """Make essays, numbered from `first`, that miss SHARED evaluations: four for each essay."""
    return [stage.store.essay(number) for number in range(first, first + SHARED // 4)]


def run_together(stage: Stage, *confs: dict[str, object]) -> list[FinishedRun]:
    """Trigger one run for each conf at once, and wait for all."""
    run_ids = [stage.airflow.api.trigger(DAG_ID, conf) for conf in confs]
    return [stage.wait(run_id) for run_id in run_ids]


@pytest.mark.parametrize("first", [pytest.param(8000, id="once"), pytest.param(8500, id="and again")])
def test_two_cohorts_pay_once_for_what_they_share(stage: Stage, first: int) -> None:
    """Two cohorts that start together over the same missing evaluations succeed with one call for each."""
    pay_once_for_what_is_shared(stage, first)


def pay_once_for_what_is_shared(stage: Stage, first: int) -> None:
    """Run two cohorts with the same SHARED missing evaluations at once, and check what they paid for."""
    stage.judge.faults({"fault": "latency", "seconds": 0.3})
    conf = {"essay_ids": missing(stage, first), "replicates": 1}
    runs = run_together(stage, {**conf, "cohort_id": f"left{first}"}, {**conf, "cohort_id": f"right{first}"})
    assert [run.state for run in runs] == ["success", "success"]
    assert stage.judge.calls() == SHARED
    assert set(stage.judge.tally().values()) == {1}
    summaries = [run.xcom("summarise_cohort") for run in runs]
    assert sum(summary["called"] for summary in summaries) == SHARED
    assert [summary["planned"] for summary in summaries] == [SHARED, SHARED]


def test_two_triggers_of_one_cohort_pay_once_for_each_evaluation(stage: Stage) -> None:
    """Two concurrent runs of one cohort succeed with one call for each evaluation, within `max_concurrency`."""
    stage.judge.faults({"fault": "latency", "seconds": 0.3})
    conf = {"essay_ids": missing(stage, 9000), "replicates": 1, "cohort_id": "twice", "max_concurrency": 8}
    runs = run_together(stage, conf, conf)
    assert [run.state for run in runs] == ["success", "success"]
    assert stage.judge.calls() == SHARED
    assert stage.judge.stats()["peak_in_flight"] <= 8
