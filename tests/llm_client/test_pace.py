"""The pace of the requests to a model: as fast as its server accepts them, and never faster than allowed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from essay_cohorts.llm_client.pace import CallPace
from tests.conftest import PlayedDag
from tests.judge_server import JudgeServer
from tests.store_builder import StoreBuilder


class Clock:
    """A clock that only the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def paced(most: int) -> Iterator[tuple[CallPace, Clock]]:
    """Yield a pace and its clock."""
    clock = Clock()
    yield CallPace(most, clock), clock


def test_without_a_refusal_nothing_is_held_back() -> None:
    """Without a 429 all allowed requests may be in flight at once."""
    with paced(8) as (pace, clock):
        for _ in range(100):
            clock.now += 0.01
            pace.record_success()
        assert (pace.limit, pace.is_free) == (8.0, True)


def test_a_burst_of_refusals_shrinks_once() -> None:
    """The 429s of requests that were in flight at the first 429 count once; that of a later request counts again."""
    with paced(20) as (pace, clock):
        clock.now = 1.0
        for _ in range(6):
            pace.record_429(started_at=0.5)
        assert pace.limit == pytest.approx(14.0)
        pace.record_429(started_at=1.0)
        assert pace.limit == pytest.approx(9.8)


def test_the_limit_never_falls_below_one() -> None:
    """One request at a time is sent, however often a server refuses."""
    with paced(3) as (pace, clock):
        for _ in range(50):
            clock.now += 1
            pace.record_429(started_at=clock.now)
        assert pace.limit == 1.0


def test_successes_grow_the_limit_by_one_a_round_up_to_the_most() -> None:
    """As many successes as the limit raise it by one."""
    with paced(12) as (pace, clock):
        clock.now = 1.0
        pace.record_429(started_at=0.0)
        before = pace.limit
        for _ in range(round(before)):
            pace.record_success()
        assert before + 0.8 < pace.limit < before + 1.1
        for _ in range(1_000):
            pace.record_success()
        assert pace.limit == 12.0


def test_never_more_under_way_than_the_limit() -> None:
    """A request that waits for a permit gets it once another request has ended."""

    async def run() -> int:
        pace, under_way, most = CallPace(3), 0, 0

        async def call() -> None:
            nonlocal under_way, most
            async with pace.permit():
                under_way += 1
                most = max(most, under_way)
                await asyncio.sleep(0.001)
                under_way -= 1

        await asyncio.gather(*(call() for _ in range(30)))
        return most

    assert asyncio.run(run()) == 3


def test_a_cancelled_call_gives_its_turn_back() -> None:
    """A cancelled request gives its permit back, or leaves the queue of those that wait for one."""

    async def run() -> None:
        pace = CallPace(1)

        async def call() -> None:
            async with pace.permit():
                await asyncio.sleep(10)

        tasks = [asyncio.create_task(call()) for _ in range(3)]
        await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        async with asyncio.timeout(1), pace.permit():
            pass

    asyncio.run(run())


CONF: dict[str, Any] = {"cohort_id": "c", "templates": ["novelty"], "models": ["judge-a"], "max_concurrency": 16}


def conf_for_300(store: StoreBuilder) -> dict[str, Any]:
    """Three hundred missing evaluations of one cell each."""
    return {**CONF, "essay_ids": [store.essay(number) for number in range(1, 301)], "replicates": 1}


def replies_kept(store: StoreBuilder) -> list[str]:
    """The names of all replies, former ones included."""
    return [name for name in store.files("gens/evaluation") if "/raw." in name]


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_a_server_that_allows_ten_requests_a_second(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """A server that answers 429 with Retry-After above the rate scores all 300, and each is stored once."""
    judge_server.faults({"fault": "rate_limit", "per_second": 10, "retry_after": 1})
    dag.rules = {"max_attempts": 8}
    run = dag.run(conf_for_300(store))
    assert run.summary.complete, run.summary.message
    assert judge_server.stats()["by_status"]["429"] > 0, "the server never refused: the test shows nothing"
    assert len(replies_kept(store)) == 300


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_errors_and_dropped_connections_by_chance(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """If 30 % of the requests end in a 500 or a dropped connection, all 300 are scored and none is stored twice."""
    judge_server.faults(
        {"fault": "status", "status": 500, "chance": 0.15, "seed": 1},
        {"fault": "disconnect", "chance": 0.176, "seed": 2},
    )
    dag.rules = {"max_attempts": 20}
    run = dag.run(conf_for_300(store))
    assert run.summary.complete, run.summary.message
    stats = judge_server.stats()
    assert 0.2 < 1 - stats["replies"] / stats["requests"] < 0.4
    assert (stats["replies"], len(replies_kept(store))) == (300, 300)


@pytest.mark.slow
def test_a_500_does_not_slow_down(store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer) -> None:
    """After a server's errors as many requests are in flight as before."""
    judge_server.faults({"fault": "status", "status": 500, "times": 30}, {"fault": "latency", "seconds": 1.0})
    dag.rules, dag.processes = {"max_attempts": 10}, 1
    conf = {**CONF, "essay_ids": [store.essay(number) for number in range(1, 41)], "replicates": 1}
    assert dag.run(conf).summary.complete
    assert judge_server.stats()["peak_in_flight"] == 16


@pytest.mark.slow
def test_retry_after_delays_only_its_own_request(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """While one request waits for its Retry-After, the other requests are sent."""
    judge_server.faults({"fault": "status", "status": 429, "retry_after": 2, "times": 1, "contains": "number 1."})
    conf = {**CONF, "essay_ids": [store.essay(number) for number in range(1, 9)], "replicates": 1, "batch_size": 8}
    assert dag.run(conf).summary.complete
    numbers = [record["prompt"].split("Essay number ")[1].split(".")[0] for record in judge_server.requests()]
    assert numbers[-1] == "1"
    assert numbers.count("1") == 2
