"""Workers share trips to another thread: each gets its own result or error."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from essay_cohorts.calling.shared_trips import SharedTrips
from essay_cohorts.files.disk_executor import DiskThreads


def test_each_worker_gets_its_own_result() -> None:
    """Forty workers that come together take far fewer trips, none with more than sixteen of them."""
    together: list[int] = []

    def work(brought: Sequence[int]) -> list[int | Exception]:
        together.append(len(brought))
        return [ValueError(str(each)) if each == 7 else each * each for each in brought]

    async def run() -> list[int | BaseException]:
        async with DiskThreads() as disk:
            trips: SharedTrips[int, int] = SharedTrips(disk, work)
            results = await asyncio.gather(*(trips.take(number) for number in range(40)), return_exceptions=True)
            await trips.end()
        return results

    results = asyncio.run(run())
    assert [each for each in results if not isinstance(each, ValueError)] == [n * n for n in range(40) if n != 7]
    assert isinstance(results[7], ValueError)
    assert sum(together) == 40
    assert max(together) <= 16
    assert len(together) < 10


def test_an_error_of_the_whole_trip_reaches_all_who_take_it() -> None:
    """A lost ledger, for example, is raised for each worker of the trip."""

    def work(brought: Sequence[int]) -> list[int | Exception]:
        raise OSError(str(len(brought)))

    async def run() -> list[int | BaseException]:
        async with DiskThreads() as disk:
            trips: SharedTrips[int, int] = SharedTrips(disk, work)
            return await asyncio.gather(*(trips.take(number) for number in range(3)), return_exceptions=True)

    assert [type(each) for each in asyncio.run(run())] == [OSError] * 3


def test_the_work_of_a_cancelled_worker_is_done() -> None:
    """A worker that is cancelled while its trip is under way has still stored what it brought."""
    begun, may_end = threading.Event(), threading.Event()
    done: list[str] = []

    def work(brought: Sequence[str]) -> list[str | Exception]:
        begun.set()
        may_end.wait(10)
        done.extend(brought)
        return list(brought)

    async def run() -> None:
        async with DiskThreads() as disk:
            trips: SharedTrips[str, str] = SharedTrips(disk, work)
            worker = asyncio.create_task(trips.take("a reply"))
            await asyncio.to_thread(begun.wait, 10)
            worker.cancel()
            with pytest.raises(asyncio.CancelledError):
                await worker
            may_end.set()
            await trips.end()

    asyncio.run(run())
    assert done == ["a reply"]
