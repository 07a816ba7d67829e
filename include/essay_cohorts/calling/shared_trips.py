"""Lets workers that have something to do at about the same moment share one trip to another thread.

A trip costs as much processor time as the work of several workers, and so does a transaction. Who comes while a trip
waits for its thread joins it; whoever comes later starts the next one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from essay_cohorts.files.disk_executor import DiskThreads

T = TypeVar("T")
R = TypeVar("R")

# So many share a trip at most: on a slow disk, the others go in further threads.
_MOST_TOGETHER = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class _Passenger(Generic[T, R]):
    brought: T
    result: asyncio.Future[R]


class SharedTrips(Generic[T, R]):
    """Runs `work` in another thread for what workers bring; `work` returns a result or an error for each of them."""

    def __init__(self, disk: DiskThreads, work: Callable[[Sequence[T]], Sequence[R | Exception]]) -> None:
        self._disk, self._work = disk, work
        self._waiting: deque[_Passenger[T, R]] = deque()
        self._under_way: set[asyncio.Task[None]] = set()
        self._is_planned = False

    async def take(self, brought: T) -> R:
        """Return the result for `brought`, or raise its error. The work is done even if the caller is cancelled."""
        passenger: _Passenger[T, R] = _Passenger(brought=brought, result=asyncio.get_running_loop().create_future())
        self._waiting.append(passenger)
        self._plan()
        return await passenger.result

    async def end(self) -> None:
        """Wait until all work that was brought is done."""
        while self._under_way:
            await asyncio.wait(set(self._under_way))

    def _plan(self) -> None:
        if not self._is_planned:
            self._is_planned = True
            trip = asyncio.ensure_future(self._go())
            self._under_way.add(trip)
            trip.add_done_callback(self._under_way.discard)

    async def _go(self) -> None:
        together: list[_Passenger[T, R]] = []
        try:
            results = await self._disk.run(self._serve, together)
        except Exception as error:  # noqa: BLE001  (each of them gets it)
            results = [error] * len(together)
        for passenger, result in zip(together, results, strict=True):
            if passenger.result.done():
                continue  # the worker was cancelled
            if isinstance(result, Exception):
                passenger.result.set_exception(result)
            else:
                passenger.result.set_result(result)
        if self._waiting:
            self._plan()

    def _serve(self, together: list[_Passenger[T, R]]) -> Sequence[R | Exception]:
        """Do the work for those who wait now, and add them to `together`."""
        self._is_planned = False
        with suppress(IndexError):  # another thread may take the last of them
            while len(together) < _MOST_TOGETHER:
                together.append(self._waiting.popleft())
        return self._work([each.brought for each in together])
