"""Figures of two aligned series of values: quadratic weighted kappa, Spearman's rho, and a table of both.

Quadratic weighted kappa (Cohen, Psychological Bulletin 70, 1968) of the values x and y of n essays:

    kappa = 1 - sum_i (x_i - y_i)^2 / (sum_i sum_j (x_i - y_j)^2 / n)

For whole numbers this is the usual kappa of a table with weights (x - y)^2. It is also defined for means. The
denominator is n (var x + var y + (mean x - mean y)^2), so kappa equals Lin's concordance correlation coefficient with
variances over n (Lin, Biometrics 45, 1989). A kappa of 1 is full agreement, 0 is what chance would give, and a
judge that differs from people by a constant has a lower kappa than its correlation says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata, spearmanr
from scipy.stats import t as student_t

from essay_cohorts.rubric import Scale
from essay_cohorts.statistics.bootstrap import (
    CONFIDENCE,
    NO_SPREAD,
    ONE_ESSAY,
    Estimate,
    Values,
    studentised,
    too_little,
    with_interval,
    without_interval,
)

NO_SHARED = "no essay was scored by both"
FULL = "both agree on every essay"
FULL_ORDER = "both put the essays in the same or in the opposite order"
# An interval of Fisher's z with this half width reaches from -1 to 1 and says nothing.
_WIDEST = 5.0
# The ranks without one essay take 8 bytes for each pair of essays.
_ESSAYS_AT_ONCE = 200
# 1 - kappa is at most 2.
_HIGHEST_LOG = float(np.log(2))


@dataclass(frozen=True, kw_only=True, slots=True)
class Confusion:
    """How many essays have each pair of scores, rounded to the points of the scale, a half upwards.

    `counts` has a row for each of `points` that people gave, with a column for each that the judge gave.
    """

    points: tuple[int, ...]
    counts: tuple[tuple[int, ...], ...]


def estimate_kappa(first: Values, second: Values) -> Estimate:
    """Return the quadratic weighted kappa of two aligned series, with its interval over essays.

    An interval that reaches below -1, where kappa cannot be, is left out because it says nothing.
    """
    essays = len(first)
    if not essays:
        return without_interval(None, 0, NO_SHARED)
    # Centred, so that large scores do not cost digits.
    centre = float(np.mean(np.concatenate([first, second])))
    first, second = first - centre, second - centre
    observed, expected = (float(each) for each in _disagreements(first, second, axis=-1))
    if expected <= 1e-9:
        return without_interval(None, essays, NO_SPREAD)
    kappa = 1 - observed / expected
    if essays == 1:
        return without_interval(None, 1, ONE_ESSAY)
    if observed <= 1e-9:
        return without_interval(1.0, essays, FULL)
    ends = studentised((first, second), _log_and_error, _jackknife_error(first, second))
    if ends is None or not np.isfinite(ends).all() or ends[1] > _HIGHEST_LOG:
        return without_interval(kappa, essays, too_little(essays))
    return with_interval(kappa, 1 - float(np.exp(ends[1])), 1 - float(np.exp(ends[0])), essays)


def estimate_rho(first: Values, second: Values) -> Estimate:
    """Return Spearman's rank correlation of two aligned series; ties have their mean rank.

    The interval is Student's on the scale of Fisher's z, with the jackknife error over essays. The usual error,
    sqrt((1 + rho^2 / 2) / (n - 3)) (Bonett and Wright, Psychometrika 65, 2000), is too small for skewed scores with
    many ties.
    """
    essays = len(first)
    if not essays:
        return without_interval(None, 0, NO_SHARED)
    if essays == 1:
        return without_interval(None, 1, ONE_ESSAY)
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return without_interval(None, essays, NO_SPREAD)
    rho = float(np.clip(spearmanr(first, second).statistic, -1, 1))
    if abs(rho) > 1 - 1e-9:
        return without_interval(float(np.sign(rho)), essays, FULL_ORDER)
    half = float(student_t.ppf((1 + CONFIDENCE) / 2, essays - 1)) * _jackknife_error_of_rho(first, second)
    if not 0 < half < _WIDEST:
        return without_interval(rho, essays, too_little(essays))
    middle = float(np.arctanh(rho))
    return with_interval(rho, float(np.tanh(middle - half)), float(np.tanh(middle + half)), essays)


def confusion(people: Values, judge: Values, scale: Scale) -> Confusion | None:
    """Return the table of people's and a judge's scores; None unless the scale has few whole points."""
    points = scale.whole_points
    if not points or not len(people):
        return None
    counts = np.zeros((len(points), len(points)), dtype=int)
    rows, columns = (np.floor(np.round(each, 9) + 0.5).astype(int) - points[0] for each in (people, judge))
    np.add.at(counts, (rows, columns), 1)
    return Confusion(points=points, counts=tuple(tuple(map(int, row)) for row in counts))


def _jackknife_error_of_rho(first: Values, second: Values) -> float:
    """Return the jackknife error of Fisher's z of rho; not finite if rho is 1 or not defined without one essay."""
    n = len(first)
    ranks = rankdata(first), rankdata(second)
    left = np.empty(n)
    for start in range(0, n, _ESSAYS_AT_ONCE):
        rows = slice(start, start + _ESSAYS_AT_ONCE)
        one, two = (_ranks_without(each, rank, rows) for each, rank in zip((first, second), ranks, strict=True))
        with np.errstate(divide="ignore", invalid="ignore"):
            products = np.sum(one * two, axis=-1)
            rho = products / np.sqrt(np.sum(one**2, axis=-1) * np.sum(two**2, axis=-1))
            left[rows] = np.arctanh(np.where(np.abs(rho) > 1 - 1e-9, np.nan, rho))
    return float(np.std(left) * np.sqrt(n - 1))


