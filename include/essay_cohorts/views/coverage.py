"""Sums up the cells of a cohort, essay x template x model: how many have a score, their mean, and their state."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from operator import itemgetter
from typing import TypeVar

from essay_cohorts.domain import Cell, Outcome, ScoreRow
from essay_cohorts.rubric import DEFAULT_SCALE, Scale


class CellState(StrEnum):
    """The state of a cell: the first of these states that applies."""

    IN_FLIGHT = "in_flight"
    FAILED = "failed"
    COMPLETE = "complete"
    REPLIED = "replied"
    PARTLY = "partly"
    UNSCORED = "unscored"
    MISSING = "missing"

    @property
    def words(self) -> str:
        """The state as a person reads it."""
        return self.value.replace("_", " ")


@dataclass(frozen=True, kw_only=True, slots=True)
class CellCoverage:
    """One cell: `scored` of its `members` have a score; `mean` is the mean of these scores, None without a score.

    `missing` of them have no reply, no failure and no request under way: a run can add one.
    """

    cell: Cell
    members: int
    scored: int
    mean: float | None
    state: CellState
    scale: Scale = DEFAULT_SCALE
    missing: int = 0

    @property
    def position(self) -> float | None:
        """The mean's place on its scale, from 0 to 1, by which means on different scales can be ordered."""
        return None if self.mean is None else (self.mean - self.scale.low) / self.scale.span


Column = tuple[str, str]
Item = TypeVar("Item")
column_of: Callable[[Cell], Column] = itemgetter(slice(1, None))


def rows_by_cell(rows: Iterable[ScoreRow]) -> dict[Cell, list[ScoreRow]]:
    """Return the rows of each cell, in the order of the rows."""
    cells: dict[Cell, list[ScoreRow]] = {}
    for row in rows:
        cells.setdefault(row.member.cell, []).append(row)
    return cells


def summarise_cells(rows: Iterable[ScoreRow], replied: Collection[str] = ()) -> tuple[CellCoverage, ...]:
    """Return the cells of a cohort's rows, in the order of the rows; `replied` is that of a CohortSnapshot."""
    return summarise_by_cell(rows_by_cell(rows), replied)


def summarise_by_cell(
    cells: Mapping[Cell, Sequence[ScoreRow]], replied: Collection[str] = ()
) -> tuple[CellCoverage, ...]:
    """Return what `summarise_cells` returns, from rows that are known by cell."""
    return tuple(_summarise_cell(cell, members, replied) for cell, members in cells.items())


def columns_of(cells: Iterable[CellCoverage]) -> tuple[Column, ...]:
    """Return the columns of the matrix, (template, model), in the order of the cells."""
    return tuple(dict.fromkeys(column_of(each.cell) for each in cells))


def paginate(items: Sequence[Item], size: int, page: int) -> tuple[int, int, Sequence[Item]]:
    """Return the existing page nearest to `page`, the number of pages (at least 1), and the items of that page."""
    pages = max(1, -(-len(items) // size))
    page = min(max(1, page), pages)
    return page, pages, items[(page - 1) * size : page * size]


def _summarise_cell(cell: Cell, rows: Sequence[ScoreRow], replied: Collection[str]) -> CellCoverage:
    scores = [row.score for row in rows if row.score is not None]
    replies = sum(row.member.gen_id in replied for row in rows) if replied else 0
    state, missing = _state_and_missing(len(scores), tuple([row.outcome for row in rows]), replies)
    return CellCoverage(
        cell=cell,
        members=len(rows),
        scored=len(scores),
        mean=sum(scores) / len(scores) if scores else None,
        state=state,
        scale=rows[0].scale,
        missing=missing,
    )


# Cached because most of a hundred thousand cells have the same outcomes.
@lru_cache(maxsize=1_000)
def _state_and_missing(scored: int, outcomes: tuple[Outcome, ...], replied: int) -> tuple[CellState, int]:
    missing = outcomes.count(Outcome.NOT_RUN) + outcomes.count(Outcome.DEFERRED) - replied
    return _state(scored, outcomes, replied), missing


def _state(scored: int, outcomes: tuple[Outcome, ...], replied: int) -> CellState:
    if Outcome.IN_FLIGHT_ELSEWHERE in outcomes:
        return CellState.IN_FLIGHT
    if Outcome.FAILED in outcomes:
        return CellState.FAILED
    if scored == len(outcomes):
        return CellState.COMPLETE
    answered = scored + outcomes.count(Outcome.UNSCORED) + replied
    if answered == len(outcomes):
        return CellState.REPLIED if replied else CellState.UNSCORED
    return CellState.PARTLY if answered else CellState.MISSING
