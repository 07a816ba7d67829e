"""Tests of the progress of a slice: what is counted, the rate, the lines in the log, and the files for the page."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from essay_cohorts.errors import StoreError
from essay_cohorts.files.disk_executor import DiskThreads
from essay_cohorts.progress.counter import ProgressCounter
from essay_cohorts.progress.counts import CallCounts, total_of
from essay_cohorts.progress.records import SliceProgress, read_progress
from essay_cohorts.progress.report import ProgressReport
from essay_cohorts.store.cohort_folder import CohortFolder
from tests.conftest import PlayedDag
from tests.judge_server import JudgeServer
from tests.ledger_reading import ledger_of
from tests.store_builder import StoreBuilder

CONF: dict[str, Any] = {"cohort_id": "c", "templates": ["novelty"], "replicates": 1, "batch_size": 100}


@dataclass(kw_only=True)
class Clock:
    """A clock that a test sets."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def done(counter: ProgressCounter, judge: str, number: int) -> None:
    """Count a request and a reply for each of `number` calls."""
    for _ in range(number):
        counter.count_request(judge, is_retry=False)
        counter.count_end(judge, 0)
        counter.count_done(judge, has_reply=True)


# ---------------------------------------------------------------- counting


def test_what_an_earlier_try_has_done_is_done() -> None:
    """The calls of the slice that need no call any more count as done from the start, and not for the rate."""
    clock = Clock()
    counter = ProgressCounter(["a", "a", "a", "b"], ["a", "b"], clock)
    assert counter.counts() == {"a": CallCounts(calls=3, done=2), "b": CallCounts(calls=1)}
    assert not counter.has_requests
    done(counter, "a", 1)
    clock.now += 2.0
    assert counter.counts()["a"] == CallCounts(calls=3, done=3, requests=1, per_second=0.5)


def test_each_event_has_its_count() -> None:
    """Requests, retries, refusals, costs and failures are counted for the judge that they belong to."""
    counter = ProgressCounter(["a", "b"], ["a", "b"], Clock())
    counter.count_request("a", is_retry=False)
    counter.count_refused("a")
    counter.count_end("a", 0)
    counter.count_request("a", is_retry=True)
    counter.count_end("a", 120)
    counter.count_request("a", is_retry=True)
    counter.count_cost("a", 0.25)
    counter.count_cost("a", None)
    counter.count_done("a", has_reply=False)
    expected = CallCounts(
        calls=1,
        done=1,
        failed=1,
        requests=3,
        refused=1,
        retried=2,
        in_flight=1,
        tokens=120,
        spent_usd=0.25,
        unpriced=1,
    )
    assert counter.counts() == {"a": expected, "b": CallCounts(calls=1)}


def test_the_rate_is_that_of_the_last_half_minute() -> None:
    """What was done more than about 30 s ago has no influence on the rate."""
    clock = Clock()
    counter = ProgressCounter(["a"] * 1_000, ["a"] * 1_000, clock)
    for number in [100] * 4 + [10] * 8:
        clock.now += 5.0
        done(counter, "a", number)
        counter.sample()
    clock.now += 5.0
    done(counter, "a", 10)
    assert counter.counts()["a"].per_second == 2.0


def test_a_judge_that_is_asked_late_has_its_own_time() -> None:
    """The rate of a judge is measured from its first request, so that its time left is not too long."""
    clock = Clock()
    counter = ProgressCounter(["a", "b", "b"], ["a", "b", "b"], clock)
    clock.now += 20.0
    counter.count_request("b", is_retry=False)
    clock.now += 2.0
    counter.count_done("b", has_reply=True)
    assert {judge: counts.per_second for judge, counts in counter.counts().items()} == {"a": 0.0, "b": 0.5}


