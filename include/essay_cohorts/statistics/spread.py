"""Shows how far scores can be trusted: pairs of judges, the spread of replicates, and a ranking with intervals.

Scores of different templates are never pooled, because two templates may ask for different things.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import combinations
from math import sqrt

import pandas as pd
from scipy.stats import t as student_t

from essay_cohorts.rubric import Scale
from essay_cohorts.statistics.bootstrap import (
    CONFIDENCE,
    Estimate,
    difference_range,
    estimate_mean,
    mean_range,
    with_interval,
    without_interval,
)
from essay_cohorts.statistics.frame import cell_means, scale_of, sort_by_score

NO_REPLICATES = "one of its judges did not score any essay twice"
NO_NOISE = "replicates do not differ"


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgePair:
    """The means of two models for the same essays under one template; `first` is the first id by alphabet.

    `difference` is the mean of (second - first) over the essays that both scored, and `distance` is the mean of its
    absolute value. `correlation` is Pearson's r; it is None for fewer than three essays, or if a judge gives all of
    them the same score. `scored` of `planned` evaluations of both models have a score.
    """

    template_id: str
    first: str
    second: str
    scored: int
    planned: int
    difference: Estimate
    distance: float
    correlation: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplicateSpread:
    """The standard deviation of one judge's replicates, pooled over `cells` cells with two or more scores.

    `freedom` is its degrees of freedom: the number of replicates beyond the first of each cell.
    """

    template_id: str
    model_id: str
    scored: int
    planned: int
    cells: int
    freedom: int
    sd: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class RankedEssay:
    """An essay under one template. `mean` is the mean of its judges' means, so that judges count equally.

    The interval covers only the noise of replicates: it shows where the mean would be with unlimited replicates by
    the same judges. `scored` of `planned` evaluations have a score.
    """

    rank: int
    essay_id: str
    template_id: str
    scored: int
    planned: int
    judges: int
    mean: Estimate


def judge_pairs(frame: pd.DataFrame) -> tuple[JudgePair, ...]:
    """Return each pair of models of a template that scored the same essay, in row order."""
    found = []
    for template_id, of_template in frame.groupby("template", sort=False):
        means = cell_means(of_template).unstack("model").droplevel("template")
        for first, second in map(sorted, combinations(dict.fromkeys(of_template["model"]), 2)):
            if not {first, second} <= {*means.columns}:
                continue
            both, rows = means[[first, second]].dropna(), of_template[of_template["model"].isin([first, second])]
            if not both.empty:
                found.append(_pair(str(template_id), both, rows))
    return tuple(found)


def widest_pairs(pairs: Iterable[JudgePair]) -> tuple[JudgePair, ...]:
    """Return each template's pair with the largest mean difference, the judge with the lower scores first.

    The pair is chosen by the difference that its interval is about, so the interval is a little too narrow.
    """
    widest: dict[str, JudgePair] = {}
    for pair in pairs:
        known = widest.setdefault(pair.template_id, pair)
        if abs(pair.difference.value or 0.0) > abs(known.difference.value or 0.0):
            widest[pair.template_id] = pair
    return tuple(_lower_first(pair) for pair in widest.values())


def _lower_first(pair: JudgePair) -> JudgePair:
    if (pair.difference.value or 0.0) >= 0:
        return pair
    return replace(pair, first=pair.second, second=pair.first, difference=pair.difference.reversed)


def _pair(template_id: str, both: pd.DataFrame, rows: pd.DataFrame) -> JudgePair:
    first, second = both.columns
    gap = (both[second] - both[first]).round(9)
    varies = len(both) > 2 and both[first].nunique() > 1 and both[second].nunique() > 1
    return JudgePair(
        template_id=template_id,
        first=str(first),
        second=str(second),
        scored=int(rows["score"].count()),
        planned=len(rows),
        difference=estimate_mean(gap.to_numpy(dtype=float), difference_range(scale_of(rows))),
        distance=float(gap.abs().mean()),
        correlation=float(both[first].corr(both[second])) if varies else None,
    )


def replicate_spreads(frame: pd.DataFrame) -> tuple[ReplicateSpread, ...]:
    """Return each judge's spread: the root of its cells' mean variance, weighted by degrees of freedom."""
    found = []
    for (template_id, model_id), rows in frame.groupby(["template", "model"], sort=False):
        cells = sort_by_score(rows).groupby("essay")["score"].agg(["count", "var"])
        repeated = cells[cells["count"] > 1]
        freedom = repeated["count"] - 1
        variance = float((repeated["var"] * freedom).sum() / freedom.sum()) if len(repeated) else None
        found.append(
            ReplicateSpread(
                template_id=str(template_id),
                model_id=str(model_id),
                scored=int(rows["score"].count()),
                planned=len(rows),
                cells=len(repeated),
                freedom=int(freedom.sum()),
                # Rounded, because the variance of equal scores may differ from 0 in the last bit of a float.
                sd=None if variance is None else round(sqrt(variance), 9),
            )
        )
    return tuple(found)


def rank_essays(frame: pd.DataFrame, template_id: str) -> tuple[RankedEssay, ...]:
    """Return the essays under one template by falling mean. Essays with the same mean share a rank, ordered by id."""
    rows = frame[frame["template"] == template_id]
    if not rows["score"].notna().any():
        return ()
    table = _essay_means(rows)
    table = table.assign(rank=table["mean"].rank(method="min", ascending=False)).reset_index()
    table = table.sort_values(["rank", "essay"])
    return tuple(
        RankedEssay(
            rank=int(row["rank"]),
            essay_id=str(row["essay"]),
            template_id=template_id,
            scored=int(row["scored"]),
            planned=int(row["planned"]),
            judges=int(row["judges"]),
            mean=_with_noise(float(row["mean"]), float(row["half_width"]), len(table), scale_of(rows)),
        )
        for row in table.to_dict("records")
    )


def _essay_means(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a row per essay: mean, judges, scored, planned, and half the interval's width (NaN without replicates).

    The mean of J judges' means of n_j scores has the variance sum(s_j^2 / n_j) / J^2, where s_j is the judge's spread
    of replicates over all essays. Its degrees of freedom are those of Satterthwaite (Biometrics Bulletin 2, 1946).
    """
    spreads = pd.DataFrame(
        [(each.model_id, each.sd, each.freedom) for each in replicate_spreads(rows)], columns=["model", "sd", "of"]
    )
    scored = sort_by_score(rows[rows["score"].notna()])
    cells = scored.groupby(["essay", "model"])["score"].agg(["mean", "size"])
    cells = cells.reset_index().merge(spreads.astype({"sd": float}), on="model", how="left")
    part = cells["sd"] ** 2 / cells["size"]
    cells = cells.assign(mean=cells["mean"].round(9), part=part, square=part**2 / cells["of"].where(cells["of"] > 0))
    by_essay = cells.groupby("essay")
    whole = by_essay["part"].sum(min_count=1).where(by_essay["part"].count() == by_essay.size())
    counts = rows.groupby("essay", sort=False)["score"].agg(["count", "size"])
    squares, judges = by_essay["square"].sum(), by_essay.size()
    freedom = (whole**2 / squares.where(squares > 0)).fillna(1.0)
    half_width = student_t.ppf((1 + CONFIDENCE) / 2, freedom) * whole**0.5 / judges
    table = pd.DataFrame({"mean": by_essay["mean"].mean().round(9), "judges": judges, "half_width": half_width})
    return table.join(counts.rename(columns={"count": "scored", "size": "planned"}))


def _with_noise(mean: float, half_width: float, essays: int, scale: Scale) -> Estimate:
    if not half_width > 0:
        return without_interval(mean, essays, NO_REPLICATES if pd.isna(half_width) else NO_NOISE)
    lowest, highest = mean_range(scale)
    return with_interval(mean, max(mean - half_width, lowest), min(mean + half_width, highest), essays)
