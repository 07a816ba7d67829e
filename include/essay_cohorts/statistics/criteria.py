"""The scores of one criterion as rows of their own, so that every statistic of scores serves for criteria too."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from essay_cohorts.domain import ScoreRow
from essay_cohorts.rubric import criterion_key


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