def test_several_threads_count_at_once() -> None:
    """No count is lost when threads count at the same time."""
    counter = ProgressCounter(["a"] * 4_000, ["a"] * 4_000)
    threads = [threading.Thread(target=done, args=(counter, "a", 1_000)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts = counter.counts()["a"]
    assert (counts.requests, counts.done) == (4_000, 4_000)


# ---------------------------------------------------------------- reporting


@dataclass(kw_only=True)
class Written:
    """Keeps what was written; `error` is raised instead when there is one."""

    progress: list[SliceProgress] = field(default_factory=list)
    error: StoreError | None = None
    tried: int = 0

    def __call__(self, progress: SliceProgress) -> None:
        self.tried += 1
        if self.error is not None:
            raise self.error
        self.progress.append(progress)


def report(counter: ProgressCounter, written: Written, work_s: float = 0.0, *, replies: int = 0) -> None:
    """Report a slice that works for `work_s` seconds, with reports every 10 ms."""

    async def work() -> None:
        disk = DiskThreads()
        async with (
            disk,
            ProgressReport(counter, written, disk, slice_name="todo-0-9", try_number=2, interval_s=0.01),
        ):
            done(counter, "a", replies)
            await asyncio.sleep(work_s)

    asyncio.run(work())


def test_progress_is_written_at_the_start_in_between_and_at_the_end(log_lines: Callable[[], list[str]]) -> None:
    """The file begins with no calls done and ends with `is_over`; the log gets lines in between and at the end."""
    written = Written()
    report(ProgressCounter(["a"] * 3, ["a"] * 3), written, 0.2, replies=2)
    first, *between, last = written.progress
    assert [(each.slice_name, each.try_number) for each in (first, last)] == [("todo-0-9", 2)] * 2
    assert (first.is_over, first.by_judge) == (False, {"a": CallCounts(calls=3)})
    assert len(between) > 3
    assert {(each.is_over, each.by_judge["a"].done) for each in between} == {(False, 2)}
    assert (last.is_over, last.by_judge["a"].done) == (True, 2)
    assert 3 < len(log_lines()) < len(between)
    assert all(line.startswith("2 of 3 calls done, ") for line in log_lines())


def test_nothing_is_logged_when_nothing_was_called(log_lines: Callable[[], list[str]]) -> None:
    """A slice that only waits for other tasks writes no line."""
    written = Written()
    report(ProgressCounter(["a"], ["a"]), written, 0.1)
    assert len(written.progress) > 2
    assert log_lines() == []


def test_a_refused_report_does_not_end_the_calls(log_lines: Callable[[], list[str]]) -> None:
    """A disk that refuses the file is reported once, and the calls go on with lines in the log."""
    written = Written(error=StoreError("the disk is full"))
    report(ProgressCounter(["a"], ["a"]), written, 0.1, replies=1)
    assert written.tried == 1
    warning, *lines = log_lines()
    assert warning == "The cohort page will not show the progress of this task: the disk is full"
    assert all(line.startswith("1 of 1 call done") for line in lines)


# ---------------------------------------------------------------- real calls


@pytest.mark.parametrize(
    ("faults", "judge", "expected"),
    [
        pytest.param([], "judge-a", {"requests": 3, "done": 3}, id="no fault"),
        pytest.param(
            [{"fault": "status", "status": 429, "times": 2, "model": "example/judge-b"}],
            "judge-b",
            {"requests": 5, "done": 3, "refused": 2, "retried": 2},
            id="429",
        ),
        pytest.param(
            [{"fault": "status", "status": 422, "contains": "number 2.", "model": "example/judge-a"}],
            "judge-a",
            {"requests": 3, "done": 3, "failed": 1, "refused": 1},
            id="refused for good",
        ),
        pytest.param(
            [{"fault": "disconnect", "times": 1, "model": "example/judge-a"}],
            "judge-a",
            {"requests": 4, "done": 3, "refused": 0, "retried": 1},
            id="a connection that broke is no refusal",
        ),
    ],
)
def test_what_calls_add(
    faults: list[dict[str, Any]],
    judge: str,
    expected: dict[str, int],
    store: StoreBuilder,
    dag: PlayedDag,
    judge_server: JudgeServer,
) -> None:
    """The last file of a task has what the judge received, and costs that are those of the journal."""
    header = "id,model,for_evaluation,max_tokens,input_usd_per_mtok,output_usd_per_mtok\n"
    store.write(
        "1_raw/llm_models.csv",
        header + "judge-a,example/judge-a,true,500,1,10\njudge-b,example/judge-b,true,500,2,20\n",
    )
    judge_server.faults(*faults)
    essays = [store.essay(number) for number in range(1, 4)]
    planned = dag.run({**CONF, "essay_ids": essays}).planned
    folder = CohortFolder(root=store.root, cohort_id="c")
    [progress] = read_progress(folder.progress_folder(planned.run_key))
    counts = progress.by_judge[judge]
    assert progress.is_over
    assert {name: getattr(counts, name) for name in expected} == expected
    spending = ledger_of(store.root).spending("c", planned.run)
    assert total_of(progress.by_judge.values()).requests == spending.calls == judge_server.calls()
    known = round(spending.settled_usd, 9)
    assert round(total_of(progress.by_judge.values()).spent_usd, 9) == known > 0


def test_a_judge_without_a_price_has_an_unknown_cost(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """The cost of a judge without a price is unknown, and no cost of it is made up."""
    essays = [store.essay(1)]
    planned = dag.run({**CONF, "essay_ids": essays, "models": ["judge-a"]}).planned
    folder = CohortFolder(root=store.root, cohort_id="c")
    [progress] = read_progress(folder.progress_folder(planned.run_key))
    counts = progress.by_judge["judge-a"]
    assert (counts.unpriced, counts.spent_usd, counts.cost_usd) == (1, 0.0, None)


def test_a_cleared_run_goes_on_where_the_former_try_ended(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer, log_lines: Callable[[], list[str]]
) -> None:
    """The second try of a slice counts the first try's replies as done, and has a file of its own."""
    essays = [store.essay(number) for number in range(1, 4)]
    judge_server.faults({"fault": "status", "status": 422, "contains": "number 2."})
    planned = dag.plan({**CONF, "essay_ids": essays, "models": ["judge-a"]})
    dag.run_planned(planned)
    judge_server.faults()
    dag.run_planned(planned, try_number=2)
    folder = CohortFolder(root=store.root, cohort_id="c").progress_folder(planned.run_key)
    first, second = sorted(read_progress(folder), key=lambda each: each.try_number)
    assert [(each.by_judge["judge-a"].done, each.by_judge["judge-a"].requests) for each in (first, second)] == [
        (3, 3),
        (3, 1),
    ]
    lines = [line for line in log_lines() if "calls done" in line]
    assert [line.split(" done")[0] for line in lines] == ["3 of 3 calls", "3 of 3 calls"]
    assert "1 without a reply, 1 refused" in lines[0]
    assert "without a reply" not in lines[1]
