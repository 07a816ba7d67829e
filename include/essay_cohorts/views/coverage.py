"""The coverage matrix of a cohort: essays x (template, model), filtered, sorted and cut into pages."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from operator import itemgetter
from typing import TypeVar

from essay_cohorts.domain import Cell, Outcome, ScoreRow

# A page has about so many cells, whatever the number of columns: what a browser draws at once and a wire carries.
CELLS_A_PAGE = 800
MOST_COLUMNS = 60
_ROWS_A_PAGE = (10, 50)


class CellState(StrEnum):
    """The state of a cell: the first of these that holds."""

    IN_FLIGHT = "in_flight"
    FAILED = "failed"
    COMPLETE = "complete"
    PARTLY = "partly"
    UNSCORED = "unscored"
    MISSING = "missing"

    @property
    def words(self) -> str:
        """The state as a person reads it."""
        return self.value.replace("_", " ")


class Sort(StrEnum):
    """How rows are ordered: as selected, by id, by evaluations without a score, or by score."""

    SELECTED = "selected"
    ESSAY = "essay"
    MISSING = "missing"
    SCORE = "score"


@dataclass(frozen=True, kw_only=True, slots=True)
class CellCoverage:
    """One cell: `scored` of its `members` have a score, with this mean (None when none has)."""

    cell: Cell
    members: int
    scored: int
    mean: float | None
    state: CellState


@dataclass(frozen=True, kw_only=True, slots=True)
class MatrixQuery:
    """Which part of the matrix to show: an empty collection or text narrows nothing; pages count from 1.

    A row is shown when one of its shown cells has one of `states`. With Sort.SCORE `column` (of those shown, from 0)
    says whose means count; None: the mean of the row's means. Rows without a score come last in either direction.
    """

    templates: frozenset[str] = frozenset()
    models: frozenset[str] = frozenset()
    states: frozenset[CellState] = frozenset()
    text: str = ""
    sort: Sort = Sort.SELECTED
    descending: bool = False
    column: int | None = None
    page: int = 1


Column = tuple[str, str]
Item = TypeVar("Item")
_column: Callable[[Cell], Column] = itemgetter(slice(1, None))


@dataclass(frozen=True, kw_only=True, slots=True)
class MatrixRow:
    """An essay's cells, one a shown column; None where the cohort has no such cell."""

    essay_id: str
    cells: tuple[CellCoverage | None, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class MatrixPage:
    """A page of the matrix; `essays` is how many rows match, `hidden_columns` how many columns did not fit."""

    columns: tuple[Column, ...]
    hidden_columns: int
    rows: tuple[MatrixRow, ...]
    essays: int
    page: int
    pages: int


def summarise_cells(rows: Iterable[ScoreRow]) -> tuple[CellCoverage, ...]:
    """Return the cells of a cohort's rows, in the order of the rows."""
    cells: dict[Cell, list[ScoreRow]] = {}
    for row in rows:
        cells.setdefault(row.member.cell, []).append(row)
    return tuple(_cover(cell, members) for cell, members in cells.items())


def columns_of(cells: Iterable[CellCoverage]) -> tuple[Column, ...]:
    """Return the columns of the matrix, (template, model), in the order of the cells."""
    return tuple(dict.fromkeys(_column(each.cell) for each in cells))


def matrix(cells: Sequence[CellCoverage], query: MatrixQuery, titles: Mapping[str, str]) -> MatrixPage:
    """Return the page of the matrix that `query` asks for.

    Its text is looked for in essay ids and in their titles.
    """
    wanted = [
        (template, model)
        for template, model in columns_of(cells)
        if _fits(template, query.templates) and _fits(model, query.models)
    ]
    columns = tuple(wanted[:MOST_COLUMNS])
    places = {column: number for number, column in enumerate(columns)}
    rows = _sorted([row for row in _rows(cells, places) if _matches(row, query, titles)], query)
    size = min(max(CELLS_A_PAGE // max(1, len(columns)), _ROWS_A_PAGE[0]), _ROWS_A_PAGE[1])
    page, pages, shown = paginate(rows, size, query.page)
    return MatrixPage(
        columns=columns,
        hidden_columns=len(wanted) - len(columns),
        rows=tuple(shown),
        essays=len(rows),
        page=page,
        pages=pages,
    )


def paginate(items: Sequence[Item], size: int, page: int) -> tuple[int, int, Sequence[Item]]:
    """Return the page nearest to `page`, how many pages there are (at least one), and its items, at most `size`."""
    pages = max(1, -(-len(items) // size))
    page = min(max(1, page), pages)
    return page, pages, items[(page - 1) * size : page * size]


def _cover(cell: Cell, rows: Sequence[ScoreRow]) -> CellCoverage:
    scores = [row.score for row in rows if row.score is not None]
    return CellCoverage(
        cell=cell,
        members=len(rows),
        scored=len(scores),
        mean=sum(scores) / len(scores) if scores else None,
        state=_state(len(scores), tuple([row.outcome for row in rows])),
    )


# Of a hundred thousand cells most are alike.
@lru_cache(maxsize=1_000)
def _state(scored: int, outcomes: tuple[Outcome, ...]) -> CellState:
    if Outcome.IN_FLIGHT_ELSEWHERE in outcomes:
        return CellState.IN_FLIGHT
    if Outcome.FAILED in outcomes:
        return CellState.FAILED
    if scored == len(outcomes):
        return CellState.COMPLETE
    if scored + outcomes.count(Outcome.UNSCORED) == len(outcomes):
        return CellState.UNSCORED
    return CellState.PARTLY if scored or Outcome.UNSCORED in outcomes else CellState.MISSING


def _fits(name: str, wanted: Collection[str]) -> bool:
    return not wanted or name in wanted


def _rows(cells: Iterable[CellCoverage], places: Mapping[Column, int]) -> list[MatrixRow]:
    by_essay: dict[str, list[CellCoverage | None]] = {}
    for each in cells:
        place = places.get(_column(each.cell))
        if place is not None:
            by_essay.setdefault(each.cell.essay_id, [None] * len(places))[place] = each
    return [MatrixRow(essay_id=essay_id, cells=tuple(found)) for essay_id, found in by_essay.items()]


def _matches(row: MatrixRow, query: MatrixQuery, titles: Mapping[str, str]) -> bool:
    if query.states and not any(cell and cell.state in query.states for cell in row.cells):
        return False
    text = query.text.strip().casefold()
    return not text or text in row.essay_id.casefold() or text in titles.get(row.essay_id, "").casefold()


def _sorted(rows: list[MatrixRow], query: MatrixQuery) -> list[MatrixRow]:
    if query.sort is Sort.SELECTED:
        return rows[::-1] if query.descending else rows
    if query.sort is Sort.ESSAY:
        return sorted(rows, key=lambda row: row.essay_id, reverse=query.descending)
    if query.sort is Sort.MISSING:
        return sorted(rows, key=_without_score, reverse=query.descending)
    scored = [(score, row) for row in rows if (score := _score(row, query.column)) is not None]
    scored.sort(key=lambda pair: pair[0], reverse=query.descending)
    return [row for _, row in scored] + [row for row in rows if _score(row, query.column) is None]


def _without_score(row: MatrixRow) -> int:
    return sum(cell.members - cell.scored for cell in row.cells if cell)


def _score(row: MatrixRow, column: int | None) -> float | None:
    chosen = row.cells if column is None or not 0 <= column < len(row.cells) else (row.cells[column],)
    means = [cell.mean for cell in chosen if cell and cell.mean is not None]
    return sum(means) / len(means) if means else None
