"""The scores that statistics are made of, as a table with a row for each evaluation, scored or not.

Columns: `essay`, `template`, `model` (ids) and `score` (0 to 9, NaN without one).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from essay_cohorts.domain import ScoreRow

_COLUMNS = ["essay", "template", "model", "score"]


def cohort_frame(rows: Iterable[ScoreRow]) -> pd.DataFrame:
    """Return a cohort's members, in the order of the rows."""
    return _frame((row.member.cell, row.score) for row in rows)


def store_frame(judged: Iterable[tuple[tuple[str, str, str], float | None]]) -> pd.DataFrame:
    """Return all evaluations of the store by essay, template and model; those whose cell is unknown are left out."""
    frame = _frame((cell, score) for cell, score in judged if all(cell))
    return frame.sort_values(_COLUMNS[:3], kind="stable", ignore_index=True)


def essay_values(frame: pd.DataFrame) -> NDArray[np.float64]:
    """Return each essay's value under one template.

    The mean of its judges' means, so that each judge counts the same.

    `frame` must hold one template only: two templates are two scales. An essay without a score has no value. The
    values stand by essay, in whatever order the rows are: what resampling draws hangs on it.
    """
    values = cell_means(frame).groupby("essay").mean().round(9)
    return np.asarray(values, dtype=np.float64)


def cell_means(frame: pd.DataFrame) -> pd.Series[float]:
    """Return the mean of each cell that has a score, in order of essay, template and model.

    Rounded: means of the same scores must not differ by a float's last bit.
    """
    scored = in_order_of_scores(frame[frame["score"].notna()])
    return scored.groupby(["essay", "template", "model"])["score"].mean().round(9)


def in_order_of_scores(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows by rising score.

    A sum of floats depends on the order of adding, and is to be that of the same scores.

    Within a group that is then summed up, rows of the same score are alike.
    """
    return frame.sort_values("score")


def _frame(judged: Iterable[tuple[tuple[str, str, str], float | None]]) -> pd.DataFrame:
    # By columns: of a store of 100,000, a table made of rows takes twice as long.
    columns: dict[str, list[str | float | None]] = {name: [] for name in _COLUMNS}
    essays, templates, models, scores = columns.values()
    for (essay, template, model), score in judged:
        essays.append(essay)
        templates.append(template)
        models.append(model)
        scores.append(score)
    frame = pd.DataFrame(columns)
    return frame.assign(score=pd.to_numeric(frame["score"]).astype(float))
