"""Tests of intervals: 95 % of them contain a known true value, they are repeatable, and some figures have none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import bootstrap

from essay_cohorts.rubric import DEFAULT_SCALE
from essay_cohorts.statistics.bootstrap import (
    FEW,
    FEWEST_ESSAYS,
    NO_ESSAY,
    NO_SPREAD,
    ONE_ESSAY,
    Estimate,
    difference_range,
    estimate_mean,
    mean_range,
)
from tests.judged_essays import Population

ON_SCALE, GAPS = mean_range(DEFAULT_SCALE), difference_range(DEFAULT_SCALE)

SIMULATIONS, SEED = 2_000, 20_260_102
Values = NDArray[np.float64]
Interval = Callable[[Values], tuple[float, float]]


def mean_of_all(scores: Values) -> Values:
    """Return each essay's mean over judges and replicates."""
    mean: Values = scores.mean(axis=(1, 2))
    return mean


def difference_of_two(scores: Values) -> Values:
    """Return the second judge's mean of each essay minus the first judge's."""
    gap: Values = scores[:, 1].mean(axis=1) - scores[:, 0].mean(axis=1)
    return gap


def ours(values: Values) -> tuple[float, float]:
    """Return the interval of the package."""
    found = estimate_mean(values, GAPS)
    assert found.low is not None
    assert found.high is not None
    return found.low, found.high


def percentile(values: Values) -> tuple[float, float]:
    """Return the plain percentile interval, which the package does not use: quantiles of the resampled means."""
    draw = np.random.default_rng(3)
    low, high = bootstrap((values,), np.mean, n_resamples=2_000, method="percentile", rng=draw).confidence_interval
    return float(low), float(high)


def coverage(population: Population, essays: int, of: Callable[[Values], Values], interval: Interval) -> float:
    """Return the share of simulations whose interval contains the true mean."""
    truth, draw = float(of(population.large_sample()).mean()), np.random.default_rng(SEED)
    covered = 0
    for _ in range(SIMULATIONS):
        low, high = interval(of(population.scores(essays, draw)))
        covered += low <= truth <= high
    return covered / SIMULATIONS


@pytest.mark.slow
@pytest.mark.parametrize("essays", [30, 100])
@pytest.mark.parametrize("skewed", [pytest.param(False, id="symmetric"), pytest.param(True, id="skewed")])
@pytest.mark.parametrize(
    "of", [pytest.param(mean_of_all, id="mean"), pytest.param(difference_of_two, id="difference")]
)
def test_an_interval_of_95_percent_holds_the_truth_in_95_of_100(
    of: Callable[[Values], Values], skewed: bool, essays: int
) -> None:
    """Of 2,000 simulations, 93 to 97 % contain the true mean or the true paired difference, skewed or not."""
    assert 0.93 <= coverage(Population(skewed=skewed), essays, of, ours) <= 0.97


@pytest.mark.slow
def test_the_check_of_coverage_can_fail() -> None:
    """With 30 skewed essays the plain percentile interval contains the true mean in less than 93 %."""
    assert coverage(Population(skewed=True), 30, mean_of_all, percentile) < 0.93


def test_the_same_values_have_the_same_interval() -> None:
    """The seed is fixed, so two calls agree to the last bit."""
    values = mean_of_all(Population(skewed=False).scores(40, np.random.default_rng(5)))
    assert estimate_mean(values, ON_SCALE) == estimate_mean(values.copy(), ON_SCALE)


def test_the_studentised_interval_of_normal_values_is_near_students() -> None:
    """For normal values the interval equals Student's exact interval except for the noise of resampling."""
    values = np.random.default_rng(11).normal(4.5, 1.0, 200)
    found = estimate_mean(values, ON_SCALE)
    half_width = 1.972 * values.std(ddof=1) / np.sqrt(200)
    assert (found.low, found.high) == pytest.approx(
        (values.mean() - half_width, values.mean() + half_width), abs=0.02
    )


@pytest.mark.parametrize(
    ("values", "value", "note"),
    [
        pytest.param([], None, NO_ESSAY, id="no essay"),
        pytest.param([7.0], 7.0, ONE_ESSAY, id="one essay"),
        pytest.param([7.0] * 30, 7.0, NO_SPREAD, id="no variance"),
        pytest.param([6.0, 8.0], 7.0, "too few essays", id="two essays"),
        pytest.param([6.0, 7.0, 8.0], 7.0, "too few essays", id="three essays"),
        pytest.param([7.0] * 29 + [4.0], 6.9, "too few essays differ", id="one essay differs"),
    ],
)
def test_where_there_is_no_interval(values: list[float], value: float | None, note: str) -> None:
    """If the interval is not defined, the figure has none and a note that says why."""
    found = estimate_mean(np.array(values, dtype=float), ON_SCALE)
    assert found.value == (None if value is None else pytest.approx(value))
    assert replace(found, value=None) == Estimate(
        value=None,
        low=None,
        high=None,
        essays=len(values),
        reliable=False,
        note=note,
    )


@pytest.mark.parametrize(
    ("essays", "reliable"),
    [pytest.param(FEWEST_ESSAYS - 1, False, id="19"), pytest.param(FEWEST_ESSAYS, True, id="20")],
)
def test_below_twenty_essays_an_interval_is_unreliable(essays: int, reliable: bool) -> None:
    """An interval over 19 essays is marked as unreliable; an interval over 20 essays is not."""
    found = estimate_mean(mean_of_all(Population(skewed=False).scores(essays, np.random.default_rng(5))), ON_SCALE)
    assert found.low is not None
    assert (found.reliable, found.note) == (reliable, "" if reliable else FEW)


def test_an_interval_stays_on_the_scale() -> None:
    """The interval of a mean near the top of the scale ends at the top."""
    found = estimate_mean(np.array([9.0, 9.0, 9.0, 8.5, 4.0, 9.0, 8.8, 9.0, 8.9, 9.0]), ON_SCALE)
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low < found.high <= 9
