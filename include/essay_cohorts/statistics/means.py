"""Mean scores with their intervals: of each template, and of each judge under it.

Scores of different templates are never pooled, because two templates may ask for different things.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from essay_cohorts.statistics.bootstrap import Estimate, estimate_mean, mean_range
from essay_cohorts.statistics.frame import essay_values, scale_of


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreMean:
    """The mean score under a template, on its scale, by the judge `model_id`, or by all judges if that is None.

    It is the mean of the essays' values (see `essay_values`), so that an essay with more replicates or judges does
    not count more than another. `scored` of `planned` evaluations have a score.
    """

    template_id: str
    model_id: str | None
    scored: int
    planned: int
    mean: Estimate


def score_means(frame: pd.DataFrame) -> tuple[ScoreMean, ...]:
    """Return the mean of each template by all its judges, then by each judge, in row order."""
    found = []
    for template_id, of_template in frame.groupby("template", sort=False):
        found.append(_mean(str(template_id), None, of_template))
        for model_id, of_model in of_template.groupby("model", sort=False):
            found.append(_mean(str(template_id), str(model_id), of_model))
    return tuple(found)


def _mean(template_id: str, model_id: str | None, rows: pd.DataFrame) -> ScoreMean:
    return ScoreMean(
        template_id=template_id,
        model_id=model_id,
        scored=int(rows["score"].count()),
        planned=len(rows),
        mean=estimate_mean(np.asarray(essay_values(rows), np.float64), mean_range(scale_of(rows))),
    )
