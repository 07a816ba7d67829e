"""How many requests of one slice to one model are in flight: as many as the server accepts, measured by its 429s.

Until the first 429 the limit is `most`. It shrinks by a factor at each 429, and grows by one each time that as many
requests as the limit have succeeded (additive increase, multiplicative decrease, as in TCP). The ledger keeps the
rate of starts, which all slices share: one slice cannot know how much of it is its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

_SHRINK = 0.7


class CallPace:
    """The pace at one model: at most `limit` requests in flight."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = float(most)
        self._most, self._clock = most, clock
        self._in_flight = 0
        self._freed = asyncio.Condition()
        self._shrunk_at = clock()

    @property
    def is_free(self) -> bool:
        """True while no request is held back because the server has not answered with a 429 yet."""
        return self.limit >= self._most

    @asynccontextmanager
    async def permit(self) -> AsyncIterator[float]:
        """Wait until one more request may be sent; yield the time of its start, which `record_429` needs."""
        async with self._freed:
            await self._freed.wait_for(lambda: self._in_flight < int(self.limit))
            self._in_flight += 1
        try:
            yield self._clock()
        finally:
            async with self._freed:
                self._in_flight -= 1
                self._freed.notify_all()

    def record_success(self) -> None:
        """Record that a request succeeded, which raises the limit."""
        self.limit = min(float(self._most), self.limit + 1 / self.limit)

    def record_429(self, started_at: float) -> None:
        """Record the 429 of a request that began at `started_at`, which lowers the limit.

        A request that began before the limit was lowered last says nothing new.
        """
        if started_at >= self._shrunk_at:
            self._shrunk_at = self._clock()
            self.limit = max(1.0, self.limit * _SHRINK)
