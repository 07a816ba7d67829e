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
_BELOW = 0.95
_SLOWEST = 0.05
# The rate creeps up by so much a second, and twice as fast each second once nothing was refused for _PATIENCE_S: then
# others may have left the server.
_GROWTH_A_SECOND = 0.01
_PATIENCE_S = 5.0


class CallPace:
    """The pace at one model: at most `limit` calls in flight, and `rate` starts a second once it is known."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = float(most)
        self.rate: float | None = None
        self._most, self._clock = most, clock
        self._in_flight = 0
        self._learned = False
        self._freed = asyncio.Condition()
        self._gate = asyncio.Lock()
        self._next_start = self._shrunk_at = self._grown_at = clock()
        self._answered: deque[float] = deque()

    @property
    def is_free(self) -> bool:
        """True while no request is held back: none was refused yet."""
        return self.rate is None and self.limit >= self._most

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[float]:
        """Wait for the turn to send one request; yields the moment of its start, for the verdict on it."""
        async with self._gate:
            async with self._freed:
                await self._freed.wait_for(lambda: self._in_flight < int(self.limit))
            if self.rate is not None:
                self._next_start = max(self._clock(), self._next_start + 1 / self.rate, self._window_ends(self.rate))
                await asyncio.sleep(self._next_start - self._clock())
            self._in_flight += 1
        try:
            yield self._clock()
        finally:
            async with self._freed:
                self._in_flight -= 1
                self._freed.notify_all()

    def _window_ends(self, rate: float) -> float:
        """Return when another start keeps to the rate over a whole window, in which a burst may have used it up."""
        allowed = max(1, int(rate * _WINDOW_S))
        return self._answered[-allowed] + allowed / rate if len(self._answered) >= allowed else 0.0

    def answered(self) -> None:
        """A request succeeded."""
        now = self._clock()
        self._answered.append(now)
        self._drop_old(now)
        self.limit = min(float(self._most), self.limit + 1 / self.limit)
        if self.rate is not None and not self._learned:
            self._learn(now)
        elif self.rate is not None:
            hurry = 2.0 ** min(10.0, max(0.0, now - self._shrunk_at - _PATIENCE_S))
            self.rate *= 1 + min(0.5, _GROWTH_A_SECOND * hurry * (now - self._grown_at))
        self._grown_at = now

    def refused(self, started: float) -> None:
        """A request that began at `started` got a 429. One sent before the last shrink tells nothing new."""
        if started < self._shrunk_at:
            return
        now = self._clock()
        self._drop_old(now)
        self._shrunk_at = self._grown_at = now
        self.limit = max(1.0, self.limit * _SHRINK)
        if self.rate is not None and self._learned:
            # Not by what was answered last: of a few requests a second a single one more or less is chance.
            self.rate = max(_SLOWEST, self.rate * _BELOW)
        elif self._answered and self.rate is None:
            self.rate = _BELOW * len(self._answered) / _WINDOW_S

    def _learn(self, now: float) -> None:
        """Answer of the burst that met the first 429 still come in: they tell the rate too."""
        self.rate = max(self.rate or 0.0, _BELOW * len(self._answered) / _WINDOW_S)
        self._learned = now - self._shrunk_at > _WINDOW_S

    def _drop_old(self, now: float) -> None:
        while self._answered and self._answered[0] <= now - _WINDOW_S:
            self._answered.popleft()
