"""How fast requests to one model may start, over all workers, runs and machines.

Two things set the pace. The columns `requests_per_minute` and `tokens_per_minute` of llm_models.csv keep starts an
even distance apart. And a server that answers 429 shows how much it accepts: then the rate of starts is set a little
below the rate at which it last answered or accepted requests of all workers together, and grows again slowly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

_MARGIN = 0.95
_LOWEST_RATE = 0.05
# The first 429 stops the starts for this many seconds. The answers from as long before it to then show the rate, and
# so do the requests that the server accepted in the last of these seconds before the 429: it refuses at once, but a
# judge that thinks for long has answered nothing yet. A server that counts requests under way, and not those of a
# second, soon refuses again: then the answers alone show its rate.
WINDOW_S = 1.0
# The rate grows after _PATIENCE_S without a 429: quickly while nobody knows what the server accepts, slowly near the
# rate that it refused, and again a little faster after _FORGET_S, because others may have left the server. The turns
# of waiting requests are given out seconds ahead, so a 429 comes late, and quick growth would go too far meanwhile.
_PATIENCE_S, _FORGET_S = 5.0, 60.0
_SEARCHING, _RETURNING, _PROBING = 0.05, 0.01, 0.001
_NEAR = 0.98
# So many answers in WINDOW_S are enough to trust the rate that they show.
_ENOUGH_ANSWERS = 5
# Turns are given out no farther ahead, in s, because a worker that dies does not return its turn.
_FARTHEST_TURN_S = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelLimits:
    """What may be asked of a model at most; None means no limit."""

    max_in_flight: int | None = None
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None

    @property
    def is_set(self) -> bool:
        """True when there is at least one limit."""
        return self.max_in_flight is not None or self.spaces_starts

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
class Turn:
    """When a request may start: in `wait_s` seconds. Without `is_given` it must ask again then."""

    wait_s: float
    is_given: bool = True


AT_ONCE = Turn(wait_s=0.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """The pace at a model, in s of the database's clock.

    No request starts before `next_start`. `rate` is in starts per s, None until a 429 came. `shrunk_at` is when the
    turns end that were given out before the last 429 that counted, and `grown_at` the time of the last growth. Until
    `is_measured`, nobody knows yet what the server accepts. `ceiling` is the rate that the server refused.
    """

    next_start: float = 0.0
    rate: float | None = None
    shrunk_at: float = 0.0
    grown_at: float = 0.0
    is_measured: bool = False
    ceiling: float | None = None

    def take(
        self, now: float, limits: ModelLimits, tokens: int, answers: int, accepted: int = 0
    ) -> tuple[Pace, Turn]:
        """Return the pace after one more start, and the turn for that start.

        `answers` is the most answers to all workers within WINDOW_S, from as long before the first 429 on; `accepted`
        is how many requests began in WINDOW_S before that 429 and were not refused.
        """
        if not self.is_measured and now < self.shrunk_at:
            return self, Turn(wait_s=self.shrunk_at - now, is_given=False)
        start = max(now, self.next_start)
        if start - now > _FARTHEST_TURN_S:
            return self, Turn(wait_s=_FARTHEST_TURN_S / 2, is_given=False)
        pace = self._grown(now, start) if self.is_measured else self._measured(start, answers, accepted)
        distance_s = max(limits.distance_s(tokens), 1 / pace.rate if pace.rate else 0.0)
        return replace(pace, next_start=start + distance_s), Turn(wait_s=start - now)

    def is_of_another_clock(self, now: float, limits: ModelLimits, tokens: int) -> bool:
        """Return True if the times are later than any turn can be: the clock began anew when the machine did."""
        longest_s = limits.distance_s(tokens) * 10 + (1 / self.rate if self.rate else 0.0)
        return max(self.next_start, self.shrunk_at) > now + _FARTHEST_TURN_S + WINDOW_S + longest_s

    def refused(self, now: float, began: float) -> Pace:
        """Return the pace after the 429 of a request that began at `began`.

        A request whose turn was given out before the last 429 that counted says nothing new. The first 429 stops all
        starts for WINDOW_S, because a burst of others is still under way, whose answers show what the server accepts.
        """
        if began < self.shrunk_at:
            return self
        is_misjudged = self.ceiling is None and now < self.shrunk_at + _PATIENCE_S
        if self.rate is None or not self.is_measured or is_misjudged:
            end, ceiling = max(self.next_start, now + WINDOW_S), self.rate if self.is_measured else self.ceiling
            return Pace(next_start=end, rate=1.0, shrunk_at=end, grown_at=end, ceiling=ceiling)
        turns_end = max(now, self.next_start)
        rate = max(_LOWEST_RATE, self.rate * _MARGIN)
        return replace(self, rate=rate, ceiling=self.rate, shrunk_at=turns_end, grown_at=turns_end)

    def _measured(self, start: float, answers: int, accepted: int) -> Pace:
        if self.rate is None:
            return self
        if self.ceiling is None and accepted > answers:
            return replace(self, rate=_MARGIN * accepted / WINDOW_S, grown_at=start, is_measured=True)
        rate = _MARGIN * max(1, answers) / WINDOW_S
        ceiling = answers / WINDOW_S if answers >= _ENOUGH_ANSWERS else self.ceiling
        return replace(self, rate=rate, ceiling=ceiling, grown_at=start, is_measured=True)

    def _grown(self, now: float, start: float) -> Pace:
        if self.rate is None:
            return self
        if self.next_start <= now:
            return replace(self, grown_at=start)  # the rate does not hold this start back, so nothing is learnt
        quiet_s, elapsed_s = start - self.shrunk_at, max(0.0, start - self.grown_at)
        if quiet_s < _PATIENCE_S:
            growth = 0.0
        elif self.ceiling is None:
            growth = _SEARCHING
        else:
            is_near = self.rate >= _NEAR * self.ceiling and quiet_s < _FORGET_S
            growth = _PROBING if is_near else _RETURNING
        return replace(self, rate=self.rate * (1 + growth * min(elapsed_s, 10.0)), grown_at=start)


def most_in_a_window(times: Sequence[float]) -> int:
    """Return the most of these ascending times that lie within WINDOW_S."""
    most = first = 0
    for last, time in enumerate(times):
        while times[first] <= time - WINDOW_S:
            first += 1
        most = max(most, last - first + 1)
    return most
