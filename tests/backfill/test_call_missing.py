"""The step that spends money: what it calls, what it never calls again, and how it stops."""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from essay_cohorts.backfill import slice_tasks
from essay_cohorts.backfill.call_missing import call_missing
from essay_cohorts.calls import Stop
from essay_cohorts.errors import BadInput, RepliesMissing, StoreError
from essay_cohorts.ids import evaluation_gen_id
from essay_cohorts.planning.planned_run import PlannedRun
from essay_cohorts.planning.slices import Slice
from essay_cohorts.store.cohort_folder import CohortFolder
from tests.conftest import API_KEY, DAG_ID, PlayedDag, PlayedRun, full_disk, killed_before, task_ref
from tests.judge_server import JudgeServer
from tests.ledger_reading import claimed_ids, ledger_of
from tests.store_builder import StoreBuilder

Logged = Callable[[], list[str]]
ONE_CELL: dict[str, Any] = {"cohort_id": "c", "templates": ["novelty"], "models": ["judge-a"]}


def essays(store: StoreBuilder, count: int) -> list[str]:
    """Add `count` essays, selected for backfill; with k = 1 each needs one evaluation per template and model."""
    ids = [store.essay(n) for n in range(1, count + 1)]
    store.backfill(*ids)
    return ids


def gen_id(essay: int, *, template: str = "novelty", model: str = "judge-a", replicate: int = 1) -> str:
    """Return the id that is minted for an essay of this number."""
    return evaluation_gen_id(f"e_essay{essay}", template, model, replicate)


def failure_of(store: StoreBuilder, name: str) -> dict[str, Any]:
    """Return an evaluation's failure.json."""
    record: dict[str, Any] = json.loads(store.read(f"gens/evaluation/{name}/failure.json"))
    return record


def holds(store: StoreBuilder, name: str, file: str) -> bool:
    """Return whether an evaluation has a file."""
    return (store.root / "gens" / "evaluation" / name / file).exists()


def call(dag: PlayedDag, planned: PlannedRun, *, run_id: str = "run-1", try_number: int = 1) -> dict[str, int]:
    """Run only the calling step, with all evaluations to do as one slice."""
    return asyncio.run(calling_step(dag, planned, run_id=run_id, try_number=try_number))


async def calling_step(
    dag: PlayedDag, planned: PlannedRun, *, run_id: str = "run-1", try_number: int = 1
) -> dict[str, int]:
    """Return the coroutine that `call` runs."""
    part = Slice(kind="todo", start=0, stop=1_000, label="all", calls_at_once=planned.max_concurrency)
    task = task_ref(run_id, "evaluation.evaluation_raw", try_number, 0)
    return await call_missing(dag.settings, planned, part, task, dag.connect)


async def until_called(judge: JudgeServer, calls: int) -> None:
    """Wait until the judge has received this many requests."""
    while judge.calls() < calls:  # noqa: ASYNC110  (the server is another process)
        await asyncio.sleep(0.02)


def write_prompts(dag: PlayedDag, planned: PlannedRun) -> None:
    """Write the prompts of all evaluations to do."""
    slice_tasks.write_prompts(dag.settings, planned, Slice(kind="todo", start=0, stop=1_000, label="all"))


# ---------------------------------------------------------------- nothing to call


def test_without_anything_to_call_there_is_no_connection(store: StoreBuilder, dag: PlayedDag) -> None:
    """The Connection is not even read when every evaluation has a score or a reply."""
    essay = store.essay(1)
    store.evaluation("v_1", essay)
    store.evaluation("v_2", essay, replicate=2, score=None, reply="SCORE: 5")
    store.backfill(essay)
    dag.no_connection = AssertionError("nobody should connect")
    planned = dag.plan({**ONE_CELL, "replicates": 2})
    assert call(dag, planned) == {"called": 0}
    assert dag.run_planned(planned).summary.complete


