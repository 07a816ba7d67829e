"""Compares two cohorts: their common and their different members, and the score differences by cell and by essay."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from essay_cohorts.domain import Cell, ScoreRow
from essay_cohorts.views.coverage import CellCoverage, summarise_cells


@dataclass(frozen=True, kw_only=True, slots=True)
class CellDifference:
    """A cell in which both cohorts have scores.

    `difference` is the second mean minus the first. `shared` counts the scored evaluations that are in both cohorts.
    """

    cell: Cell
    first: CellCoverage
    second: CellCoverage
    shared: int
    difference: float

    @property
    def part_of_scale(self) -> float:
        """The size of the difference as a part of the scale, by which cells of all templates are ordered."""
        return abs(self.difference) / self.first.scale.span


@dataclass(frozen=True, kw_only=True, slots=True)
class EssayDifference:
    """An essay under one template: the mean difference over the `cells` cells in which both cohorts have scores."""

    essay_id: str
    template_id: str
    cells: int
    difference: float
    part_of_scale: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """The changes from a first cohort to a second.

    `joined` has the gen_ids that are only in the second cohort, `left` those only in the first, `both` those in both.
    `cells` and `essays` are sorted by the size of the difference as a part of the scale, the largest first. A cell
    whose template has another scale in the second cohort is not compared. `only_first` and `only_second` count the
    cells in which only this cohort has scores.
    """

    joined: tuple[str, ...]
    left: tuple[str, ...]
    both: tuple[str, ...]
    cells: tuple[CellDifference, ...]
    essays: tuple[EssayDifference, ...]
    only_first: int
    only_second: int


def compare(first: Sequence[ScoreRow], second: Sequence[ScoreRow]) -> Comparison:
    """Return the comparison of two cohorts' rows."""
    first_ids, second_ids = (dict.fromkeys(row.member.gen_id for row in rows) for rows in (first, second))
    first_cells, second_cells = (
        {each.cell: each for each in summarise_cells(rows) if each.scored} for rows in (first, second)
    )
    shared = _count_shared(first, second)
    cells = [
        CellDifference(
            cell=cell,
            first=first_cells[cell],
            second=second_cells[cell],
            shared=shared.get(cell, 0),
            difference=(second_cells[cell].mean or 0.0) - (first_cells[cell].mean or 0.0),
        )
        for cell in first_cells
        if cell in second_cells and second_cells[cell].scale == first_cells[cell].scale
    ]
    return Comparison(
        joined=tuple(gen_id for gen_id in second_ids if gen_id not in first_ids),
        left=tuple(gen_id for gen_id in first_ids if gen_id not in second_ids),
        both=tuple(gen_id for gen_id in first_ids if gen_id in second_ids),
        cells=tuple(sorted(cells, key=lambda each: -each.part_of_scale)),
        essays=_by_essay(cells),
        only_first=len(first_cells.keys() - second_cells.keys()),
        only_second=len(second_cells.keys() - first_cells.keys()),
    )


def _count_shared(first: Iterable[ScoreRow], second: Iterable[ScoreRow]) -> dict[Cell, int]:
    scored = {row.member.gen_id for row in first if row.score is not None}
    counts: dict[Cell, int] = {}
    for row in second:
        if row.score is not None and row.member.gen_id in scored:
            counts[row.member.cell] = counts.get(row.member.cell, 0) + 1
    return counts


def _by_essay(cells: Iterable[CellDifference]) -> tuple[EssayDifference, ...]:
    by_essay: dict[tuple[str, str], list[CellDifference]] = {}
    for each in cells:
        by_essay.setdefault((each.cell.essay_id, each.cell.template_id), []).append(each)
    found = [_of_essay(*names, members) for names, members in by_essay.items()]
    return tuple(sorted(found, key=lambda each: -each.part_of_scale))


def _of_essay(essay_id: str, template_id: str, cells: Sequence[CellDifference]) -> EssayDifference:
    difference = sum(each.difference for each in cells) / len(cells)
    part = abs(difference) / cells[0].first.scale.span
    return EssayDifference(
        essay_id=essay_id, template_id=template_id, cells=len(cells), difference=difference, part_of_scale=part
    )
