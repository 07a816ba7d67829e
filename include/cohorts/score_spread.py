"""How far scores can be trusted at a glance: agreement of judges, spread of replicates, a ranking with its error.

Scores of different templates are never pooled: two templates may ask for different things.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import sqrt

import pandas as pd

from include.cohorts.model import ScoreRow


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgePair:
    """Two models' means of the same essays under one template, over `essays` essays that both scored.

    `difference` is the mean of (first - second), `distance` that of its absolute value; `correlation` is Pearson's r,
    None with fewer than three essays or when a judge gives all of them the same score.
    """

    template_id: str
    first: str
    second: str
    essays: int
    difference: float
    distance: float
    correlation: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplicateSpread:
    """The standard deviation of one judge's repeats, pooled over `cells` cells with two scores or more."""

    template_id: str
    model_id: str
    cells: int
    sd: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class RankedEssay:
    """An essay under one template: `mean` is the mean of its judges' means, so that each judge counts the same.

    `error` is the standard error of the mean of all its scores, sd / sqrt(n); None with fewer than two.
    """

    rank: int
    essay_id: str
    template_id: str
    scores: int
    judges: int
    mean: float
    error: float | None


def judge_pairs(rows: Sequence[ScoreRow]) -> tuple[JudgePair, ...]:
    """Every two models of each template that scored an essay in common, in the order of the rows."""
    found = []
    for template_id, of_template in _frame(rows).groupby("template", sort=False):
        # Rounded: of scores that are all the same, means that differ by a float's last bit would correlate.
        means = of_template.groupby(["essay", "model"], sort=False)["score"].mean().round(9).unstack("model")
        models = list(dict.fromkeys(of_template["model"]))
        for first, second in combinations(models, 2):
            both = means[[first, second]].dropna()
            if both.empty:
                continue
            gap = both[first] - both[second]
            varies = len(both) > 2 and both[first].nunique() > 1 and both[second].nunique() > 1
            found.append(
                JudgePair(
                    template_id=str(template_id),
                    first=str(first),
                    second=str(second),
                    essays=len(both),
                    difference=float(gap.mean()),
                    distance=float(gap.abs().mean()),
                    correlation=float(both[first].corr(both[second])) if varies else None,
                )
            )
    return tuple(found)


def replicate_spreads(rows: Sequence[ScoreRow]) -> tuple[ReplicateSpread, ...]:
    """Each judge's spread: the root of its cells' mean variance, weighted by their degrees of freedom."""
    found = []
    for (template_id, model_id), scores in _frame(rows).groupby(["template", "model"], sort=False):
        cells = scores.groupby("essay", sort=False)["score"].agg(["count", "var"])
        repeated = cells[cells["count"] > 1]
        freedom = repeated["count"] - 1
        variance = float((repeated["var"] * freedom).sum() / freedom.sum()) if len(repeated) else None
        found.append(
            ReplicateSpread(
                template_id=str(template_id),
                model_id=str(model_id),
                cells=len(repeated),
                sd=None if variance is None else sqrt(variance),
            )
        )
    return tuple(found)


def rank_essays(rows: Sequence[ScoreRow], template_id: str) -> tuple[RankedEssay, ...]:
    """The essays by falling mean under one template; essays of the same mean share a rank and stand by their id."""
    scores = _frame(rows)
    scores = scores[scores["template"] == template_id]
    if scores.empty:
        return ()
    judged = scores.groupby(["essay", "model"], sort=False)["score"].mean().groupby("essay", sort=False)
    table = pd.DataFrame({"mean": judged.mean().round(9), "judges": judged.size()})
    of_essay = scores.groupby("essay", sort=False)["score"]
    table = table.assign(scores=of_essay.size(), error=of_essay.sem())
    table = table.assign(rank=table["mean"].rank(method="min", ascending=False)).reset_index()
    table = table.sort_values(["rank", "essay"])
    return tuple(
        RankedEssay(
            rank=int(row["rank"]),
            essay_id=str(row["essay"]),
            template_id=template_id,
            scores=int(row["scores"]),
            judges=int(row["judges"]),
            mean=float(row["mean"]),
            error=None if pd.isna(row["error"]) else float(row["error"]),
        )
        for row in table.to_dict("records")
    )


def _frame(rows: Sequence[ScoreRow]) -> pd.DataFrame:
    scored = [(*row.member.cell, row.score) for row in rows if row.score is not None]
    return pd.DataFrame(scored, columns=["essay", "template", "model", "score"])