def _ranks_without(values: Values, ranks: Values, rows: slice) -> Values:
    """Return a row for each essay in `rows`: the centred ranks of the other essays, and 0 for the essay itself."""
    left_out = values[rows, np.newaxis]
    found = ranks - (left_out < values) - 0.5 * (left_out == values)
    # The mean rank of n - 1 essays is n / 2.
    found -= len(values) / 2
    found[np.arange(len(found)), np.arange(len(values))[rows]] = 0
    centred: Values = found
    return centred


def _disagreements(first: Values, second: Values, axis: int) -> tuple[Any, Any]:
    """Return the mean squared difference of an essay's two values, and of any two values of the two series."""
    observed = np.mean((first - second) ** 2, axis=axis)
    squares = np.mean(first**2, axis=axis) + np.mean(second**2, axis=axis)
    return observed, squares - 2 * np.mean(first, axis=axis) * np.mean(second, axis=axis)


def _log_and_error(first: Values, second: Values, axis: int) -> tuple[Any, Any]:
    """Return log(1 - kappa) and its error by the delta method, as for alpha (see agreement)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        one, two = (np.mean(each, axis=axis, keepdims=True) for each in (first, second))
        gaps = (first - second) ** 2
        parts = first**2 + second**2 - 2 * (two * first + one * second)
        observed, expected = _disagreements(first, second, axis)
        influence = gaps / np.expand_dims(observed, axis) - parts / np.expand_dims(expected, axis)
        error = np.std(influence, axis=axis, ddof=1) / np.sqrt(first.shape[axis])
        return np.log(observed / expected), error


def _jackknife_error(first: Values, second: Values) -> float:
    """Return the jackknife error of log(1 - kappa) over essays; not finite if the result depends on one essay."""
    n = len(first)
    one, two = ((each.sum() - each) / (n - 1) for each in (first, second))
    gaps, squares = (first - second) ** 2, first**2 + second**2
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.log((gaps.sum() - gaps) / (n - 1))
        left -= np.log((squares.sum() - squares) / (n - 1) - 2 * one * two)
        return float(np.std(left) * np.sqrt(n - 1))
