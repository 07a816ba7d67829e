"""How fast a slice asks one model: as fast as the server takes it, found out by its 429s.

Until the first 429 nothing bounds it but `most`. Then there are two limits. Calls in flight shrink by a factor and
grow by one each time that as many as are allowed succeeded (additive increase, multiplicative decrease, as in TCP).
The rate of starts is set a little below the rate at which the server was seen to answer, and creeps up again: the
first limit alone cannot hold a server to, say, 10 requests a second that it answers at once.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

_SHRINK = 0.7
_WINDOW_S = 1.0
_BELOW_OBSERVED = 0.95
_SLOWEST = 0.05
# The rate creeps up by 1 % a second at first, and the faster the longer nothing is refused.
_GROWTH_A_SECOND = 0.01
_PATIENCE_S = 5.0


class CallPace:
    """The pace at one model: at most `limit` calls in flight, and `rate` starts a second once it is known."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = float(most)
        self.rate: float | None = None
        self._most, self._clock = most, clock
        self._in_flight = 0
        self._freed = asyncio.Condition()
        self._gate = asyncio.Lock()
        self._next_start = self._shrunk_at = self._grown_at = clock()
        self._answered: deque[float] = deque()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[float]:
        """Waits for the turn to send one request; yields the moment of its start, for the verdict on it."""
        async with self._gate:
            async with self._freed:
                await self._freed.wait_for(lambda: self._in_flight < int(self.limit))
            if self.rate is not None:
                self._next_start = max(self._clock(), self._next_start + 1 / self.rate)
                await asyncio.sleep(self._next_start - self._clock())
            self._in_flight += 1
        try:
            yield self._clock()
        finally:
            async with self._freed:
                self._in_flight -= 1
                self._freed.notify_all()

    def answered(self) -> None:
        """A request succeeded."""
        now = self._clock()
        self._answered.append(now)
        self._drop_old(now)
        self.limit = min(float(self._most), self.limit + 1 / self.limit)
        if self.rate is not None:
            hurry = 1 + ((now - self._shrunk_at) / _PATIENCE_S) ** 2
            self.rate *= 1 + min(1.0, _GROWTH_A_SECOND * hurry * (now - self._grown_at))
        self._grown_at = now

    def refused(self, started: float) -> None:
        """A request that began at `started` got a 429. One sent before the last shrink tells nothing new."""
        if started < self._shrunk_at:
            return
        now = self._clock()
        self._drop_old(now)
        self._shrunk_at = self._grown_at = now
        self.limit = max(1.0, self.limit * _SHRINK)
        observed = _BELOW_OBSERVED * len(self._answered) / _WINDOW_S
        if observed:
            self.rate = observed if self.rate is None else min(observed, self.rate * _BELOW_OBSERVED)
        elif self.rate is not None:
            self.rate = max(_SLOWEST, self.rate * _SHRINK)

    def _drop_old(self, now: float) -> None:
        while self._answered and self._answered[0] <= now - _WINDOW_S:
            self._answered.popleft()
