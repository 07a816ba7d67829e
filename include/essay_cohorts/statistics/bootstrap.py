"""95 % intervals by the bootstrap, with essays as what is drawn: all scores of an essay are drawn together.

The method is the studentised bootstrap (bootstrap-t; Efron and Tibshirani, An Introduction to the Bootstrap, 1993,
section 12.5): resampling gives the distribution of (estimate* - estimate) / error*, in place of Student's t. Draws
and quantiles are those of `scipy.stats.bootstrap`. The same input gives the same interval: SEED is fixed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap

from essay_cohorts.domain import HIGHEST_SCORE, LOWEST_SCORE

CONFIDENCE = 0.95
RESAMPLES = 2_000
SEED = 20_260_101
FEWEST_ESSAYS = 20
# What a mean score, and a mean difference of scores, cannot leave.
SCALE = (float(LOWEST_SCORE), float(HIGHEST_SCORE))
GAPS = (SCALE[0] - SCALE[1], SCALE[1] - SCALE[0])

Values = NDArray[np.float64]
# Takes one or more samples of one length, and the axis that runs over essays; gives an estimate and its error.
Estimator = Callable[..., tuple[Any, Any]]

# In place of infinity, which quantiles cannot be interpolated with: a resample without spread.
_ENDLESS = 1e12
# Numbers that a batch of resamples may hold: 8 bytes each, and some copies.
_BATCH_NUMBERS = 2_000_000

NO_ESSAY = "no essay has a score"
ONE_ESSAY = "one essay says nothing of others"
NO_SPREAD = "all essays have the same value"
FEW = f"unreliable: fewer than {FEWEST_ESSAYS} essays"
_TOO_FEW = "too few essays"
_LITTLE_SPREAD = "too few essays differ"


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A figure over `essays` essays with its 95 % interval from `low` to `high`.

    `value` is None when there is nothing to tell, `low` and `high` when there is no interval; `note` says why, and
    why an interval is not `reliable`. It is empty only when the interval is.
    """

    value: float | None
    low: float | None
    high: float | None
    essays: int
    reliable: bool
    note: str


def without_interval(value: float | None, essays: int, note: str) -> Estimate:
    """Return a figure that no interval can be given for, and why."""
    return Estimate(value=value, low=None, high=None, essays=essays, reliable=False, note=note)


def with_interval(value: float, low: float, high: float, essays: int) -> Estimate:
    """Return a figure with its interval, which is unreliable below FEWEST_ESSAYS essays."""
    few = essays < FEWEST_ESSAYS
    return Estimate(value=value, low=low, high=high, essays=essays, reliable=not few, note=FEW if few else "")


def estimate_mean(values: Values, within: tuple[float, float] = SCALE) -> Estimate:
    """Return the mean of one value an essay; its interval ends where the values' range `within` does."""
    essays = len(values)
    if not essays:
        return without_interval(None, 0, NO_ESSAY)
    mean = float(np.mean(values))
    if essays == 1:
        return without_interval(mean, 1, ONE_ESSAY)
    if np.ptp(values) == 0:
        return without_interval(mean, essays, NO_SPREAD)
    ends = studentised((values,), _mean_and_error)
    if ends is None:
        return without_interval(mean, essays, too_little(essays))
    return with_interval(mean, max(ends[0], within[0]), min(ends[1], within[1]), essays)


def studentised(
    samples: tuple[Values, ...], estimator: Estimator, wider_error: float | None = None
) -> tuple[float, float] | None:
    """Return the ends of the interval of an estimator; None when too many resamples have no spread to tell one.

    `samples` are aligned: what stands at one place in each of them belongs to one essay. The estimator must accept
    arrays of more dimensions, and may give an error of 0 or an estimate that is not finite. `wider_error` is a more
    careful error of the estimate itself, where the estimator's own, good for resamples, is known to be small.
    """
    estimate, error = (float(each) for each in estimator(*samples, axis=-1))

    def pivot(*drawn: Values, axis: int = -1) -> Values:
        other, its_error = estimator(*drawn, axis=axis)
        gap = np.asarray(other - estimate)
        usable = np.isfinite(gap) & (its_error > 0)
        ratio = np.divide(gap, its_error, out=np.copysign(np.full_like(gap, _ENDLESS), gap), where=usable)
        clipped: Values = np.clip(ratio, -_ENDLESS, _ENDLESS)
        return clipped

    drawn = bootstrap(
        samples,
        pivot,
        paired=len(samples) > 1,
        vectorized=True,
        axis=-1,
        method="percentile",
        confidence_level=CONFIDENCE,
        n_resamples=RESAMPLES,
        batch=max(1, _BATCH_NUMBERS // len(samples[0])),
        rng=np.random.default_rng(SEED),
    )
    lowest, highest = drawn.confidence_interval
    error = error if wider_error is None else wider_error
    if max(abs(lowest), abs(highest)) > _ENDLESS / 1e6 or not np.isfinite(error):
        return None
    return float(estimate - highest * error), float(estimate - lowest * error)


def too_little(essays: int) -> str:
    """Return why `studentised` gave no interval."""
    return _TOO_FEW if essays < FEWEST_ESSAYS else _LITTLE_SPREAD


def _mean_and_error(values: Values, axis: int) -> tuple[Values, Values]:
    return np.mean(values, axis=axis), np.std(values, axis=axis, ddof=1) / np.sqrt(values.shape[axis])
