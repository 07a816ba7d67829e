"""Tests of kappa, rho and the table of scores: published values, coverage, and where there is none."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from dataclasses import asdict
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import spearmanr
from scipy.stats import t as student_t

from essay_cohorts.rubric import DEFAULT_SCALE, Scale
from essay_cohorts.statistics.agreement import estimate_alpha
from essay_cohorts.statistics.bootstrap import NO_SPREAD, ONE_ESSAY, Estimate, difference_range, estimate_mean
from essay_cohorts.statistics.concordance import (
    FULL,
    FULL_ORDER,
    NO_SHARED,
    Confusion,
    confusion,
    estimate_kappa,
    estimate_rho,
)
from tests.judged_essays import Population

Values = NDArray[np.float64]
SIMULATIONS, SEED = 2_000, 20_260_102

# From the tests of scikit-learn's cohen_kappa_score, which publish 0.9541 for quadratic weights.
SCIKIT = [0] * 46 + [1] * 44 + [2] * 10, [0] * 50 + [1] * 40 + [2] * 10
# From the documentation of `ci.spear` in the R package statpsych, which publishes 0.8699639.
STATPSYCH = (
    [21, 4, 9, 12, 35, 18, 10, 22, 24, 1, 6, 8, 13, 16, 19],
    [67, 28, 30, 28, 52, 40, 25, 37, 44, 10, 14, 20, 28, 40, 51],
)
points = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=12)


def values(numbers: list[int] | list[float]) -> Values:
    """Return an array of floats."""
    return np.array(numbers, dtype=float)


def kappa_of_table(first: list[int], second: list[int]) -> Fraction | None:
    """Return weighted kappa as Cohen (1968) defines it by a table: 1 - sum(v p_o) / sum(v p_e), v = (i - j)^2."""
    n, categories = len(first), sorted({*first, *second})
    pairs = list(zip(first, second, strict=True))
    observed = sum(
        (Fraction(pairs.count((i, j)), n) * (i - j) ** 2 for i in categories for j in categories), Fraction(0)
    )
    expected = sum(
        (Fraction(first.count(i) * second.count(j), n * n) * (i - j) ** 2 for i in categories for j in categories),
        Fraction(0),
    )
    return 1 - observed / expected if expected else None


def lins_concordance(first: Values, second: Values) -> float:
    """Return Lin's coefficient (1989) from its own formula, with variances over n."""
    covariance = float(np.mean((first - first.mean()) * (second - second.mean())))
    return 2 * covariance / float(first.var() + second.var() + (first.mean() - second.mean()) ** 2)


def test_kappa_equals_the_published_value() -> None:
    """Kappa equals the value of scikit-learn to its four decimals, and the exact value of the table to 1e-9."""
    found = estimate_kappa(values(SCIKIT[0]), values(SCIKIT[1])).value
    exact = kappa_of_table(*SCIKIT)
    assert exact is not None
    assert found == pytest.approx(0.9541, abs=5e-5)
    assert found == pytest.approx(float(exact), abs=1e-9)


@settings(deadline=None, max_examples=200)
@given(points)
def test_kappa_of_whole_numbers_is_that_of_the_table(pairs: list[tuple[int, int]]) -> None:
    """For any whole numbers the formula gives Cohen's kappa with quadratic weights."""
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    found, exact = estimate_kappa(values(first), values(second)), kappa_of_table(first, second)
    if exact is None:
        assert (found.value, found.note) == (None, NO_SPREAD)
    else:
        assert found.value == pytest.approx(float(exact), abs=1e-9)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.floats(0, 1000), st.floats(0, 1000)), min_size=2, max_size=9))
def test_kappa_of_means_is_lins_concordance(pairs: list[tuple[float, float]]) -> None:
    """For values that are not whole, kappa equals Lin's coefficient."""
    first, second = (values(list(each)) for each in zip(*pairs, strict=True))
    found = estimate_kappa(first, second).value
    if found is not None:
        assert found == pytest.approx(lins_concordance(first, second), abs=1e-6)


def test_rho_equals_the_published_values() -> None:
    """Rho equals the value of statpsych to its seven digits, and that of SciPy's documentation to 1e-9."""
    assert estimate_rho(values(STATPSYCH[0]), values(STATPSYCH[1])).value == pytest.approx(0.8699639, abs=5e-8)
    documented = estimate_rho(values([1, 2, 3, 4, 5]), values([5, 6, 7, 8, 7])).value
    assert documented == pytest.approx(0.8207826816681233, abs=1e-9)


