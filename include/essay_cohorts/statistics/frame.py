"""Builds the table of scores that all statistics read, with a row for each evaluation, with or without a score.

Columns: `essay`, `template`, `model` (ids), `score` (NaN if there is no score) and `scale`. A template has one scale
in a table: scores on another scale count as missing, because two scales are never pooled.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pandas as pd

from essay_cohorts.domain import ScoreRow
from essay_cohorts.rubric import DEFAULT_SCALE, Scale, criterion_key, most_used_scales

# A cell (essay, template, model), its score, and the scale of the score.
Evaluation = tuple[tuple[str, str, str], float | None, Scale]

_COLUMNS = ["essay", "template", "model", "score", "scale"]


def cohort_frame(rows: Iterable[ScoreRow]) -> pd.DataFrame:
    """Return the table of a cohort's evaluations, in the order of `rows`."""
    return _frame((row.member.cell, row.score, row.scale) for row in rows)


def store_frame(evaluations: Iterable[Evaluation]) -> pd.DataFrame:
    """Return the table of the store's evaluations, sorted by essay, template and model.

    Evaluations whose essay, template or model is not known are left out.
    """
    frame = _frame(each for each in evaluations if all(each[0]))
    return frame.sort_values(_COLUMNS[:3], kind="stable", ignore_index=True)


def rows_of_criterion(rows: Iterable[ScoreRow], criterion: str) -> list[ScoreRow]:
    """Return the rows of the templates that have the criterion, with its score in place of the overall score."""
    found, key = list(rows), criterion_key(criterion)
    scores = [next((each for each in row.criteria if criterion_key(each.criterion) == key), None) for row in found]
    templates = {row.member.template_id for row, score in zip(found, scores, strict=True) if score is not None}
    return [
        replace(row, score=None if score is None else score.score)
        for row, score in zip(found, scores, strict=True)
        if row.member.template_id in templates
    ]


def scale_of(frame: pd.DataFrame) -> Scale:
    """Return the scale of a table that holds one template; the default scale if the table is empty."""
    scales = frame["scale"]
    return scales.iloc[0] if len(scales) else DEFAULT_SCALE


def essay_values(frame: pd.DataFrame) -> pd.Series[float]:
    """Return each essay's value under one template: the mean of its judges' means, so that judges count equally.

    `frame` must hold only one template, because two templates may use different scales. An essay without a score has
    no value. The values are always sorted by essay, because the random draws of the resampling depend on their order.
    """
    return cell_means(frame).groupby("essay").mean().round(9)


def cell_means(frame: pd.DataFrame) -> pd.Series[float]:
    """Return the mean of each cell that has a score, sorted by essay, template and model.

    The means are rounded, so that means of the same scores do not differ in the last bit of a float.
    """
    scored = sort_by_score(frame[frame["score"].notna()])
    return scored.groupby(["essay", "template", "model"])["score"].mean().round(9)


def sort_by_score(frame: pd.DataFrame) -> pd.DataFrame:
    """Sort the rows by essay and score, lowest first, so that the same scores always give the same sums.

    A sum of floats depends on the order of its terms, and a sum by group in pandas also on the rows of other groups
    between them. Rows of one essay with the same score may be in any order, because they add the same number.
    """
    return frame.sort_values(["essay", "score"])


def _frame(evaluations: Iterable[Evaluation]) -> pd.DataFrame:
    # Built by columns, because building it by rows takes twice as long for 100,000 evaluations.
    columns: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
    essays, templates, models, scores, scales = columns.values()
    used: dict[tuple[str, Scale], int] = {}
    for (essay, template, model), score, scale in evaluations:
        essays.append(essay)
        templates.append(template)
        models.append(model)
        scores.append(score)
        scales.append(scale)
        used[template, scale] = used.get((template, scale), 0) + (score is not None)
    frame = pd.DataFrame(columns)
    frame = frame.assign(score=pd.to_numeric(frame["score"]).astype(float))
    by_template = most_used_scales(used)
    if len(by_template) < len(used):
        wanted = frame["template"].map(by_template)
        frame = frame.assign(score=frame["score"].where(frame["scale"] == wanted), scale=wanted)
    return frame
