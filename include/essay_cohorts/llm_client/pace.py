"""How fast a slice sends requests to one model: as fast as the server accepts them, measured by its 429s.

Until the first 429 the only limit is `most` requests in flight. After it there are two limits. The limit of requests
in flight shrinks by a factor at each 429, and grows by one each time that as many requests as the limit have
succeeded (additive increase, multiplicative decrease, as in TCP). The rate of starts is set a little below the rate
at which the server was seen to answer, and grows again slowly. The second limit is needed because the first one
cannot hold a slice to, say, 10 requests a second if the server answers each of them at once.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

_SHRINK = 0.7
_WINDOW_S = 1.0
_RATE_MARGIN = 0.95
_LOWEST_RATE = 0.05
# The rate grows by this fraction each second. Once no 429 came for _PATIENCE_S, the growth doubles each second,
# because other callers may have left the server.
_GROWTH_PER_SECOND = 0.01
_PATIENCE_S = 5.0


class CallPace:
    """The pace at one model: at most `limit` requests in flight, and `rate` starts a second once it is known."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = float(most)
        self.rate: float | None = None
        self._most, self._clock = most, clock
        self._in_flight = 0
        self._is_rate_measured = False
        self._freed = asyncio.Condition()
        self._start_lock = asyncio.Lock()
        self._next_start = self._shrunk_at = self._grown_at = clock()
        self._success_times: deque[float] = deque()

    @property
    def is_free(self) -> bool:
        """True while no request is held back because the server has not answered with a 429 yet."""
        return self.rate is None and self.limit >= self._most

    @asynccontextmanager
    async def permit(self) -> AsyncIterator[float]:
        """Wait until one more request may be sent; yield the time of its start, which `record_429` needs."""
        async with self._start_lock:
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
        """Return the earliest start that keeps a whole window to the rate, even if a burst has already used it up."""
        allowed = max(1, int(rate * _WINDOW_S))
        return self._success_times[-allowed] + allowed / rate if len(self._success_times) >= allowed else 0.0

    def record_success(self) -> None:
        """Record that a request succeeded, which raises the limits."""
        now = self._clock()
        self._success_times.append(now)
        self._drop_old(now)
        self.limit = min(float(self._most), self.limit + 1 / self.limit)
        if self.rate is not None and not self._is_rate_measured:
            self._measure_rate(now)
        elif self.rate is not None:
            speedup = 2.0 ** min(10.0, max(0.0, now - self._shrunk_at - _PATIENCE_S))
            self.rate *= 1 + min(0.5, _GROWTH_PER_SECOND * speedup * (now - self._grown_at))
        self._grown_at = now

    def record_429(self, started_at: float) -> None:
        """Record the 429 of a request that began at `started_at`, which lowers the limits.

        A request that began before the limits were lowered last says nothing new.
        """
        if started_at < self._shrunk_at:
            return
        now = self._clock()
        self._drop_old(now)
        self._shrunk_at = self._grown_at = now
        self.limit = max(1.0, self.limit * _SHRINK)
        if self.rate is not None and self._is_rate_measured:
            # The last second is not measured again: of a few requests a second, one more or less is chance.
            self.rate = max(_LOWEST_RATE, self.rate * _RATE_MARGIN)
        elif self._success_times and self.rate is None:
            self.rate = _RATE_MARGIN * len(self._success_times) / _WINDOW_S

    def _measure_rate(self, now: float) -> None:
        """Raise the rate by the answers that still come in from the burst that met the first 429."""
        self.rate = max(self.rate or 0.0, _RATE_MARGIN * len(self._success_times) / _WINDOW_S)
        self._is_rate_measured = now - self._shrunk_at > _WINDOW_S

    def _drop_old(self, now: float) -> None:
        while self._success_times and self._success_times[0] <= now - _WINDOW_S:
            self._success_times.popleft()
