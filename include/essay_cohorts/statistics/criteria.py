"""The scores of one criterion as rows of their own, so that every statistic of scores serves for criteria too."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from essay_cohorts.domain import ScoreRow


def rows_of_criterion(rows: Iterable[ScoreRow], criterion: str) -> list[ScoreRow]:
    """Return the rows of the templates that have the criterion, with its score in place of the overall score."""
    found = list(rows)
    templates = {row.member.template_id for row in found for each in row.criteria if each.criterion == criterion}
    return [
        replace(row, score=next((each.score for each in row.criteria if each.criterion == criterion), None))
        for row in found
        if row.member.template_id in templates
    ]