@pytest.mark.parametrize("essays", [15, 450])
def test_the_interval_of_rho_is_that_of_the_jackknife(essays: int) -> None:
    """The interval equals Student's with an error from leaving out each essay in turn, ties and all."""
    scores = Population(skewed=True).scores(essays, np.random.default_rng(7))
    first, second = scores[:, 0, 0], scores[:, 1, 0]
    left = [
        np.arctanh(spearmanr(np.delete(first, number), np.delete(second, number)).statistic)
        for number in range(essays)
    ]
    half = student_t.ppf(0.975, essays - 1) * np.sqrt((essays - 1) * np.mean((left - np.mean(left)) ** 2))
    middle, found = np.arctanh(spearmanr(first, second).statistic), estimate_rho(first, second)
    assert found.low == pytest.approx(np.tanh(middle - half), abs=1e-9)
    assert found.high == pytest.approx(np.tanh(middle + half), abs=1e-9)


@settings(deadline=None, max_examples=150)
@given(points)
def test_any_figure_is_strict_json_and_within_its_range(pairs: list[tuple[int, int]]) -> None:
    """For any scores, a figure and its interval are None or in order within -1 and 1, without a warning."""
    first, second = values([a for a, _ in pairs]), values([b for _, b in pairs])
    with warnings.catch_warnings(action="error"):
        figures = [estimate_kappa(first, second), estimate_rho(first, second)]
    for found in figures:
        json.dumps(asdict(found), allow_nan=False)
        assert all(-1 <= each <= 1 for each in (found.value, found.low, found.high) if each is not None)
        assert (found.low is None) == (found.high is None)
        assert found.low is None or found.high is None or found.low <= found.high
        assert found.note or found.reliable


ALTERNATING = [float(number % 7) for number in range(30)]


@pytest.mark.parametrize(
    ("estimate", "first", "second", "value", "note"),
    [
        pytest.param(estimate_kappa, [], [], None, NO_SHARED, id="kappa of nothing"),
        pytest.param(estimate_kappa, [3.0], [4.0], None, ONE_ESSAY, id="kappa of one essay"),
        pytest.param(estimate_kappa, [5.0] * 30, [5.0] * 30, None, NO_SPREAD, id="kappa without spread"),
        pytest.param(estimate_kappa, ALTERNATING, ALTERNATING, 1.0, FULL, id="kappa of full agreement"),
        pytest.param(
            estimate_kappa, [5.0] * 30, [6.0] * 30, 0.0, "too few essays differ", id="kappa of two constants"
        ),
        pytest.param(estimate_kappa, [1.0, 2.0], [1.0, 3.0], 2 / 3, "too few essays", id="kappa of two essays"),
        pytest.param(estimate_rho, [], [], None, NO_SHARED, id="rho of nothing"),
        pytest.param(estimate_rho, [3.0], [4.0], None, ONE_ESSAY, id="rho of one essay"),
        pytest.param(estimate_rho, [5.0] * 30, ALTERNATING, None, NO_SPREAD, id="rho of a constant"),
        pytest.param(estimate_rho, ALTERNATING, ALTERNATING, 1.0, FULL_ORDER, id="rho of the same order"),
        pytest.param(
            estimate_rho, [1.0, 2.0, 3.0], [3.0, 2.0, 1.0], -1.0, FULL_ORDER, id="rho of the opposite order"
        ),
        pytest.param(estimate_rho, [1.0, 2.0, 3.0], [1.0, 3.0, 2.0], 0.5, "too few essays", id="rho of three essays"),
    ],
)
def test_where_there_is_no_interval(
    estimate: Callable[[Values, Values], Estimate],
    first: list[float],
    second: list[float],
    value: float | None,
    note: str,
) -> None:
    """If the figure or its interval is not defined, it is None with a note; nothing warns."""
    with warnings.catch_warnings(action="error"):
        found = estimate(values(first), values(second))
    assert found.value == (None if value is None else pytest.approx(value))
    assert (found.low, found.high, found.reliable, found.note) == (None, None, False, note)


def test_a_constant_gap_lowers_kappa_and_not_rho() -> None:
    """A judge that is always 2 above people keeps their order, but does not agree with them."""
    people = values(ALTERNATING)
    judge = people + 2
    assert estimate_rho(people, judge).value == 1.0
    assert estimate_kappa(people, judge).value == pytest.approx(lins_concordance(people, judge), abs=1e-9)
    assert (estimate_kappa(people, judge).value or 1) < 0.7


