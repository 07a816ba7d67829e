"""Two cohorts side by side: who is a member of which, and how their scores differ cell by cell and essay by essay."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from essay_cohorts.domain import Cell, ScoreRow
from essay_cohorts.views.coverage import CellCoverage, summarise_cells


@dataclass(frozen=True, kw_only=True, slots=True)
class CellDifference:
    """A cell that both cohorts have scores in: second minus first; `shared` scores are the same evaluations."""

    cell: Cell
    first: CellCoverage
    second: CellCoverage
    shared: int
    difference: float


@dataclass(frozen=True, kw_only=True, slots=True)
class EssayDifference:
    """An essay under one template: the mean difference of its `cells` cells that both cohorts scored."""

    essay_id: str
    template_id: str
    cells: int
    difference: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """From a first cohort to a second: gen_ids that joined, left and are in both; differences, the largest first."""

    joined: tuple[str, ...]
    left: tuple[str, ...]
    both: tuple[str, ...]
    cells: tuple[CellDifference, ...]
    essays: tuple[EssayDifference, ...]
    only_first: int
    only_second: int


def compare(first: Sequence[ScoreRow], second: Sequence[ScoreRow]) -> Comparison:
    """Return the comparison of two cohorts' rows; `only_first` and `only_second` count cells scored in one alone."""
    ids, other = (dict.fromkeys(row.member.gen_id for row in rows) for rows in (first, second))
    here, there = ({each.cell: each for each in summarise_cells(rows) if each.scored} for rows in (first, second))
    shared = _shared(first, second)
    cells = [
        CellDifference(
            cell=cell,
            first=here[cell],
            second=there[cell],
            shared=shared.get(cell, 0),
            difference=(there[cell].mean or 0.0) - (here[cell].mean or 0.0),
        )
        for cell in here
        if cell in there
    ]
    return Comparison(
        joined=tuple(gen_id for gen_id in other if gen_id not in ids),
        left=tuple(gen_id for gen_id in ids if gen_id not in other),
        both=tuple(gen_id for gen_id in ids if gen_id in other),
        cells=tuple(sorted(cells, key=lambda each: -abs(each.difference))),
        essays=_by_essay(cells),
        only_first=len(here.keys() - there.keys()),
        only_second=len(there.keys() - here.keys()),
    )


def _shared(first: Iterable[ScoreRow], second: Iterable[ScoreRow]) -> dict[Cell, int]:
    scored = {row.member.gen_id for row in first if row.score is not None}
    counts: dict[Cell, int] = {}
    for row in second:
        if row.score is not None and row.member.gen_id in scored:
            counts[row.member.cell] = counts.get(row.member.cell, 0) + 1
    return counts


def _by_essay(cells: Iterable[CellDifference]) -> tuple[EssayDifference, ...]:
    gaps: dict[tuple[str, str], list[float]] = {}
    for each in cells:
        gaps.setdefault((each.cell.essay_id, each.cell.template_id), []).append(each.difference)
    found = [
        EssayDifference(essay_id=essay, template_id=template, cells=len(gap), difference=sum(gap) / len(gap))
        for (essay, template), gap in gaps.items()
    ]
    return tuple(sorted(found, key=lambda each: -abs(each.difference)))
