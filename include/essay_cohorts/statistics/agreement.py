"""Agreement of judges with each other, and of each judge with itself: Krippendorff's alpha for interval data.

    alpha = 1 - D_o / D_e

D_o is the mean squared difference of two scores of the same essay, D_e the mean squared difference of any two scores
(Krippendorff, Content Analysis, 4th ed. 2019, chapter 12; Computing Krippendorff's Alpha-Reliability, 2011). An alpha
of 1 is full agreement, 0 is the agreement that chance gives, and below 0 is less agreement than by chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
import pandas as pd

from essay_cohorts.statistics.bootstrap import (
    ONE_ESSAY,
    Estimate,
    Values,
    studentised,
    too_little,
    with_interval,
    without_interval,
)
from essay_cohorts.statistics.frame import cell_means, sort_by_score

NOT_TWO = "needs two scores of the same essay"
NO_TWO_JUDGES = "needs two judges that scored the same essay"
NO_TWO_REPLICATES = "needs two replicates of the same essay"
_FULL = "all agree on every essay"
# A sum of squares below this is an error of the arithmetic.
_NO_DISAGREEMENT = 1e-9
# Alpha is above -1 for all scores, because D_o is less than twice D_e.
_HIGHEST_LOG = float(np.log(2))


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """Alpha under one template: between `judges` judges, or between the replicates of the judge `model_id`.

    Between judges, each judge's mean of an essay counts as its score. `scored` of `planned` evaluations have a score.
    An essay with fewer than two scores to compare does not count in `alpha.essays`.
    """

    template_id: str
    model_id: str | None
    judges: int
    scored: int
    planned: int
    alpha: Estimate


@dataclass(frozen=True, kw_only=True, slots=True)
class PairAlpha:
    """Alpha of two judges under one template, or of one judge with itself, that is, between its replicates.

    `essays` have two scores to compare. `alpha` is None if fewer than two have, or if all scores are the same.
    """

    first: str
    second: str
    essays: int
    alpha: float | None


def agreements(frame: pd.DataFrame) -> tuple[Agreement, ...]:
    """Return alpha between the judges of each template, then between the replicates of each judge, in row order."""
    found = []
    for template_id, of_template in frame.groupby("template", sort=False):
        means = cell_means(of_template).reset_index()
        found.append(_agreement(str(template_id), None, of_template, estimate_alpha(means, NO_TWO_JUDGES)))
        for model_id, of_model in of_template.groupby("model", sort=False):
            scored = of_model[of_model["score"].notna()]
            alpha = estimate_alpha(scored, NO_TWO_REPLICATES)
            found.append(_agreement(str(template_id), str(model_id), of_model, alpha))
    return tuple(found)


def pair_alphas(frame: pd.DataFrame) -> tuple[PairAlpha, ...]:
    """Return alpha of each judge with itself and with each later judge, in row order; `frame` holds one template.

    Between judges, each judge's mean of an essay counts as its score, as in `agreements`.
    """
    means, scored = cell_means(frame).reset_index(), frame[frame["score"].notna()]
    models = list(dict.fromkeys(frame["model"]))
    found = []
    for first, second in combinations_with_replacement(models, 2):
        rows = scored[scored["model"] == first] if first == second else means[means["model"].isin([first, second])]
        sums = _sums(rows)
        essays = len(sums[0])
        observed, expected = _disagreements(*sums, axis=-1)[:2] if essays > 1 else (0.0, 0.0)
        alpha = None if expected <= _NO_DISAGREEMENT else float(1 - observed / expected)
        found.append(PairAlpha(first=str(first), second=str(second), essays=essays, alpha=alpha))
    return tuple(found)


def estimate_alpha(scores: pd.DataFrame, too_few: str = NOT_TWO) -> Estimate:
    """Return alpha of a table with the columns `essay` and `score`, one row per score.

    `too_few` is the note if no essay has two scores. An interval that reaches below -1, where alpha cannot be, is
    left out because it says nothing.
    """
    sums = _sums(scores)
    essays = len(sums[0])
    if not essays:
        return without_interval(None, 0, too_few)
    observed, expected = (float(each) for each in _disagreements(*sums, axis=-1)[:2])
    if expected <= _NO_DISAGREEMENT:
        return without_interval(None, essays, "all scores are the same")
    alpha = 1 - observed / expected
    if essays == 1:
        return without_interval(alpha, 1, ONE_ESSAY)
    if observed <= _NO_DISAGREEMENT:
        return without_interval(1.0, essays, _FULL)
    ends = studentised(sums, _log_and_error, _jackknife_error(*sums))
    if ends is None or not np.isfinite(ends).all() or ends[1] > _HIGHEST_LOG:
        return without_interval(alpha, essays, too_little(essays))
    return with_interval(alpha, 1 - float(np.exp(ends[1])), 1 - float(np.exp(ends[0])), essays)


def _agreement(template_id: str, model_id: str | None, rows: pd.DataFrame, alpha: Estimate) -> Agreement:
    return Agreement(
        template_id=template_id,
        model_id=model_id,
        judges=int(rows["model"].nunique()),
        scored=int(rows["score"].count()),
        planned=len(rows),
        alpha=alpha,
    )


def _sums(scores: pd.DataFrame) -> tuple[Values, Values, Values]:
    """Return the number, sum and sum of squares of each essay's scores, for essays with two or more, by essay."""
    scores = sort_by_score(scores)
    values = scores["score"] - scores["score"].mean()
    table = pd.DataFrame({"essay": scores["essay"], "score": values, "square": values**2})
    sums = table.groupby("essay").agg(n=("score", "size"), s=("score", "sum"), q=("square", "sum"))
    sums = sums[sums["n"] > 1].astype(float)
    return sums["n"].to_numpy(), sums["s"].to_numpy(), sums["q"].to_numpy()


