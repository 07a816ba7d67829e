"""Tells how far the calls of a run have come, as numbers and in words. Pure.

A *call* asks a judge for one evaluation and may take several requests. A call is *done* when it has brought a reply,
or a failure that the task does not try again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

from essay_cohorts.amounts import dollars

# Below this rate, in calls a second, the calls of a minute are shown, because "0.0/s" says nothing.
_SLOW_PER_SECOND = 0.1
# From these numbers on, a time is shown in the next larger unit.
_SECONDS_SHOWN, _MINUTES_SHOWN = 90, 90


@dataclass(frozen=True, kw_only=True, slots=True)
class CallCounts:
    """The calls to one judge, or to all judges together; counts can be added.

    - `done` of the `calls` are done; `failed` of these got no reply.
    - `requests` were sent. The server answered `refused` of them with an error, such as 429. `retried` of them were
      not the first request of their call.
    - `in_flight` requests have not ended yet. The ended ones used `tokens`, as far as the server told.
    - `spent_usd` is the cost of the requests that have ended. `unpriced` replies have an unknown cost.
    - `per_second` is the number of calls done per second, of late.
    """

    calls: int = 0
    done: int = 0
    failed: int = 0
    requests: int = 0
    refused: int = 0
    retried: int = 0
    in_flight: int = 0
    tokens: int = 0
    spent_usd: float = 0.0
    unpriced: int = 0
    per_second: float = 0.0

    def __add__(self, other: CallCounts) -> CallCounts:
        return CallCounts(**{name: getattr(self, name) + getattr(other, name) for name in COUNT_NAMES})

    @property
    def left(self) -> int:
        """The number of calls that are not done."""
        return max(0, self.calls - self.done)

    @property
    def cost_usd(self) -> float | None:
        """The cost in USD; None if there were replies and the cost of none of them is known."""
        return None if self.unpriced and not self.spent_usd else self.spent_usd


COUNT_NAMES = tuple(field.name for field in fields(CallCounts))


def total_of(counts: Iterable[CallCounts]) -> CallCounts:
    """Return the sum of the counts."""
    return sum(counts, CallCounts())


def seconds_left(by_judge: Mapping[str, CallCounts]) -> float | None:
    """Return the time until the calls to all judges are done at their present rates, in s; None if it is not known.

    The calls end with those to the slowest judge. A judge that has not been asked yet has no rate, so the time is
    never shorter than that of all calls at the rate of all judges.
    """
    total = total_of(by_judge.values())
    if not total.left:
        return 0.0
    if not total.per_second:
        return None
    judges = [counts.left / counts.per_second for counts in by_judge.values() if counts.per_second]
    return max(total.left / total.per_second, *judges)


def progress_lines(by_judge: Mapping[str, CallCounts]) -> list[str]:
    """Return the sentence about all calls, and one about each judge if there are several."""
    lines = [progress_in_words(total_of(by_judge.values()), seconds_left(by_judge))]
    if len(by_judge) > 1:
        lines += [
            f"{judge}: {progress_in_words(counts, seconds_left({judge: counts}))}"
            for judge, counts in by_judge.items()
        ]
    return lines


def progress_in_words(counts: CallCounts, left_s: float | None) -> str:
    """Return `412 of 1,000 calls done, 48.2/s, about 12 s left, $0.41 so far, 3 refused, 5 retried`.

    `left_s` is the time left in s; the sentence leaves out a time that is unknown or over.
    """
    parts = [f"{done_in_words(counts)} done"]
    if counts.left or counts.per_second:
        parts.append(rate_in_words(counts.per_second))
    if left_s:
        parts.append(f"{time_in_words(left_s)} left")
    parts.append(f"{dollars(counts.cost_usd)} so far")
    if counts.failed:
        parts.append(f"{counts.failed:,} without a reply")
    return ", ".join([*parts, f"{counts.refused:,} refused", f"{counts.retried:,} retried"])


def done_in_words(counts: CallCounts) -> str:
    """Return `412 of 1,000 calls`."""
    return f"{counts.done:,} of {counts.calls:,} call{'' if counts.calls == 1 else 's'}"


def rate_in_words(per_second: float) -> str:
    """Return `48.2/s`, or for a low rate `4.1/min`."""
    if per_second and per_second < _SLOW_PER_SECOND:
        return f"{per_second * 60:.1f}/min"
    return f"{per_second:,.1f}/s"


def time_in_words(seconds: float) -> str:
    """Return `about 12 s`, `about 3 min` or `about 1 h 20 min`, rounded up."""
    if seconds < _SECONDS_SHOWN:
        return f"about {max(1, math.ceil(seconds))} s"
    minutes = math.ceil(seconds / 60)
    if minutes < _MINUTES_SHOWN:
        return f"about {minutes} min"
    return f"about {minutes // 60:,} h {minutes % 60} min"
