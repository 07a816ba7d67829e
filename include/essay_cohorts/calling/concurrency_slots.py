"""Waits for one of the slots that all slices of a cohort share, without stopping the calls of this slice.

Each slice gets its share of `max_concurrency`, so a slot is nearly always free. A caller waits only when there are
more slices than allowed calls, or while slices of another run of the cohort are calling.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from essay_cohorts.errors import StoreError
from essay_cohorts.files.atomic import new_token
from essay_cohorts.files.disk_executor import DiskThreads

log = logging.getLogger(__name__)

# Time between two attempts, in s: short compared with a call, long compared with the cost of an attempt.
_PAUSE_S = 0.1


class SharedSlots(Protocol):
    """The slots as the ledger keeps them."""

    def take(self, tokens: Sequence[str]) -> list[str]:
        """Take a slot under each of these tokens, as far as slots are free; return the tokens that hold one now."""

    def release(self, token: str) -> None:
        """Give back the slot under this token, if there is one."""


class ConcurrencySlots:
    """The slots of one slice, whose workers wait for them one after the other.

    The first worker takes slots for all workers at once, because each look into the ledger costs milliseconds.
    """

    def __init__(self, slots: SharedSlots, disk: DiskThreads) -> None:
        self._slots, self._disk = slots, disk
        self._first_in_line = asyncio.Lock()
        self._wanted: list[str] = []
        self._free: list[str] = []

    def prepare(self, workers: int) -> None:
        """Begin a round in which so many workers hold a slot once each; no worker of a former round may be left."""
        self._wanted, self._free = [new_token() for _ in range(workers)], []

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        """Wait for a slot and hold it. StoreError if the ledger cannot be used."""
        async with self._first_in_line:
            await self._take()
            while not self._free:
                # Random, because slices that wait must not try at the same moment.
                await asyncio.sleep(_PAUSE_S * random.uniform(0.5, 1.5))  # noqa: S311
                await self._take()
            token = self._free.pop()
        try:
            yield
        finally:
            await self._disk.run(self._release, token)

    async def _take(self) -> None:
        """Unless a slot is left to give out, take one for each worker that has none, as far as slots are free."""
        if not self._free:
            # If this worker is cancelled meanwhile, the next one asks with the same tokens and gets the same slots.
            self._free = await self._disk.run(self._slots.take, tuple(self._wanted))
            self._wanted = [token for token in self._wanted if token not in self._free]

    def _release(self, token: str) -> None:
        try:
            self._slots.release(token)
        except StoreError as error:
            # The calls are stored; the slot is free once this process no longer refreshes its row.
            log.warning("%s", error)
