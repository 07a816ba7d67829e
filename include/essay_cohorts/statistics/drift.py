"""Compares a judge's new scores with its former scores of the same essays: has the model behind the judge changed?"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from essay_cohorts.amounts import figure
from essay_cohorts.statistics.bootstrap import NO_SPREAD, Estimate, without_interval
from essay_cohorts.statistics.differences import NOTHING_SHARED
from essay_cohorts.statistics.spread import judge_pairs

# The two sides as the judges of a pair; a pair is ordered by alphabet.
_FORMER, _NEW = "1", "2"


@dataclass(frozen=True, kw_only=True, slots=True)
class Drift:
    """The mean of (new - former) under one template over the essays that have both, one value per essay.

    `distance` is the mean of its absolute value, and `correlation` is Pearson's r of the essays' means. Each of them
    is None if it cannot be computed. `new_scored` of `new_planned` evaluations have a new score.
    """

    template_id: str
    former_scores: int
    new_scored: int
    new_planned: int
    difference: Estimate
    distance: float | None
    correlation: float | None

    def verdict(self, model_id: str) -> str:
        """Return in one sentence whether drift was seen."""
        found = self.difference
        if found.value is None:
            return f"no statement: {found.note}"
        more = f"{figure(abs(found.value))} {'higher' if found.value > 0 else 'lower'}"
        if found.low is None or found.high is None:
            if found.note != NO_SPREAD:
                return f"no statement: {found.note}"
            same = "no drift seen: each essay has the same score as before"
            return f"{model_id} scores each essay {more} than in the former replies" if found.value else same
        doubt = "" if found.reliable else f"; {found.note}"
        if found.low <= 0 <= found.high:
            return f"no drift seen: the interval from {figure(found.low)} to {figure(found.high)} includes 0{doubt}"
        ends = f"{figure(found.low)} to {figure(found.high)}"
        return f"{model_id} scores {more} than in the former replies ({ends}){doubt}"


def find_drift(former: pd.DataFrame, new: pd.DataFrame) -> tuple[Drift, ...]:
    """Return the drift under each template of the new scores, in row order; both tables have scores of one judge."""
    found = []
    for template_id in dict.fromkeys(new["template"]):
        before, after = (side[side["template"] == template_id] for side in (former, new))
        sides = [before.assign(model=_FORMER), after.assign(model=_NEW)]
        pair = next(iter(judge_pairs(pd.concat([side for side in sides if not side.empty]))), None)
        found.append(
            Drift(
                template_id=str(template_id),
                former_scores=len(before),
                new_scored=int(after["score"].count()),
                new_planned=len(after),
                difference=pair.difference if pair else without_interval(None, 0, NOTHING_SHARED),
                distance=pair.distance if pair else None,
                correlation=pair.correlation if pair else None,
            )
        )
    return tuple(found)
