"""Work that waits for the disk: in order, off the event loop, in more threads only when the disk is slow."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from essay_cohorts.files.disk_executor import DiskThreads
from essay_cohorts.files.parallel_map import parallel_map

# Longer than any of these tests, however busy the machine is.
NEVER_S = 1_000.0


async def at_work_together(works: int, long_s: float) -> int:
    """Return the highest number of threads that worked at one moment. The event loop's thread is not one of them."""
    at_work: set[int] = set()
    most = 0

    def work() -> None:
        nonlocal most
        at_work.add(threading.get_ident())
        most = max(most, len(at_work))
        time.sleep(0.005)
        at_work.remove(threading.get_ident())
        assert threading.current_thread() is not threading.main_thread()

    async with DiskThreads(long_s) as disk:
        await asyncio.gather(*(disk.run(work) for _ in range(works)))
    return most


def test_a_quick_disk_needs_one_thread() -> None:
    """A quick disk gets one piece of work after the other."""
    assert asyncio.run(at_work_together(20, NEVER_S)) == 1


def test_a_slow_disk_gets_more() -> None:
    """Work that waits too long gets another thread, up to a limit."""
    assert 1 < asyncio.run(at_work_together(60, 0.0)) <= 8


def test_the_order_is_kept() -> None:
    """Work is done in the order of the calls."""
    done: list[int] = []

    async def run_all() -> None:
        async with DiskThreads() as disk:
            await asyncio.gather(*(disk.run(done.append, number) for number in range(50)))

    asyncio.run(run_all())
    assert done == list(range(50))


def test_an_error_is_raised_where_it_was_awaited() -> None:
    """An error is raised at its own call, and the next piece of work is still done."""

    async def run_both() -> int:
        async with DiskThreads() as disk:
            with pytest.raises(ZeroDivisionError):
                await disk.run(lambda: 1 // 0)
            return await disk.run(lambda: 7)

    assert asyncio.run(run_both()) == 7


def test_what_was_asked_for_is_done_though_nobody_waits_any_more() -> None:
    """Work is finished even if its caller is cancelled, before the work began or during it."""
    done: list[int] = []

    def work(number: int) -> None:
        time.sleep(0.02)
        done.append(number)

    async def run_and_cancel() -> None:
        async with DiskThreads() as disk:
            waiting = [asyncio.ensure_future(disk.run(work, number)) for number in range(5)]
            await asyncio.sleep(0.01)
            for one in waiting:
                one.cancel()

    asyncio.run(run_and_cancel())
    assert done == list(range(5))


@pytest.mark.parametrize("quick_s", [NEVER_S, 0.0], ids=["quick", "slow"])
def test_parallel_map_keeps_the_order(quick_s: float) -> None:
    """Each item comes with its result, in order, with and without threads; only slow work uses several threads."""
    threads: set[int] = set()

    def work(item: int) -> int:
        time.sleep(0.002)
        threads.add(threading.get_ident())
        return item * item

    assert list(parallel_map(work, iter(range(60)), quick_s=quick_s)) == [(item, item * item) for item in range(60)]
    assert (len(threads) > 1) == (quick_s == 0.0)


@pytest.mark.parametrize("quick_s", [NEVER_S, 0.0], ids=["quick", "slow"])
def test_parallel_map_begins_nothing_after_an_error(quick_s: float) -> None:
    """No work starts after the first error."""
    begun: list[int] = []

    def work(item: int) -> None:
        time.sleep(0.002)
        begun.append(item)
        if item == 20:
            raise ValueError(item)

    with pytest.raises(ValueError, match="20"):
        list(parallel_map(work, range(200), quick_s=quick_s))
    assert len(begun) < 50
