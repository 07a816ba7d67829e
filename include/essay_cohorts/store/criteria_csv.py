"""Reads and writes a cohort's `criteria.csv`: a row for each criterion of each evaluation that has a score."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from essay_cohorts.domain import CriterionScore, ScoreRow
from essay_cohorts.files.csv_text import csv_reader, csv_text, escape_formula, unescape_formula
from essay_cohorts.rubric import points, scale_in, score_of

CRITERIA_COLUMNS = (
    *("gen_id", "parent_gen_id", "template_id", "llm_model_id", "replicate"),
    *("criterion", "score", "reason", "score_min", "score_max"),
)


def criteria_text(rows: Iterable[ScoreRow]) -> str:
    """Return the content of a criteria.csv."""
    return csv_text(CRITERIA_COLUMNS, (_cells(row, each) for row in rows for each in row.criteria))


def read_criteria_csv(path: Path) -> dict[str, tuple[CriterionScore, ...]]:
    """Return the criteria by gen_id; an empty dict if the file is missing or damaged."""
    found: dict[str, tuple[CriterionScore, ...]] = {}
    try:
        lines = iter(csv_reader(path.read_bytes().decode("utf-8-sig")))
        if tuple(next(lines, ())) != CRITERIA_COLUMNS:
            return {}
        for gen_id, _, _, _, _, criterion, score, reason, low, high in lines:
            value = score_of(score, scale_in(low, high)) if score else None
            each = CriterionScore(unescape_formula(criterion), value, unescape_formula(reason))
            found[gen_id] = (*found.get(gen_id, ()), each)
    except (OSError, ValueError):
        return {}
    return found


def _cells(row: ScoreRow, each: CriterionScore) -> list[Any]:
    member, scale = row.member, row.scale
    return [
        *map(escape_formula, (member.gen_id, *member.cell, member.replicate)),
        escape_formula(each.criterion),
        "" if each.score is None else each.score,
        escape_formula(each.reason),
        points(scale.low),
        points(scale.high),
    ]
