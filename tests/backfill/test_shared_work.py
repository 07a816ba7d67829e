"""Slices of a run share its work: what one slice does not get done, the living ones do."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from essay_cohorts.backfill import slice_tasks
from essay_cohorts.backfill.call_missing import call_missing
from essay_cohorts.errors import RepliesMissing
from essay_cohorts.planning.planned_run import PlannedRun
from essay_cohorts.planning.slices import Slice
from essay_cohorts.store.cohort_folder import CohortFolder
from tests.conftest import PlayedDag, task_ref
from tests.judge_server import JudgeServer
from tests.ledger_reading import claimed_by, claimed_ids
from tests.store_builder import StoreBuilder

CONF: dict[str, Any] = {"cohort_id": "c", "templates": ["novelty"], "models": ["judge-a"], "replicates": 1}


@pytest.fixture
def planned(store: StoreBuilder, dag: PlayedDag) -> PlannedRun:
    """Plan twenty calls."""
    essays = [store.essay(number) for number in range(1, 21)]
    return dag.plan({**CONF, "essay_ids": essays, "max_concurrency": 4, "batch_size": 10})


@pytest.fixture
def halves(dag: PlayedDag, planned: PlannedRun) -> list[Slice]:
    """Return the two slices of ten calls each, with their prompts written."""
    slices = [Slice(**part) for part in slice_tasks.cut_into_slices(dag.settings, planned)]
    assert [part.stop - part.start for part in slices] == [10, 10]
    for part in slices:
        slice_tasks.write_prompts(dag.settings, planned, part)
    return slices


async def call_for(dag: PlayedDag, planned: PlannedRun, part: Slice, map_index: int = 0) -> dict[str, int]:
    """Run the calling task of one slice."""
    task = task_ref("run-1", "evaluation.evaluation_raw", 1, map_index)
    return await call_missing(dag.settings, planned, part, task, dag.connect)


def test_a_slice_does_the_work_of_a_dead_one(
    dag: PlayedDag, planned: PlannedRun, halves: list[Slice], judge_server: JudgeServer
) -> None:
    """Only one of two slices runs: it calls for all; the other one, tried again, has nothing left to do."""
    assert asyncio.run(call_for(dag, planned, halves[1])) == {"called": 20}
    assert asyncio.run(call_for(dag, planned, halves[0])) == {"called": 0}
    assert judge_server.calls() == 20
    assert claimed_ids(dag.root) == []


def test_two_living_slices_call_once_for_each(
    dag: PlayedDag, planned: PlannedRun, halves: list[Slice], judge_server: JudgeServer
) -> None:
    """However the work is shared between two slices at once, each evaluation is called for once."""

    async def both() -> list[dict[str, int]]:
        return await asyncio.gather(*(call_for(dag, planned, part, place) for place, part in enumerate(halves)))

    judge_server.faults({"fault": "latency", "seconds": 0.2, "contains": "number 1."})
    assert sum(each["called"] for each in asyncio.run(both())) == 20
    assert judge_server.calls() == 20


def test_a_slice_that_has_not_begun_keeps_its_work(
    store: StoreBuilder, dag: PlayedDag, planned: PlannedRun, judge_server: JudgeServer
) -> None:
    """Without its prompts the other slice is left alone, and no failure is recorded for it."""
    slices = [Slice(**part) for part in slice_tasks.cut_into_slices(dag.settings, planned)]
    slice_tasks.write_prompts(dag.settings, planned, slices[0])
    assert asyncio.run(call_for(dag, planned, slices[0])) == {"called": 10}
    assert judge_server.calls() == 10
    assert not [name for name in store.files("gens/evaluation") if name.endswith("failure.json")]


def test_what_another_task_calls_for_is_neither_taken_nor_awaited(
    dag: PlayedDag, planned: PlannedRun, halves: list[Slice], judge_server: JudgeServer
) -> None:
    """A claimed evaluation of the other slice is passed over."""
    rows = CohortFolder(root=dag.root, cohort_id="c").slice_plan(planned.run_key, halves[0].name) or ()
    with claimed_by(task_ref("run-1", "evaluation.evaluation_raw", 1, 0), dag.root, rows[3].member.gen_id):
        assert asyncio.run(call_for(dag, planned, halves[1])) == {"called": 19}
    assert judge_server.calls() == 19


def test_a_failure_is_told_by_its_own_slice(
    dag: PlayedDag, planned: PlannedRun, halves: list[Slice], judge_server: JudgeServer
) -> None:
    """The slice that helps is green; only the slice that the evaluation belongs to tries again, and names it."""
    judge_server.faults({"fault": "status", "status": 400, "message": "It is too long.", "contains": "number 2."})
    assert asyncio.run(call_for(dag, planned, halves[1])) == {"called": 19}
    with pytest.raises(RepliesMissing, match="1 of 1 evaluation got no reply"):
        asyncio.run(call_for(dag, planned, halves[0]))
    asked = judge_server.calls()
    assert asyncio.run(call_for(dag, planned, halves[1])) == {"called": 0}
    assert judge_server.calls() == asked


def test_a_prompt_of_an_earlier_run_is_not_sent(
    store: StoreBuilder, dag: PlayedDag, planned: PlannedRun, halves: list[Slice], judge_server: JudgeServer
) -> None:
    """A slice of a new run is left alone until that run has written its prompts, even if older prompts are there."""
    again = dag.plan({**CONF, "essay_ids": [f"e_essay{n}" for n in range(1, 21)], "batch_size": 10}, run_id="run-2")
    slices = [Slice(**part) for part in slice_tasks.cut_into_slices(dag.settings, again)]
    slice_tasks.write_prompts(dag.settings, again, slices[1])
    assert asyncio.run(call_for(dag, again, slices[1])) == {"called": 10}
    slice_tasks.write_prompts(dag.settings, again, slices[0])
    assert asyncio.run(call_for(dag, again, slices[0])) == {"called": 10}
    assert judge_server.calls() == 20


def test_a_failure_of_a_helper_is_not_repeated_at_once(
    dag: PlayedDag, planned: PlannedRun, halves: list[Slice], judge_server: JudgeServer
) -> None:
    """What another slice has tried since this one began is not tried again, but counts as failed here."""
    judge_server.faults(
        {"fault": "status", "status": 400, "message": "It is too long.", "contains": "number 10."},
        {"fault": "latency", "seconds": 1.0, "contains": "number 1."},
        {"fault": "latency", "seconds": 1.0, "contains": "number 2."},
    )

    async def both() -> list[dict[str, int] | BaseException]:
        return await asyncio.gather(
            *(call_for(dag, planned, part, place) for place, part in enumerate(halves)), return_exceptions=True
        )

    results = asyncio.run(both())
    assert [type(each) for each in results].count(RepliesMissing) == 1
    assert judge_server.calls() == 20
