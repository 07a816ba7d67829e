"""Reads and writes a cohort's `scores.csv`, and writes the text of `score_pivot.csv`.

`scores.csv` also serves as a cache, so that the pages need not read every evaluation's files again (see
views/snapshot.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from essay_cohorts.domain import Outcome, ScoreRow
from essay_cohorts.files.csv_text import csv_reader, csv_text, escape_formula, unescape_formula
from essay_cohorts.provenance import Provenance
from essay_cohorts.records import HIGHEST_USD
from essay_cohorts.rubric import DEFAULT_SCALE, Scale, points, score_of

SCORE_COLUMNS = (
    "gen_id",
    "parent_gen_id",
    "template_id",
    "llm_model_id",
    "replicate",
    "outcome",
    "score",
    "reason",
    "origin_cohort_id",
    "cost_usd",
    *Provenance._fields,
    "score_min",
    "score_max",
)
_RESULT_CELLS = itemgetter(*map(SCORE_COLUMNS.index, ("outcome", "score", "origin_cohort_id", "cost_usd")))
_PROVENANCE_CELLS = itemgetter(*map(SCORE_COLUMNS.index, Provenance._fields))
_SCALE_CELLS = itemgetter(*map(SCORE_COLUMNS.index, ("score_min", "score_max")))
_RESULT_COLUMNS = SCORE_COLUMNS[: SCORE_COLUMNS.index(Provenance._fields[0])]


class KnownScore(NamedTuple):
    """An evaluation's row in scores.csv.

    `as_of` is the modification time of the file, in ns since 1970: the time when the run began to read the scores.
    """

    score: float | None
    reused: bool
    origin_cohort_id: str
    cost_usd: float | None
    as_of: int
    provenance: Provenance
    scale: Scale = DEFAULT_SCALE


def scores_text(rows: Iterable[ScoreRow]) -> str:
    """Return the content of a scores.csv."""
    return csv_text(SCORE_COLUMNS, (_score_cells(row) for row in rows))


def pivot_text(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return the content of a score_pivot.csv; None becomes an empty cell, and formulas are escaped."""
    cells = (["" if cell is None else escape_formula(cell) for cell in row] for row in rows)
    return csv_text([escape_formula(name) for name in columns], cells)


def read_known_scores(scores_csv: Path, score_pivot_csv: Path) -> dict[str, KnownScore]:
    """Return the rows by gen_id; an empty dict if the file is missing, damaged, or changed by another program.

    A run writes score_pivot.csv right after scores.csv. If scores.csv is newer than score_pivot.csv, another program
    has changed scores.csv since.
    """
    try:
        as_of = scores_csv.stat().st_mtime_ns
        if as_of > score_pivot_csv.stat().st_mtime_ns:
            return {}
        lines = iter(csv_reader(scores_csv.read_bytes().decode("utf-8-sig")))
        if tuple(next(lines, ())) != SCORE_COLUMNS:
            return {}
        # Equal values share one object: a hundred thousand copies would take as long as the rest of the reading.
        provenances: dict[Sequence[str], Provenance] = {}
        return {cells[0]: _known_score(cells, as_of, provenances) for cells in lines}
    except (OSError, ValueError, IndexError):
        return {}


def score_values(row: ScoreRow) -> dict[str, Any]:
    """Return the row's values by column."""
    values = {column: getattr(row if hasattr(row, column) else row.member, column) for column in _RESULT_COLUMNS}
    scale = {"score_min": points(row.scale.low), "score_max": points(row.scale.high)}
    return {**values, **row.provenance._asdict(), **scale}


def _score_cells(row: ScoreRow) -> list[Any]:
    return ["" if cell is None else escape_formula(cell) for cell in score_values(row).values()]


def _known_score(cells: Sequence[str], as_of: int, provenances: dict[Sequence[str], Provenance]) -> KnownScore:
    outcome, score, origin, cost = _RESULT_CELLS(cells)
    scale = _scale_of(*_SCALE_CELLS(cells))
    value, cost_usd = score_of(score, scale) if score else None, float(cost) if cost else None
    if (score and value is None) or not 0 <= (cost_usd or 0) < HIGHEST_USD:
        msg = f"{score} is not a score or {cost} is not a price"
        raise ValueError(msg)
    recorded = _PROVENANCE_CELLS(cells)
    provenance = provenances.get(recorded)
    if provenance is None:
        provenance = provenances[recorded] = Provenance(*map(unescape_formula, recorded))
    reused = outcome == Outcome.REUSED
    return KnownScore(value, reused, unescape_formula(origin), cost_usd, as_of, provenance, scale)


@lru_cache(maxsize=1_000)
def _scale_of(low: str, high: str) -> Scale:
    return Scale(float(low), float(high))
