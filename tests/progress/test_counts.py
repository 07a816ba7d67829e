"""Tests of the counts of a run's calls: their sum, the time left, and the sentence that the log and the page show."""

from __future__ import annotations

import pytest

from essay_cohorts.progress.counter import ProgressCounter
from essay_cohorts.progress.counts import (
    CallCounts,
    progress_in_words,
    progress_lines,
    rate_in_words,
    seconds_left,
    time_in_words,
    total_of,
)

MANY = CallCounts(calls=1_000, done=412, requests=417, refused=3, retried=5, spent_usd=0.41, per_second=48.2)


@pytest.mark.parametrize(
    ("counts", "left_s", "words"),
    [
        pytest.param(
            MANY,
            12.2,
            "412 of 1,000 calls done, 48.2/s, about 13 s left, $0.4100 so far, 3 refused, 5 retried",
            id="under way",
        ),
        pytest.param(
            CallCounts(calls=4, done=4, failed=1, requests=6, retried=2, spent_usd=0.02, per_second=2.0),
            0.0,
            "4 of 4 calls done, 2.0/s, $0.0200 so far, 1 without a reply, 0 refused, 2 retried",
            id="at the end, one without a reply",
        ),
        pytest.param(
            CallCounts(calls=1, requests=1),
            None,
            "0 of 1 call done, 0.0/s, $0.0000 so far, 0 refused, 0 retried",
            id="one call, and no rate yet",
        ),
        pytest.param(
            CallCounts(calls=2, done=1, requests=1, unpriced=1, per_second=0.05),
            20.0,
            "1 of 2 calls done, 3.0/min, about 20 s left, cost unknown so far, 0 refused, 0 retried",
            id="no price, and slow",
        ),
        pytest.param(
            CallCounts(calls=2, done=2, requests=2, unpriced=1, spent_usd=0.5, per_second=1.0),
            0.0,
            "2 of 2 calls done, 1.0/s, $0.5000 so far, 0 refused, 0 retried",
            id="a price for one of two judges",
        ),
        pytest.param(
            CallCounts(calls=2, done=2),
            0.0,
            "2 of 2 calls done, $0.0000 so far, 0 refused, 0 retried",
            id="over, and without a rate",
        ),
    ],
)
def test_the_sentence(counts: CallCounts, left_s: float | None, words: str) -> None:
    """The sentence has calls, rate, time left, cost, refused and retried, and leaves out what is not known."""
    assert progress_in_words(counts, left_s) == words


def test_several_judges_have_a_line_each() -> None:
    """The first line is about all calls. Each judge has a line of its own unless it is the only one."""
    first = CallCounts(calls=10, done=10, requests=11, retried=1, spent_usd=0.5, per_second=1.0)
    second = CallCounts(calls=10, done=5, requests=6, refused=1, spent_usd=0.25, per_second=0.5)
    assert progress_lines({"a": first, "b": second}) == [
        "15 of 20 calls done, 1.5/s, about 10 s left, $0.7500 so far, 1 refused, 1 retried",
        "a: 10 of 10 calls done, 1.0/s, $0.5000 so far, 0 refused, 1 retried",
        "b: 5 of 10 calls done, 0.5/s, about 10 s left, $0.2500 so far, 1 refused, 0 retried",
    ]
    assert progress_lines({"a": first}) == ["10 of 10 calls done, 1.0/s, $0.5000 so far, 0 refused, 1 retried"]


@pytest.mark.parametrize(
    ("by_judge", "seconds"),
    [
        pytest.param({"a": CallCounts(calls=10, done=10, per_second=3.0)}, 0.0, id="nothing left"),
        pytest.param({}, 0.0, id="no judge"),
        pytest.param({"a": CallCounts(calls=10)}, None, id="no rate yet"),
        pytest.param({"a": CallCounts(calls=10, done=4, per_second=2.0)}, 3.0, id="one judge"),
        pytest.param(
            {"a": CallCounts(calls=100, per_second=50.0), "b": CallCounts(calls=100, per_second=1.0)},
            100.0,
            id="the slowest judge decides",
        ),
        pytest.param(
            {"a": CallCounts(calls=100, done=80, per_second=10.0), "b": CallCounts(calls=100)},
            12.0,
            id="a judge that was not asked yet",
        ),
    ],
)
def test_the_time_left(by_judge: dict[str, CallCounts], seconds: float | None) -> None:
    """The time left is that of the slowest judge, and never shorter than that of all calls at the whole rate."""
    assert seconds_left(by_judge) == seconds


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        pytest.param(0.2, "about 1 s", id="under a second"),
        pytest.param(12.0, "about 12 s", id="seconds"),
        pytest.param(89.5, "about 90 s", id="the most seconds"),
        pytest.param(90.0, "about 2 min", id="minutes, rounded up"),
        pytest.param(89 * 60.0, "about 89 min", id="the most minutes"),
        pytest.param(90 * 60.0, "about 1 h 30 min", id="hours"),
        pytest.param(1_000 * 3_600.0, "about 1,000 h 0 min", id="many hours"),
    ],
)
def test_a_time_in_words(seconds: float, words: str) -> None:
    """A time is rounded up and shown in the unit that a person would choose."""
    assert time_in_words(seconds) == words


@pytest.mark.parametrize(
    ("per_second", "words"),
    [
        pytest.param(0.0, "0.0/s", id="none"),
        pytest.param(0.05, "3.0/min", id="slow"),
        pytest.param(0.1, "0.1/s", id="the slowest in seconds"),
        pytest.param(1234.56, "1,234.6/s", id="quick"),
    ],
)
def test_a_rate_in_words(per_second: float, words: str) -> None:
    """A rate has one decimal and is never rounded to 0."""
    assert rate_in_words(per_second) == words


def test_counts_are_added_field_by_field() -> None:
    """The sum of counts is the sum of each count; the sum of none is zero."""
    assert total_of([]) == CallCounts()
    twice = total_of([MANY, MANY])
    assert (twice.calls, twice.left, twice.per_second, twice.cost_usd) == (2_000, 1_176, 96.4, 0.82)


def test_a_judge_of_another_slice_is_counted_apart() -> None:
    """A slice that helps another one may ask a judge that its own calls do not need."""
    times = iter(range(10))
    counter = ProgressCounter(["a"], ["a"], lambda: float(next(times)))
    counter.count_request("b", is_retry=False)
    counter.count_refused("b")
    counter.count_cost("b", 0.5)
    counts = counter.counts()["b"]
    assert (counts.calls, counts.done, counts.requests, counts.refused, counts.spent_usd) == (0, 0, 1, 1, 0.5)