def test_an_unusable_connection_is_reported_before_any_call(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """Bad input in the Connection is raised unchanged, and nothing was called."""
    essays(store, 1)
    dag.no_connection = BadInput([])
    planned = dag.plan({**ONE_CELL, "replicates": 1})
    write_prompts(dag, planned)
    with pytest.raises(BadInput):
        call(dag, planned)
    assert judge_server.calls() == 0


def test_a_retry_calls_only_where_there_is_no_reply(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """The next try of the step calls only for the evaluations without a reply."""
    essays(store, 3)
    planned = dag.plan({**ONE_CELL, "replicates": 1})
    write_prompts(dag, planned)
    judge_server.faults({"fault": "status", "status": 400, "contains": "number 2."})
    with pytest.raises(RepliesMissing, match="1 of 3 evaluations got no reply"):
        call(dag, planned)
    assert judge_server.calls() == 3
    judge_server.reset()
    assert call(dag, planned, try_number=2) == {"called": 1}
    assert [key[0] for key in judge_server.tally()] == ["2"]
    assert call(dag, planned, try_number=3) == {"called": 0}


@pytest.mark.parametrize("retry", [pytest.param(False, id="plainly"), pytest.param(True, id="with retry_unscored")])
def test_a_reply_of_another_run_is_not_paid_for_again(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer, retry: bool
) -> None:
    """If another run got the reply after this run was planned, this run does not call, whether scored or not."""
    essays(store, 1)
    conf = {**ONE_CELL, "replicates": 1, "retry_unscored": retry}
    mine, others = (dag.plan(conf, run_id=run_id) for run_id in ("run-1", "run-2"))
    write_prompts(dag, others)
    call(dag, others, run_id="run-2")
    judge_server.reset()
    assert call(dag, mine) == {"called": 0}
    assert judge_server.calls() == 0
    assert dag.run_planned(mine).summary.complete


# ---------------------------------------------------------------- cancelled before the end


async def call_and_cancel(
    dag: PlayedDag, planned: PlannedRun, judge: JudgeServer, *, after_calls: int, times: int = 1
) -> None:
    """Cancel the calling step once this many requests are under way, and again after 0.1 s as often as given."""
    calling = asyncio.ensure_future(calling_step(dag, planned))
    await until_called(judge, after_calls)
    for _ in range(times):
        calling.cancel()
        await asyncio.sleep(0.1)
    await calling


def nothing_is_held(store: StoreBuilder) -> bool:
    """Return whether the ledger has no claim, and the store no temporary file."""
    return not claimed_ids(store.root) and not [name for name in store.files() if name.endswith(".tmp")]


PRICED = (
    "id,model,for_evaluation,max_tokens,input_usd_per_mtok,output_usd_per_mtok\n"
    "judge-a,example/judge-a,true,1000,1,2\n"
)


@pytest.mark.parametrize("capped", [False, True], ids=["no budget", "a budget that is waited for"])
def test_a_cancelled_task_stores_the_replies_under_way(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer, capped: bool
) -> None:
    """No further request is sent, the replies under way are stored, and no claim or request stays open."""
    essays(store, 12)
    store.write("1_raw/llm_models.csv", PRICED)
    judge_server.faults({"fault": "latency", "seconds": 0.6})
    # The budget covers the worst case of two requests; each of them will cost much less.
    budget = {"max_cost_usd": 0.005} if capped else {}
    at_once = 2 if capped else 4
    planned = dag.plan({**ONE_CELL, "replicates": 1, "max_concurrency": 4, **budget})
    write_prompts(dag, planned)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(call_and_cancel(dag, planned, judge_server, after_calls=at_once))
    assert judge_server.calls() == at_once
    assert sum(holds(store, gen_id(number), "raw.txt") for number in range(1, 13)) == at_once
    assert nothing_is_held(store)
    assert ledger_of(store.root).unsettled("c") == []
    judge_server.reset()
    assert call(dag, planned, try_number=2) == {"called": 12 - at_once}


def test_a_cancelled_task_makes_no_further_attempt(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """Requests that wait for a retry or for their turn end at once, and no call is made for them."""
    essays(store, 6)
    judge_server.faults({"fault": "status", "status": 429, "retry_after": 60})
    dag.rules = {"max_attempts": 9}
    planned = dag.plan({**ONE_CELL, "replicates": 1, "max_concurrency": 3})
    write_prompts(dag, planned)
    started = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(call_and_cancel(dag, planned, judge_server, after_calls=3))
    assert time.monotonic() - started < 50
    assert judge_server.calls() == 3
    assert nothing_is_held(store)


def test_an_error_while_a_task_is_cancelled_is_raised(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """The error names the disk that refused the last replies, because a retry would only pay for them again."""
    essays(store, 2)
    judge_server.faults({"fault": "latency", "seconds": 0.6})
    planned = dag.plan({**ONE_CELL, "replicates": 1, "max_concurrency": 2})
    write_prompts(dag, planned)

    async def with_a_full_disk() -> None:
        ended = asyncio.ensure_future(call_and_cancel(dag, planned, judge_server, after_calls=2))
        await until_called(judge_server, 2)
        with full_disk(300):
            await ended

    with pytest.raises(StoreError):
        asyncio.run(with_a_full_disk())


def test_a_task_cancelled_twice_releases_its_claims(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """Cancelled again while it waits for its last replies, the step leaves no claim and logs the requests it sent."""
    essays(store, 3)
    judge_server.faults({"fault": "hang"})
    planned = dag.plan({**ONE_CELL, "replicates": 1, "max_concurrency": 2})
    write_prompts(dag, planned)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(call_and_cancel(dag, planned, judge_server, after_calls=2, times=2))
    assert nothing_is_held(store)
    unsettled = ledger_of(store.root).unsettled("c")
    assert len(unsettled) == 2


# ---------------------------------------------------------------- partly failed slices


def test_a_slice_that_goes_wrong_in_every_way(store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer) -> None:
    """Garbage, a cut reply, a permanent 500 and a 400 are told apart; the rest of the slice is scored."""
    essays(store, 6)
    judge_server.faults(
        {"fault": "garbage", "contains": "number 2."},
        {"fault": "truncate", "contains": "number 3."},
        {"fault": "status", "status": 500, "message": "It is broken.", "contains": "number 4."},
        {"fault": "status", "status": 400, "message": "It is too long.", "contains": "number 5."},
    )
    run = dag.run({**ONE_CELL, "replicates": 1, "batch_size": 100})
    assert len(run.slices) == 1
    outcomes = {row["parent_gen_id"]: (row["outcome"], row["reason"]) for row in store.rows("cohorts/c/scores.csv")}
    assert [outcomes[f"e_essay{n}"][0] for n in range(1, 7)] == [
        "scored",
        "unscored",
        "unscored",
        "failed",
        "failed",
        "scored",
    ]
    assert "none of the last three lines" in outcomes["e_essay2"][1]
    assert "truncated" in outcomes["e_essay3"][1]
    assert "the server said 500: It is broken. (attempts: 3)" in outcomes["e_essay4"][1]
    assert judge_server.calls() == 4 + 1 + 3
    assert not run.summary.complete
    [error] = run.errors.values()
    assert isinstance(error, RepliesMissing)
    assert "2 of 6 evaluations got no reply" in str(error)
    assert gen_id(4) in str(error)
    assert "It is broken." in str(error)
    assert "clear the run" in str(error)


def test_the_record_of_a_failure(store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer) -> None:
    """failure.json records what happened, how often it was tried, and in which run and try."""
    essays(store, 1)
    judge_server.faults({"fault": "status", "status": 503, "message": "Later."})
    dag.run({**ONE_CELL, "replicates": 1}, run_id="run-9", try_number=2)
    record = failure_of(store, gen_id(1))
    assert record.pop("created_at")
    assert record == {
        "kind": "http_503",
        "status": 503,
        "message": "the server said 503: Later.",
        "attempts": 3,
        "dag_id": DAG_ID,
        "run_id": "run-9",
        "try_number": 2,
    }


def test_cleared_after_a_fix_only_the_failed_evaluation_is_called(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """Once the server works again, clearing the run makes exactly one call, and the run ends green."""
    essays(store, 3)
    judge_server.faults({"fault": "status", "status": 500, "contains": "number 2."})
    conf = {**ONE_CELL, "replicates": 1}
    assert not dag.run(conf).summary.complete
    judge_server.reset()
    run = dag.run(conf, try_number=2)
    assert judge_server.calls() == 1
    assert run.summary.complete
    assert not holds(store, gen_id(2), "failure.json")
    # This DagRun also paid for the replies of its first try.
    assert run.summary.totals.called == 3


def test_the_same_conf_again_is_as_good_as_clearing(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """A new run of the same conf continues what the failed run left, and calls only for the missing replies."""
    essays(store, 3)
    judge_server.faults({"fault": "status", "status": 500, "contains": "number 2."})
    conf = {**ONE_CELL, "replicates": 1}
    dag.run(conf, run_id="run-1")
    membership = store.read("cohorts/c/membership.csv")
    judge_server.reset()
    run = dag.run(conf, run_id="run-2")
    assert judge_server.calls() == 1
    assert store.read("cohorts/c/membership.csv") == membership
    assert (run.summary.complete, run.summary.totals.called) == (True, 1)


def test_failures_are_named_up_to_a_readable_number(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """A message about many failures names twenty of them and counts the rest."""
    essays(store, 23)
    judge_server.faults({"fault": "status", "status": 500})
    run = dag.run({**ONE_CELL, "replicates": 1, "batch_size": 100})
    [error] = run.errors.values()
    assert str(error).count("the server said 500") == 20
    assert "and 3 more" in str(error)


# ---------------------------------------------------------------- inputs deleted after planning


def test_a_deleted_prompt(store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer) -> None:
    """An evaluation without its prompt is not called: its record says why, and the others are called."""
    essays(store, 2)
    planned = dag.plan({**ONE_CELL, "replicates": 1})
    write_prompts(dag, planned)
    (store.root / f"gens/evaluation/{gen_id(1)}/prompt.txt").unlink()
    with pytest.raises(RepliesMissing, match=r"prompt\.txt has disappeared since planning"):
        call(dag, planned)
    assert (failure_of(store, gen_id(1))["kind"], failure_of(store, gen_id(1))["attempts"]) == ("not_ready", 0)
    assert judge_server.calls() == 1


def test_a_deleted_model(store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer) -> None:
    """A model that was removed from the CSV after planning is not called; another model is."""
    essays(store, 1)
    planned = dag.plan({"cohort_id": "c", "templates": ["novelty"], "replicates": 1})
    write_prompts(dag, planned)
    store.models("judge-b")
    with pytest.raises(
        RepliesMissing, match=r"model judge-a in 1_raw/llm_models\.csv has disappeared since planning"
    ):
        call(dag, planned)
    assert [key[2] for key in judge_server.tally()] == ["example/judge-b"]


# ---------------------------------------------------------------- stops


@pytest.mark.parametrize(
    ("batch_size", "max_concurrency"),
    [
        pytest.param(None, 16, id="automatic slices"),
        pytest.param(5, 4, id="more slices than calls allowed"),
        pytest.param(200, 3, id="one slice"),
    ],
)
def test_a_wrong_key_costs_few_calls(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer, batch_size: int | None, max_concurrency: int
) -> None:
    """With 200 missing replies and a refused key, at most max_concurrency calls are made over all slices."""
    essays(store, 50)
    dag.processes = 4
    message = f"Incorrect API key provided: {API_KEY}"
    judge_server.faults({"fault": "status", "status": 401, "message": message})
    conf = {**ONE_CELL, "batch_size": batch_size, "max_concurrency": max_concurrency}
    run = dag.run(conf)
    assert run.planned.call == 200
    assert 1 <= judge_server.calls() <= max_concurrency
    assert len(run.errors) == len(run.slices)
    for text in (run.summary.message, *map(str, run.errors.values())):
        assert "the server said 401: Incorrect API key provided: ***" in text
        assert "llm_default" in text
        assert API_KEY not in text
    totals = run.summary.totals
    assert (totals.failed, totals.not_run, totals.scored) == (judge_server.calls(), 200 - judge_server.calls(), 0)
    assert all(API_KEY.encode() not in content for content in store.files().values())


@pytest.mark.parametrize(
    ("status", "other_called"),
    [
        pytest.param(402, False, id="402 stops the run"),
        pytest.param(403, True, id="403 stops the model"),
        pytest.param(404, True, id="404 stops the model"),
        pytest.param(422, True, id="three equal refusals stop the model"),
    ],
)
def test_how_far_a_stop_reaches(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer, status: int, other_called: bool
) -> None:
    """A cause stops the model that it concerns, or the whole run; the other model is called or not accordingly."""
    essays(store, 10)
    judge_server.faults({"fault": "status", "status": status, "message": "No.", "model": "example/judge-a"})
    conf = {"cohort_id": "c", "templates": ["novelty"], "replicates": 1, "max_concurrency": 1, "batch_size": 100}
    run = dag.run(conf)
    asked = [key[2] for key in judge_server.tally().elements()]
    assert asked.count("example/judge-a") == (3 if status == 422 else 1)
    assert asked.count("example/judge-b") == (10 if other_called else 0)
    assert run.summary.totals.scored == (10 if other_called else 0)


def test_made_up_replies_are_refused_by_a_real_store(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """Without the marker file, the offline judge's first reply stops the run, and nothing of it is stored."""
    essays(store, 10)
    (store.root / "1_raw/OFFLINE_OK").unlink()
    run = dag.run({**ONE_CELL, "replicates": 1, "max_concurrency": 2})
    assert judge_server.calls() <= 2
    assert not [name for name in store.files("gens/evaluation") if "raw" in name or "parsed" in name]
    assert "offline-judge-not-a-model" in run.summary.message
    assert "OFFLINE_OK" in run.summary.message
    assert not run.summary.complete


@pytest.mark.parametrize(
    ("try_number", "calls"), [pytest.param(1, 0, id="first try"), pytest.param(2, 2, id="a later try")]
)
def test_stops_of_an_earlier_time(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer, try_number: int, calls: int
) -> None:
    """A first try obeys a stop of another slice of its run; a later try ignores the stops that it finds."""
    essays(store, 2)
    planned = dag.plan({**ONE_CELL, "replicates": 1})
    folder = CohortFolder(root=store.root, cohort_id="c")
    folder.add_stop(
        planned.run_key, Stop(model_id=None, kind="http_401", message="another slice heard: 401", status=401)
    )
    run = dag.run_planned(planned, try_number=try_number)
    assert judge_server.calls() == calls
    assert run.summary.complete is (calls == 2)
    if not calls:
        assert run.summary.totals.not_run == 2
        assert "another slice heard: 401" in run.summary.message
        assert failure_of(store, gen_id(1))["kind"] == "stopped"


def test_a_cleared_run_ignores_the_stops_of_its_former_try(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """After the key was fixed, clearing the run calls for everything, despite the stops of the first try."""
    essays(store, 3)
    judge_server.faults({"fault": "status", "status": 401})
    conf = {**ONE_CELL, "replicates": 1}
    dag.run(conf)
    judge_server.reset()
    assert dag.run(conf, try_number=2).summary.complete
    assert judge_server.calls() == 3


def test_a_stop_ends_the_retries_of_calls_under_way(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """A call that waits for its next attempt makes none once another call has stopped the run."""
    essays(store, 2)
    dag.rules = {"max_attempts": 100, "first_wait_s": 0.05, "longest_wait_s": 0.1}
    judge_server.faults(
        {"fault": "status", "status": 500, "contains": "number 1."},
        {"fault": "status", "status": 401, "contains": "number 2."},
    )
    run = dag.run({**ONE_CELL, "replicates": 1, "batch_size": 100})
    assert judge_server.tally()["2", "novelty", "example/judge-a"] == 1
    assert judge_server.tally()["1", "novelty", "example/judge-a"] < 20
    assert run.summary.totals.failed == 2


# ---------------------------------------------------------------- calls in flight


@pytest.mark.parametrize(
    "batch_size", [pytest.param(None, id="automatic slices"), pytest.param(1, id="a slice each, more than slots")]
)
def test_calls_in_flight_never_exceed_the_limit(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer, batch_size: int | None
) -> None:
    """With a slow server and parallel slices, several calls are in flight, but never more than max_concurrency."""
    essays(store, 12)
    judge_server.faults({"fault": "latency", "seconds": 0.1})
    run = dag.run({**ONE_CELL, "replicates": 1, "max_concurrency": 3, "batch_size": batch_size})
    assert run.summary.complete
    assert 1 < judge_server.stats()["peak_in_flight"] <= 3
    assert judge_server.calls() == 12


def test_one_at_a_time(store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer) -> None:
    """max_concurrency 1 means one call in flight, also over several slices."""
    essays(store, 6)
    judge_server.faults({"fault": "latency", "seconds": 0.02})
    assert dag.run({**ONE_CELL, "replicates": 1, "max_concurrency": 1, "batch_size": 2}).summary.complete
    assert judge_server.stats()["peak_in_flight"] == 1


# ---------------------------------------------------------------- calling again for refused replies


@pytest.fixture
def refused(store: StoreBuilder) -> StoreBuilder:
    """Return a store with an essay that has one scored evaluation and one whose reply an earlier run refused."""
    essay = store.essay(1)
    store.evaluation("v_refused", essay, replicate=1, score=None, reply="hm", refused="no score")
    store.json("gens/evaluation/v_refused/raw_metadata.json", {"dag_id": DAG_ID, "run_id": "long ago"})
    store.evaluation("v_scored", essay, replicate=2)
    store.backfill(essay)
    return store


AGAIN: dict[str, Any] = {**ONE_CELL, "replicates": 2, "retry_unscored": True}


def test_refused_replies_are_left_alone_by_default(
    refused: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """Without retry_unscored a refused reply costs nothing more, and the run is red."""
    run = dag.run({**AGAIN, "retry_unscored": False})
    assert judge_server.calls() == 0
    assert not run.summary.complete
    assert "v_refused: no score" in run.summary.message
    assert "retry_unscored" in run.summary.message


def test_a_refused_reply_is_called_again_once(
    refused: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """retry_unscored makes one call for the refused reply; the former reply, record and verdict are kept."""
    run = dag.run(AGAIN)
    assert judge_server.calls() == 1
    assert run.summary.complete
    assert refused.read("gens/evaluation/v_refused/raw.1.txt") == "hm"
    assert json.loads(refused.read("gens/evaluation/v_refused/raw_metadata.1.json"))["run_id"] == "long ago"
    assert json.loads(refused.read("gens/evaluation/v_refused/parsed_metadata.1.json"))["reason"] == "no score"
    assert json.loads(refused.read("gens/evaluation/v_refused/parsed_metadata.json"))["success"] is True


def test_once_a_dag_run_however_often_it_is_cleared(
    refused: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """If the second reply is refused too, the same DagRun makes no third call, neither on a retry nor on a clear."""
    judge_server.faults({"fault": "garbage"})
    first = dag.run(AGAIN)
    assert judge_server.calls() == 1
    dag.run_planned(first.planned, try_number=2)
    dag.run(AGAIN, try_number=3)
    assert judge_server.calls() == 1
    second = dag.run(AGAIN, run_id="run-2")
    assert judge_server.calls() == 2
    dag.run_planned(second.planned, run_id="run-2", try_number=2)
    assert judge_server.calls() == 2
    assert refused.read("gens/evaluation/v_refused/raw.1.txt") == "hm"
    assert "offline judge" in refused.read("gens/evaluation/v_refused/raw.2.txt")
    assert not holds(refused, "v_refused", "raw.3.txt")


def test_a_call_that_failed_may_be_made_again(
    refused: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """When the new call got no reply, the former reply stays in place, and clearing the run calls once more."""
    judge_server.faults({"fault": "status", "status": 500})
    run = dag.run(AGAIN)
    assert run.summary.totals.failed == 1
    assert refused.read("gens/evaluation/v_refused/raw.txt") == "hm"
    judge_server.reset()
    assert dag.run(AGAIN, try_number=2).summary.complete
    assert judge_server.calls() == 1
    assert not holds(refused, "v_refused", "failure.json")


# ---------------------------------------------------------------- crashes and disks


@dataclass(frozen=True, kw_only=True, slots=True)
class Crashed:
    """A run of one evaluation whose calling step was killed: its number of calls, and whether a reply is complete."""

    point: int
    dag: PlayedDag
    planned: PlannedRun
    paid: int
    whole: bool


def crashed_calls(tmp_path: Path, judge_server: JudgeServer) -> Iterator[Crashed]:
    """Yield a run for each point at which its calling step can be killed, and one that reached its end."""
    for point in itertools.count(1):
        store = StoreBuilder.sample(tmp_path / f"point {point}")
        essays(store, 1)
        dag = PlayedDag(root=store.root, base_url=judge_server.base_url)
        planned = dag.plan(ONE)
        write_prompts(dag, planned)
        judge_server.reset()
        folder = store.root / "gens" / "evaluation" / gen_id(1)
        died = killed_before(point, folder, partial(call, dag, planned))
        texts = {path.name.removeprefix("."): path.read_bytes() for path in folder.iterdir()}
        whole = all(
            any(name.startswith(start) and mark in text for name, text in texts.items())
            for start, mark in (("raw.txt", b"SCORE:"), ("raw_metadata.json", b"reply_sha256"))
        )
        yield Crashed(point=point, dag=dag, planned=planned, paid=judge_server.calls(), whole=whole)
        shutil.rmtree(store.root)
        if not died:
            return


ONE: dict[str, Any] = {**ONE_CELL, "replicates": 1}


@pytest.mark.slow
@pytest.mark.parametrize(
    "resume",
    [
        pytest.param(lambda crashed: crashed.dag.run(ONE, try_number=2), id="the run is cleared"),
        pytest.param(
            lambda crashed: crashed.dag.run_planned(crashed.planned, try_number=2), id="the tasks are tried again"
        ),
        pytest.param(lambda crashed: crashed.dag.run(ONE, run_id="run-2"), id="another run"),
    ],
)
def test_killed_at_any_point_of_a_call_nothing_is_paid_for_twice(
    tmp_path: Path, judge_server: JudgeServer, resume: Callable[[Crashed], PlayedRun]
) -> None:
    """After a crash at any point, the next run calls only if there was no complete reply on the disk."""
    seen = set()
    for crashed in crashed_calls(tmp_path, judge_server):
        run = resume(crashed)
        assert judge_server.calls() - crashed.paid == (0 if crashed.whole else 1), f"killed before {crashed.point}"
        assert run.summary.complete, f"killed before {crashed.point}"
        seen.add((crashed.paid, crashed.whole))
    assert seen == {(0, False), (1, False), (1, True)}, "the crashes missed an interesting moment"


def test_what_a_crash_left_is_scored_without_the_calling_step(tmp_path: Path, judge_server: JudgeServer) -> None:
    """A complete reply in temporary files is scored even if the calling step does not run again."""
    for crashed in crashed_calls(tmp_path, judge_server):
        part = Slice(kind="todo", start=0, stop=1, label="")
        task = task_ref("run-1", "evaluation.evaluation_parsed", 1, 0)
        counts = slice_tasks.parse_replies(crashed.dag.settings, crashed.planned, part, task)
        assert counts["scored"] == crashed.whole, f"killed before {crashed.point}"


def test_the_prompt_of_a_reply_that_a_crash_left_stays(tmp_path: Path, judge_server: JudgeServer) -> None:
    """A template edited after the crash does not replace the prompt of a reply in temporary files."""
    for crashed in crashed_calls(tmp_path, judge_server):
        store = StoreBuilder(crashed.dag.root)
        name = f"gens/evaluation/{gen_id(1)}/prompt.txt"
        asked = store.read(name)
        store.write("1_raw/templates/evaluation/novelty.txt", "Judge novelty anew. {{ response }}")
        write_prompts(crashed.dag, crashed.planned)
        assert (store.read(name) == asked) is crashed.whole, f"killed before {crashed.point}"


def test_a_full_disk_stops_calling_at_once(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer, log_lines: Logged
) -> None:
    """When a reply cannot be stored, no further call is made, the error says so, and the reply is in the log."""
    essays(store, 5)
    planned = dag.plan({**ONE_CELL, "replicates": 1, "max_concurrency": 1})
    write_prompts(dag, planned)
    judge_server.faults({"fault": "reply", "content": f"{'x' * 2_000_000}\nSCORE: 5"})
    with full_disk(1_000_000), pytest.raises(StoreError, match="cannot be written"):
        call(dag, planned)
    assert judge_server.calls() == 1
    [line] = [line for line in log_lines() if "paid for, but not stored" in line]
    assert line.endswith("x" * 4_000)
    assert not [name for name in store.files("gens/evaluation") if "raw" in name or "lease" in name]


def test_on_a_disk_that_is_full_already_nothing_is_called(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """A call that cannot be recorded on disk beforehand is not made."""
    essays(store, 5)
    planned = dag.plan({**ONE_CELL, "replicates": 1})
    write_prompts(dag, planned)
    with full_disk(0), pytest.raises(StoreError, match="cannot be written"):
        call(dag, planned)
    assert judge_server.calls() == 0


def test_calls_under_way_are_stored_when_one_fails(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """An error while one reply is stored does not lose the replies that are under way."""
    essays(store, 3)
    planned = dag.plan({**ONE_CELL, "replicates": 1})
    write_prompts(dag, planned)
    judge_server.faults(
        {"fault": "reply", "content": "x" * 2_000_000, "contains": "number 3."},
        {"fault": "latency", "seconds": 0.5, "contains": "number 2."},
    )
    with full_disk(1_000_000), pytest.raises(StoreError, match=gen_id(3)):
        call(dag, planned)
    assert holds(store, gen_id(2), "raw.txt")


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param({"model": "x \ud83d"}, id="half a surrogate pair in the model's name"),
        pytest.param({"finish_reason": "stop \ud83d"}, id="half a surrogate pair in the reason to end"),
    ],
)
def test_a_paid_reply_is_stored_whatever_is_in_it(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer, rule: dict[str, str]
) -> None:
    """A reply whose record cannot be encoded as UTF-8 is stored anyway, and paid for once."""
    essays(store, 1)
    judge_server.faults({"fault": "reply", "content": "SCORE: 7", **rule})
    dag.run({**ONE_CELL, "replicates": 1})
    assert store.read(f"gens/evaluation/{gen_id(1)}/raw.txt") == "SCORE: 7"
    assert judge_server.calls() == 1


# ---------------------------------------------------------------- the log


def test_the_log_shows_progress(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer, log_lines: Logged
) -> None:
    """A person who watches the log sees which models are called and how many calls are done."""
    essays(store, 3)
    dag.run({**ONE_CELL, "replicates": 1, "batch_size": 100})
    lines = log_lines()
    assert f"Calling judges for 3 evaluations, 16 at once, at {judge_server.base_url}/" in lines
    [progress] = [line for line in lines if line.startswith("3 of 3 calls done, ")]
    assert progress.endswith("/s, cost unknown so far, 0 refused, 0 retried")
    assert not [line for line in lines if API_KEY in line]
