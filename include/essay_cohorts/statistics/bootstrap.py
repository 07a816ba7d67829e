"""95 % intervals by the bootstrap over essays: each resample draws essays, with all scores of an essay together.

The method is the studentised bootstrap (bootstrap-t; Efron and Tibshirani, An Introduction to the Bootstrap, 1993,
section 12.5). Resampling gives the distribution of (estimate* - estimate) / error*, which replaces Student's t.
`scipy.stats.bootstrap` does the draws and the quantiles. The same input gives the same interval, because SEED is
fixed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap

from essay_cohorts.rubric import Scale

CONFIDENCE = 0.95
RESAMPLES = 2_000
SEED = 20_260_101
FEWEST_ESSAYS = 20

Values = NDArray[np.float64]
# Takes one or more samples of the same length, and the axis that runs over essays. Returns an estimate and its error.
Estimator = Callable[..., tuple[Any, Any]]

# The pivot of a resample without spread. It replaces infinity, which would break the interpolation of quantiles.
_UNBOUNDED = 1e12
# The most numbers in a batch of resamples. Each takes 8 bytes, and there are some copies.
_BATCH_NUMBERS = 2_000_000

NO_ESSAY = "no essay has a score"
ONE_ESSAY = "one essay says nothing about others"
NO_SPREAD = "all essays have the same value"
FEW = f"unreliable: fewer than {FEWEST_ESSAYS} essays"
_TOO_FEW = "too few essays"
_LITTLE_SPREAD = "too few essays differ"


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A figure over `essays` essays with its 95 % interval from `low` to `high`.

    `value` is None if there is no figure; `low` and `high` are None if there is no interval. `note` gives the reason,
    or the reason why an interval is not `reliable`. `note` is empty only if the interval is reliable.
    """

    value: float | None
    low: float | None
    high: float | None
    essays: int
    reliable: bool
    note: str

    @property
    def reversed(self) -> Estimate:
        """The estimate of the same difference with its two sides exchanged."""
        value, low, high = (None if each is None else -each for each in (self.value, self.high, self.low))
        return replace(self, value=value, low=low, high=high)


def mean_range(scale: Scale) -> tuple[float, float]:
    """Return the range of a mean of scores."""
    return float(scale.low), float(scale.high)


def difference_range(scale: Scale) -> tuple[float, float]:
    """Return the range of a difference of two scores."""
    return -float(scale.span), float(scale.span)


def without_interval(value: float | None, essays: int, note: str) -> Estimate:
    """Return a figure without an interval; `note` gives the reason."""
    return Estimate(value=value, low=None, high=None, essays=essays, reliable=False, note=note)


def with_interval(value: float, low: float, high: float, essays: int) -> Estimate:
    """Return a figure with its interval, which is unreliable for fewer than FEWEST_ESSAYS essays."""
    few = essays < FEWEST_ESSAYS
    return Estimate(value=value, low=low, high=high, essays=essays, reliable=not few, note=FEW if few else "")


def estimate_mean(values: Values, within: tuple[float, float]) -> Estimate:
    """Return the mean of one value per essay. Its interval is cut at the ends of the values' range `within`."""
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
    """Return the ends of an estimator's interval; None if too many resamples have no spread.

    The `samples` are aligned: values at the same index belong to the same essay. The estimator must accept arrays
    with more dimensions, and may return an error of 0 or an estimate that is not finite. `wider_error` replaces the
    error of the estimate itself if the estimator's own error, which serves for the resamples, is known to be too
    small.
    """
    estimate, error = (float(each) for each in estimator(*samples, axis=-1))

    def pivot(*drawn: Values, axis: int = -1) -> Values:
        other, its_error = estimator(*drawn, axis=axis)
        gap = np.asarray(other - estimate)
        usable = np.isfinite(gap) & (its_error > 0)
        ratio = np.divide(gap, its_error, out=np.copysign(np.full_like(gap, _UNBOUNDED), gap), where=usable)
        clipped: Values = np.clip(ratio, -_UNBOUNDED, _UNBOUNDED)
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
    if max(abs(lowest), abs(highest)) > _UNBOUNDED / 1e6 or not np.isfinite(error):
        return None
    return float(estimate - highest * error), float(estimate - lowest * error)


def too_little(essays: int) -> str:
    """Return the reason why `studentised` gave no interval."""
    return _TOO_FEW if essays < FEWEST_ESSAYS else _LITTLE_SPREAD


def _mean_and_error(values: Values, axis: int) -> tuple[Values, Values]:
    return np.mean(values, axis=axis), np.std(values, axis=axis, ddof=1) / np.sqrt(values.shape[axis])
