"""Means and differences by groups of essays."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from scipy.stats import t as student_t

from essay_cohorts.rubric import DEFAULT_SCALE
from essay_cohorts.statistics.bootstrap import NO_SPREAD, difference_range
from essay_cohorts.statistics.frame import cohort_frame
from essay_cohorts.statistics.groups import (
    FEW_IN_A_GROUP,
    NO_ESSAY_SCORED,
    ONE_ESSAY_SCORED,
    estimate_difference,
    group_differences,
    group_means,
)
from tests.judged_essays import Population
from tests.score_rows import score_rows

GAPS = difference_range(DEFAULT_SCALE)

ROWS = score_rows(
    {
        ("e_1", "t", "a"): [4.0, 6.0],
        ("e_1", "t", "b"): [7.0],
        ("e_2", "t", "a"): [8.0],
        ("e_3", "t", "a"): [2.0],
        ("e_4", "t", "a"): [None],
        ("e_5", "t", "a"): [9.0],
        ("e_1", "u", "a"): [1.0],
    }
)
GROUPS = {"e_1": "humans", "e_2": "humans", "e_3": "models", "e_4": "models", "e_5": ""}


def test_means_by_hand() -> None:
    """Each essay counts once, by the mean of its judges; essays without a group are left out."""
    found = group_means(cohort_frame(ROWS), GROUPS)
    assert [(each.template_id, each.group, each.scored, each.planned, each.mean.value) for each in found] == [
        ("t", "humans", 4, 4, 7.0),
        ("t", "models", 1, 2, 2.0),
        ("u", "humans", 1, 1, 1.0),
    ]


def test_differences_by_hand() -> None:
    """Each pair of groups is compared under each template, second less first."""
    [found] = group_differences(cohort_frame(ROWS), GROUPS)
    assert (found.template_id, found.first, found.second, found.difference.value) == ("t", "humans", "models", -5.0)
    assert found.difference.note == ONE_ESSAY_SCORED
    three = {"e_1": "a", "e_2": "b", "e_3": "c"}
    pairs = [(each.first, each.second) for each in group_differences(cohort_frame(ROWS), three)]
    assert pairs == [("a", "b"), ("a", "c"), ("b", "c")]
    assert group_means(cohort_frame(ROWS), {}) == ()
    assert group_differences(cohort_frame(ROWS), {}) == ()


def test_the_interval_is_that_of_welch() -> None:
    """The ends equal the formula of Welch's test with Satterthwaite's degrees of freedom, to 1e-9."""
    draw = np.random.default_rng(3)
    first, second = draw.normal(5, 1, 24), draw.normal(6, 2, 40)
    a, b = first.var(ddof=1) / 24, second.var(ddof=1) / 40
    half = student_t.ppf(0.975, (a + b) ** 2 / (a**2 / 23 + b**2 / 39)) * sqrt(a + b)
    found = estimate_difference(first, second, GAPS)
    middle = second.mean() - first.mean()
    assert found.low == pytest.approx(middle - half, abs=1e-9)
    assert found.high == pytest.approx(middle + half, abs=1e-9)
    assert (found.essays, found.reliable, found.note) == (64, True, "")


@pytest.mark.parametrize(
    ("first", "second", "value", "note"),
    [
        pytest.param([], [5.0], None, NO_ESSAY_SCORED, id="an empty group"),
        pytest.param([5.0], [6.0, 7.0], 1.5, ONE_ESSAY_SCORED, id="one essay"),
        pytest.param([5.0, 5.0], [6.0, 6.0], 1.0, NO_SPREAD, id="no spread"),
    ],
)
def test_where_there_is_no_interval(first: list[float], second: list[float], value: float | None, note: str) -> None:
    """A difference whose interval is not defined has a note instead."""
    found = estimate_difference(np.array(first), np.array(second), GAPS)
    assert (found.value, found.low, found.high, found.note) == (value, None, None, note)


def test_below_twenty_essays_a_difference_is_unreliable() -> None:
    """The smaller group decides, and the interval stays within the possible differences."""
    found = estimate_difference(np.array([0.0] * 19 + [9.0]), np.array([9.0, 0.0]), GAPS)
    assert (found.reliable, found.note, found.low, found.high) == (False, FEW_IN_A_GROUP, -9.0, 9.0)


@pytest.mark.slow
@pytest.mark.parametrize("essays", [30, 100])
@pytest.mark.parametrize("skewed", [False, True], ids=["even", "skewed"])
def test_an_interval_of_95_percent_holds_the_truth(essays: int, skewed: bool) -> None:
    """Of 2,000 simulated differences of two groups, 93 to 97 % of the intervals hold the true difference."""
    population, draw, shift = Population(skewed=skewed), np.random.default_rng(11), 1.0
    covered = 0
    for _ in range(2_000):
        first, second = (population.scores(essays, draw).mean(axis=(1, 2)) for _ in range(2))
        found = estimate_difference(first, second - shift, GAPS)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= -shift <= found.high
    assert 0.93 <= covered / 2_000 <= 0.97
