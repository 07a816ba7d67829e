"""Tests of differences on the same essays against values computed by hand."""

from __future__ import annotations

import pytest

from essay_cohorts.statistics.bootstrap import NO_SPREAD
from essay_cohorts.statistics.differences import (
    NOTHING_SHARED,
    PairedDifference,
    between_cohorts,
    between_models,
    between_templates,
)
from essay_cohorts.statistics.frame import cohort_frame
from tests.score_rows import score_rows

FIRST = cohort_frame(
    score_rows(
        {
            ("e1", "t", "a"): [6.0, 8.0],
            ("e1", "t", "b"): [5.0],
            ("e2", "t", "a"): [3.0],
            ("e3", "t", "a"): [9.0],
            ("e1", "u", "a"): [2.0],
            ("e2", "u", "a"): [4.0, None],
        }
    )
)
SECOND = cohort_frame(
    score_rows(
        {
            ("e1", "t", "a"): [9.0],
            ("e1", "t", "b"): [8.0, 8.0],
            ("e2", "t", "a"): [2.0],
            ("e3", "t", "b"): [1.0],
            ("e4", "t", "a"): [1.0],
            ("e1", "w", "a"): [5.0],
        }
    )
)


def summary(found: PairedDifference) -> tuple[str | None, str | None, int, int, float | None]:
    """Return template, judge, pairs, essays and difference."""
    estimate = found.difference
    return found.template_id, found.model_id, found.pairs, estimate.essays, estimate.value


def test_two_cohorts_differ_under_each_template_by_itself() -> None:
    """Essay 1 gains (2 + 3) / 2 and essay 2 loses 1, so the mean is 0.75; cells scored in one cohort do not count."""
    found = between_cohorts("c", "d", FIRST, SECOND)
    assert [summary(one) for one in found] == [
        ("t", None, 3, 2, 0.75),
        ("t", "a", 2, 2, 0.5),
        ("t", "b", 1, 1, 3.0),
        ("u", None, 0, 0, None),
        ("w", None, 0, 0, None),
    ]
    assert (found[0].first, found[0].second) == ("c", "d")
    assert [(one.first_scored, one.first_planned) for one in found] == [(5, 5), (4, 4), (1, 1), (2, 3), (0, 0)]
    assert [(one.second_scored, one.second_planned) for one in found] == [(6, 6), (3, 3), (3, 3), (0, 0), (1, 1)]
    assert found[3].difference.note == NOTHING_SHARED


def test_two_templates_differ_where_the_same_judge_used_both() -> None:
    """Judge a went from 7 to 2 on essay 1 and from 3 to 4 on essay 2, so the mean is -2."""
    found = between_templates("t", "u", FIRST)
    assert [summary(one) for one in found] == [
        (None, None, 2, 2, -2.0),
        (None, "a", 2, 2, -2.0),
        (None, "b", 0, 0, None),
    ]


def test_two_judges_differ_under_each_template() -> None:
    """With t, judge b gave essay 1 two less than judge a; with u, judge b scored nothing."""
    found = between_models("a", "b", FIRST)
    assert [summary(one) for one in found] == [("t", None, 1, 1, -2.0), ("u", None, 0, 0, None)]


def test_the_order_decides_the_sign() -> None:
    """A difference is second minus first: exchanging the two changes the sign of the figure and its interval."""
    rows = {(f"e{n}", "t", judge): [float((n * k) % 8)] for n in range(40) for k, judge in ((3, "a"), (5, "b"))}
    frame = cohort_frame(score_rows(rows))
    ((forward,), (reverse,)) = between_models("a", "b", frame), between_models("b", "a", frame)
    assert forward.difference.reliable
    assert (forward.difference.value, forward.difference.low, forward.difference.high) == pytest.approx(
        (-(reverse.difference.value or 0), -(reverse.difference.high or 0), -(reverse.difference.low or 0)), abs=0.05
    )


def test_a_cohort_differs_from_itself_by_zero() -> None:
    """If all differences are 0 there is no interval, and the note says why."""
    found = between_cohorts("c", "c", FIRST, FIRST)[0].difference
    assert (found.value, found.low, found.note) == (0.0, None, NO_SPREAD)
