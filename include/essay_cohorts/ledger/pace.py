"""How fast requests to one model may start, over all workers, runs and machines.

Two things set the pace. The columns `requests_per_minute` and `tokens_per_minute` of llm_models.csv keep starts an
even distance apart. And a server that answers 429 shows how much it accepts: then the rate of starts is set a little
below the rate at which all workers together were last answered, and grows again slowly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

_MARGIN = 0.95
_LOWEST_RATE = 0.05
# The answers of this many seconds tell what the server accepts.
WINDOW_S = 1.0
# The rate grows by this fraction each second. Once no 429 came for _PATIENCE_S, the growth doubles each second,
# because others may have left the server.
_GROWTH_PER_SECOND, _PATIENCE_S = 0.0025, 15.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelLimits:
    """What may be asked of a model at most; None means no limit."""

    max_in_flight: int | None = None
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None

    @property
    def spaces_starts(self) -> bool:
        """True when starts must keep a distance."""
        return self.requests_per_minute is not None or self.tokens_per_minute is not None

    def distance_s(self, tokens: int) -> float:
        """Return how long the next request must wait after one with so many tokens, in s."""
        by_requests = 60 / self.requests_per_minute if self.requests_per_minute else 0.0
        by_tokens = 60 * tokens / self.tokens_per_minute if self.tokens_per_minute else 0.0
        return max(by_requests, by_tokens)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """The pace at a model, in s of the database's clock.

    No request starts before `next_start`. `rate` is in starts per s, None until a 429 came after answers. `shrunk_at`
    is the time of the last 429 that counted, `grown_at` that of the last growth. Until `is_measured`, answers that
    still come in raise the rate.
    """

    next_start: float = 0.0
    rate: float | None = None
    shrunk_at: float = 0.0
    grown_at: float = 0.0
    is_measured: bool = False

    def take(self, now: float, limits: ModelLimits, tokens: int, answers: int) -> tuple[Pace, float]:
        """Return the pace after one more start, and how long that start must wait, in s.

        `answers` is the number of answers to all workers in the last WINDOW_S.
        """
        pace = self._grown(now, answers)
        start = max(now, pace.next_start)
        distance_s = max(limits.distance_s(tokens), 1 / pace.rate if pace.rate else 0.0)
        return replace(pace, next_start=start + distance_s), start - now

    def refused(self, now: float, began: float, answers: int) -> Pace:
        """Return the pace after the 429 of a request that began at `began`.

        A request that began before the last 429 that counted says nothing new. The first 429 stops all starts for
        WINDOW_S, because a burst of others is still under way.
        """
        if began < self.shrunk_at:
            return self
        pace = replace(self, shrunk_at=now, grown_at=now)
        if self.rate is not None and self.is_measured:
            # The answers are not counted again: of a few requests a second, one more or less is chance.
            return replace(pace, rate=max(_LOWEST_RATE, self.rate * _MARGIN))
        rate = max(_LOWEST_RATE, _MARGIN * answers / WINDOW_S) if answers else self.rate
        return replace(pace, rate=rate, next_start=max(self.next_start, now + WINDOW_S))

    def _grown(self, now: float, answers: int) -> Pace:
        if self.rate is None:
            return self
        if not self.is_measured:
            rate = max(self.rate, _MARGIN * answers / WINDOW_S)
            return replace(self, rate=rate, grown_at=now, is_measured=now - self.shrunk_at > WINDOW_S)
        speedup = 2.0 ** min(10.0, max(0.0, now - self.shrunk_at - _PATIENCE_S))
        growth = min(0.5, _GROWTH_PER_SECOND * speedup * max(0.0, now - self.grown_at))
        return replace(self, rate=self.rate * (1 + growth), grown_at=now)
