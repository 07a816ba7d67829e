"""The metrics of a slice: increments of what has changed, through the client that Airflow has set up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from essay_cohorts.progress.counts import CallCounts
from essay_cohorts.progress.records import SliceProgress


@dataclass
class Received:
    """A client of metrics that keeps what it is sent."""

    counters: Counter[tuple[str, str]] = field(default_factory=Counter)
    gauges: Counter[tuple[str, str]] = field(default_factory=Counter)

    def incr(self, stat: str, count: int = 1, *, tags: dict[str, str]) -> None:
        assert count > 0
        self.counters[stat, tags["model"]] += count

    def gauge(self, stat: str, value: int, *, delta: bool, tags: dict[str, str]) -> None:
        assert delta
        self.gauges[stat, tags["model"]] += value


@pytest.fixture
def received() -> Iterator[Received]:
    """Return what the metrics of this test send."""
    from airflow.sdk.observability import stats

    client: Any = Received()
    stats.initialize(factory=lambda: client, export_legacy_names=False)
    yield client
    from airflow.sdk._shared.observability.metrics.base_stats_logger import NoStatsLogger

    stats.initialize(factory=NoStatsLogger, export_legacy_names=False)


def progress(**judges: CallCounts) -> SliceProgress:
    return SliceProgress(slice_name="todo-0-9", try_number=1, by_judge=judges)


def test_only_what_has_changed_is_sent(received: Received) -> None:
    """Counters add up to the counts; calls of earlier tries are not counted again; nobody is in flight at the end."""
    from essay_cohorts_airflow.monitoring.metrics import SliceMetrics

    metrics = SliceMetrics()
    metrics(progress(a=CallCounts(calls=9, done=2)))
    metrics(progress(a=CallCounts(calls=9, done=5, requests=6, refused=1, in_flight=2, tokens=100, spent_usd=0.25)))
    assert received.gauges == {("essay_cohorts.in_flight", "a"): 2}
    metrics(
        progress(
            a=CallCounts(calls=9, done=9, requests=8, refused=1, failed=1, retried=1, tokens=300, spent_usd=0.5),
            b=CallCounts(calls=0, done=0, requests=1, in_flight=1),
        )
    )
    assert received.counters == {
        ("essay_cohorts.calls", "a"): 7,
        ("essay_cohorts.requests", "a"): 8,
        ("essay_cohorts.refused", "a"): 1,
        ("essay_cohorts.retried", "a"): 1,
        ("essay_cohorts.failed", "a"): 1,
        ("essay_cohorts.tokens", "a"): 300,
        ("essay_cohorts.cost_microusd", "a"): 500_000,
        ("essay_cohorts.requests", "b"): 1,
    }
    assert +received.gauges == {("essay_cohorts.in_flight", "b"): 1}


def test_a_client_that_fails_ends_the_metrics_and_not_the_calls(
    received: Received, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The error is logged once, and nothing more is sent."""
    from essay_cohorts_airflow.monitoring.metrics import SliceMetrics

    def fail(*_: object, **__: object) -> None:
        message = "no such host"
        raise ValueError(message)

    monkeypatch.setattr(received, "incr", fail, raising=False)
    metrics = SliceMetrics()
    metrics(progress(a=CallCounts(calls=9, done=2)))
    for done in (3, 4):
        metrics(progress(a=CallCounts(calls=9, done=done)))
    assert [message for message in caplog.messages if "No more metrics of this task" in message] == [
        "No more metrics of this task are sent: no such host"
    ]
