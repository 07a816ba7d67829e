"""The scores that statistics are made of, as a table with a row for each evaluation, scored or not.

Columns: `essay`, `template`, `model` (ids) and `score` (0 to 9, NaN without one).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from include.cohorts.choosing_essays import JudgedEvaluation
from include.cohorts.model import Cell, ScoreRow

_COLUMNS = ["essay", "template", "model", "score"]


def cohort_frame(rows: Iterable[ScoreRow]) -> pd.DataFrame:
    """A cohort's members, in the order of the rows."""
    return _frame((row.member.cell, row.score) for row in rows)


def store_frame(rows: Iterable[JudgedEvaluation]) -> pd.DataFrame:
    """All evaluations of the store by essay, template and model; those whose cell is unknown are left out."""
    known = ((row.cell, row.score) for row in rows if all(row.cell))
    return _frame(sorted(known, key=lambda each: each[0]))


def essay_values(frame: pd.DataFrame) -> NDArray[np.float64]:
    """Each essay's value under one template: the mean of its judges' means, so that each judge counts the same.

    `frame` must hold one template only: two templates are two scales. An essay without a score has no value.
    """
    values = cell_means(frame).groupby("essay", sort=False).mean().round(9)
    return np.asarray(values, dtype=np.float64)


def cell_means(frame: pd.DataFrame) -> pd.Series[float]:
    """The mean of each cell that has a score, by essay, template and model.

    Rounded: means of the same scores must not differ by a float's last bit.
    """
    scored = frame[frame["score"].notna()]
    return scored.groupby(["essay", "template", "model"], sort=False)["score"].mean().round(9)


def _frame(judged: Iterable[tuple[Cell, float | None]]) -> pd.DataFrame:
    frame = pd.DataFrame([(*cell, score) for cell, score in judged], columns=_COLUMNS)
    return frame.assign(score=pd.to_numeric(frame["score"]).astype(float))