def _disagreements(n: Values, s: Values, q: Values, axis: int) -> tuple[Any, Any, tuple[Any, ...]]:
    """Return D_o and D_e, both times N/2, and their parts.

    The sum of (v - w)^2 over all ordered pairs of n values is 2 (n q - s^2), so no loop over pairs is needed.
    """
    pairs = (n * q - s**2) / (n - 1)
    total, sums, squares = (each.sum(axis=axis, keepdims=True) for each in (n, s, q))
    inside, whole = pairs.sum(axis=axis, keepdims=True), total * squares - sums**2
    parts = (pairs, total, sums, squares, inside, whole)
    return inside.squeeze(axis), (whole / (total - 1)).squeeze(axis), parts


def _log_and_error(n: Values, s: Values, q: Values, axis: int) -> tuple[Any, Any]:
    """Return log(1 - alpha) and its error by the delta method.

    The logarithm has no bound, and its error is steadier than that of alpha. An essay's influence is the derivative
    of log(1 - alpha) with respect to the essay's weight.
    """
    observed, expected, (pairs, total, sums, squares, inside, whole) = _disagreements(n, s, q, axis)
    with np.errstate(divide="ignore", invalid="ignore"):
        influence = pairs / inside + n / (total - 1) - (n * squares + total * q - 2 * sums * s) / whole
        essays = n.shape[axis]
        error = np.std(influence, axis=axis, ddof=1) * np.sqrt(essays)
        return np.log(observed / expected), error


def _jackknife_error(n: Values, s: Values, q: Values) -> float:
    """Return the jackknife error of log(1 - alpha) over essays; not finite if the result depends on one essay.

    This error tends to be too large (Efron and Stein, Annals of Statistics 9, 1981), while the error of the delta
    method is too small for few essays with skewed scores.
    """
    pairs, total, sums, squares, inside, _ = _disagreements(n, s, q, axis=-1)[2]
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.log(inside - pairs) + np.log(total - n - 1)
        left -= np.log((total - n) * (squares - q) - (sums - s) ** 2)
        return float(np.std(left) * np.sqrt(len(n) - 1))