def test_the_same_values_have_the_same_interval() -> None:
    """The seed is fixed, and the two sides may be swapped."""
    scores = Population(skewed=False).scores(40, np.random.default_rng(5))
    first, second = scores[:, 0].mean(axis=1), scores[:, 1].mean(axis=1)
    found = estimate_kappa(first, second)
    assert found == estimate_kappa(first.copy(), second.copy())
    swapped = estimate_kappa(second, first)
    assert found.value == pytest.approx(swapped.value)
    assert found.low == pytest.approx(swapped.low)


@pytest.mark.parametrize(
    ("scale", "people", "judge", "found"),
    [
        pytest.param(
            Scale(1, 4),
            [1, 1.5, 2.5, 4, 3.4999999999],
            [1, 2.49, 2.5, 1, 4],
            Confusion(points=(1, 2, 3, 4), counts=((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (1, 0, 0, 1))),
            id="a half is rounded upwards",
        ),
        pytest.param(Scale(0, 100), [1.0], [1.0], None, id="many points"),
        pytest.param(Scale(0, 1), [1.0], [1.0], None, id="too few points"),
        pytest.param(Scale(0.5, 5.5), [1.0], [1.0], None, id="a scale that is not whole"),
        pytest.param(DEFAULT_SCALE, [], [], None, id="no essay"),
    ],
)
def test_the_table_of_scores(scale: Scale, people: list[float], judge: list[float], found: Confusion | None) -> None:
    """Rows are people's points, columns the judge's; the scale must have few whole points."""
    assert confusion(values(people), values(judge), scale) == found


def _whole_points(scores: Values) -> tuple[Values, Values]:
    """Return two raters' scores from 1 to 5, with many ties."""
    first, second = (np.clip(np.round(scores[:, number, 0] / 2.25) + 1, 1, 5) for number in (0, 1))
    return first, second


def _judge_and_people(scores: Values) -> tuple[Values, Values]:
    """Return a judge's mean of four replicates, and the mean of two raters who rate once."""
    return scores[:, 0].mean(axis=1), scores[:, 1:, 0].mean(axis=1)


def _estimate_alpha(first: Values, second: Values) -> Estimate:
    """Return alpha of two series."""
    essays = np.tile(np.arange(len(first)), 2)
    return estimate_alpha(pd.DataFrame({"essay": essays, "score": np.concatenate([first, second])}))


def _estimate_bias(first: Values, second: Values) -> Estimate:
    """Return the mean difference of two series."""
    return estimate_mean(first - second, difference_range(DEFAULT_SCALE))


def _alpha_of_two(first: Values, second: Values) -> float:
    """Return Krippendorff's alpha of two complete series: 1 - mean((x - y)^2) / (2 var of all values)."""
    return 1 - float(np.mean((first - second) ** 2) / (2 * np.var(np.concatenate([first, second]), ddof=1)))


TRUTHS: dict[object, Callable[[Values, Values], float]] = {
    estimate_kappa: lins_concordance,
    estimate_rho: lambda first, second: float(spearmanr(first, second).statistic),
    _estimate_alpha: _alpha_of_two,
    _estimate_bias: lambda first, second: float((first - second).mean()),
}


@pytest.mark.slow
@pytest.mark.parametrize("essays", [30, 100])
@pytest.mark.parametrize("skewed", [pytest.param(False, id="symmetric"), pytest.param(True, id="skewed")])
@pytest.mark.parametrize(
    ("estimate", "of"),
    [
        pytest.param(_estimate_alpha, _judge_and_people, id="alpha"),
        pytest.param(_estimate_bias, _judge_and_people, id="bias"),
        pytest.param(estimate_kappa, _judge_and_people, id="kappa"),
        pytest.param(estimate_rho, _judge_and_people, id="rho"),
        pytest.param(estimate_rho, _whole_points, id="rho of whole points"),
    ],
)
def test_an_interval_holds_the_truth_in_95_of_100(
    estimate: Callable[[Values, Values], Estimate],
    of: Callable[[Values], tuple[Values, Values]],
    skewed: bool,
    essays: int,
) -> None:
    """Of 2,000 simulations, 93 to 97 % contain the true figure; one without an interval counts as a miss."""
    population, draw = Population(skewed=skewed), np.random.default_rng(SEED)
    truth = TRUTHS[estimate](*of(population.large_sample()))
    covered = 0
    for _ in range(SIMULATIONS):
        found = estimate(*of(population.scores(essays, draw)))
        covered += found.low is not None and found.high is not None and found.low <= truth <= found.high
    assert 0.93 <= covered / SIMULATIONS <= 0.97
