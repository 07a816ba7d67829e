"""Sends the counts of a slice's calls to the metrics that Airflow sends: StatsD or OpenTelemetry, if they are on."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from airflow.sdk.observability import stats

if TYPE_CHECKING:
    from essay_cohorts.progress.counts import CallCounts
    from essay_cohorts.progress.records import SliceProgress

log = logging.getLogger(__name__)

# Airflow puts its own prefix before the names, `airflow.` by default. Counters are whole numbers, so the cost is in
# millionths of a USD.
PREFIX = "essay_cohorts"
_IN_FLIGHT = "in_flight"


class SliceMetrics:
    """Turns the counts of one slice, which grow, into the increments that counters need; it is a Meter."""

    def __init__(self) -> None:
        self._sent: dict[str, dict[str, int]] = {}
        self._mutex = threading.Lock()
        self._works = True

    def __call__(self, progress: SliceProgress) -> None:
        """Send what has changed since the last time, with the judge as the tag `model`; an error ends the metrics."""
        with self._mutex:
            if not self._works:
                return
            try:
                self._send(progress)
            except Exception as error:  # noqa: BLE001  (calls that are paid for must not fail with their metrics)
                self._works = False
                log.warning("No more metrics of this task are sent: %s", error)

    def _send(self, progress: SliceProgress) -> None:
        for judge, counts in progress.by_judge.items():
            found = _numbers(counts)
            # The calls that were done when the task began were counted by an earlier try.
            sent = self._sent.get(judge) or dict.fromkeys(found, 0) | {"calls": found["calls"]}
            self._sent[judge] = found
            for name in [name for name in found if found[name] != sent[name]]:
                change, tags = found[name] - sent[name], {"model": judge}
                if name == _IN_FLIGHT:
                    # OpenTelemetry adds up within a process only, so the slices must be told apart.
                    slice_tags = tags | {"slice": progress.slice_name}
                    stats.gauge(f"{PREFIX}.{name}", change, delta=True, tags=slice_tags)
                elif change > 0:
                    stats.incr(f"{PREFIX}.{name}", change, tags=tags)


def _numbers(counts: CallCounts) -> dict[str, int]:
    return {
        "calls": counts.done,
        "failed": counts.failed,
        "requests": counts.requests,
        "refused": counts.refused,
        "retried": counts.retried,
        "tokens": counts.tokens,
        "cost_microusd": round(counts.spent_usd * 1e6),
        _IN_FLIGHT: counts.in_flight,
    }
