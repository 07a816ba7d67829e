"""Counts the calls of one slice while they are made, by judge, and measures their rate."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from essay_cohorts.progress.counts import CallCounts

# The rate is measured over about this time, in s.
_RATE_WINDOW_S = 30.0


@dataclass(kw_only=True, slots=True)
class _Tally:
    """The counts of one judge; `began_at` is the time of its first request."""

    calls: int
    done: int
    failed: int = 0
    requests: int = 0
    refused: int = 0
    retried: int = 0
    in_flight: int = 0
    tokens: int = 0
    spent_usd: float = 0.0
    unpriced: int = 0
    began_at: float | None = None


@dataclass(frozen=True, slots=True)
class _Sample:
    time: float
    done: Mapping[str, int]


class ProgressCounter:
    """The counts of a slice. The event loop and the disk threads count at the same time.

    `planned` has the judge of each call of the slice, and `to_make` that of each call that is still to be made. Each
    `sample` is a point from which a later rate is measured, so somebody must take samples at regular times.
    """

    def __init__(
        self, planned: Iterable[str], to_make: Iterable[str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock, self._mutex = clock, threading.Lock()
        self._judges: dict[str, _Tally] = {}
        for judge in planned:
            tally = self._judges.setdefault(judge, _Tally(calls=0, done=0))
            tally.calls += 1
            tally.done += 1
        for judge in to_make:
            self._judges[judge].done -= 1
        self._samples: deque[_Sample] = deque()
        self.sample()

    def count_request(self, judge: str, *, is_retry: bool) -> None:
        """Count a request that is about to be sent."""
        with self._mutex:
            tally = self._tally_of(judge)
            tally.requests += 1
            tally.in_flight += 1
            tally.retried += is_retry
            if tally.began_at is None:
                tally.began_at = self._clock()

    def count_end(self, judge: str, tokens: int) -> None:
        """Count the end of a request and the tokens that it used, 0 if they are not known."""
        with self._mutex:
            tally = self._tally_of(judge)
            tally.in_flight -= 1
            tally.tokens += tokens

    def count_refused(self, judge: str) -> None:
        """Count a request that the server answered with an error."""
        with self._mutex:
            self._tally_of(judge).refused += 1

    def count_cost(self, judge: str, usd: float | None) -> None:
        """Add the cost of a request that was paid for; None if the cost is not known."""
        with self._mutex:
            tally = self._tally_of(judge)
            tally.spent_usd += usd or 0.0
            tally.unpriced += usd is None

    def count_done(self, judge: str, *, has_reply: bool) -> None:
        """Count a call that has brought a reply or failed, or that was found to need no request."""
        with self._mutex:
            tally = self._tally_of(judge)
            tally.done += 1
            tally.failed += not has_reply

    def _tally_of(self, judge: str) -> _Tally:
        """Return a judge's counts; a judge of another slice's evaluation, done for it, may be new here."""
        return self._judges.setdefault(judge, _Tally(calls=0, done=0))

    @property
    def has_requests(self) -> bool:
        """True once a request was sent."""
        return any(tally.requests for tally in self._judges.values())

    def counts(self) -> dict[str, CallCounts]:
        """Return the counts so far, by judge."""
        with self._mutex:
            now = self._clock()
            return {judge: self._counts_of(judge, tally, now) for judge, tally in self._judges.items()}

    def sample(self) -> None:
        """Remember the counts as a point from which the rate is measured for about half a minute."""
        with self._mutex:
            now = self._clock()
            # The newest sample outside the window stays, so that the rate is always that of a whole window.
            while len(self._samples) > 1 and self._samples[1].time <= now - _RATE_WINDOW_S:
                self._samples.popleft()
            self._samples.append(_Sample(now, {judge: tally.done for judge, tally in self._judges.items()}))

    def _counts_of(self, judge: str, tally: _Tally, now: float) -> CallCounts:
        first = self._samples[0]
        # The time before a judge's first request would make its rate too low, and the time left too long.
        passed_s = 0.0 if tally.began_at is None else now - max(first.time, tally.began_at)
        return CallCounts(
            calls=tally.calls,
            done=tally.done,
            failed=tally.failed,
            requests=tally.requests,
            refused=tally.refused,
            retried=tally.retried,
            in_flight=tally.in_flight,
            tokens=tally.tokens,
            spent_usd=round(tally.spent_usd, 9),
            unpriced=tally.unpriced,
            per_second=(tally.done - first.done.get(judge, 0)) / passed_s if passed_s > 0 else 0.0,
        )
