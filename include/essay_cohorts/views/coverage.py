"""Builds the coverage matrix of a cohort: essays x (template, model), filtered, sorted and divided into pages."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from operator import attrgetter, itemgetter
from typing import TypeVar

from essay_cohorts.domain import Cell, Outcome, ScoreRow
from essay_cohorts.rubric import DEFAULT_SCALE, Scale

# A page has about this many cells, whatever the number of columns, so that pages load and render quickly.
CELLS_PER_PAGE = 800
MAX_COLUMNS = 60
_MIN_ROWS_PER_PAGE, _MAX_ROWS_PER_PAGE = 10, 50


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


class Sort(StrEnum):
    """The order of the rows: as selected, by essay id, by the number of evaluations without a score, or by score."""

    SELECTED = "selected"
    ESSAY = "essay"
    MISSING = "missing"
    SCORE = "score"


@dataclass(frozen=True, kw_only=True, slots=True)
class CellCoverage:
    """One cell: `scored` of its `members` have a score; `mean` is the mean of these scores, None without a score."""

    cell: Cell
    members: int
    scored: int
    mean: float | None
    state: CellState
    scale: Scale = DEFAULT_SCALE

    @property
    def position(self) -> float | None:
        """The mean's place on its scale, from 0 to 1, by which means on different scales can be ordered."""
        return None if self.mean is None else (self.mean - self.scale.low) / self.scale.span


@dataclass(frozen=True, kw_only=True, slots=True)
class MatrixQuery:
    """The part of the matrix to show. An empty collection or text means no filter; the first page is 1.

    A row is shown if one of its shown cells has one of `states`. With Sort.SCORE, rows are sorted by the mean in the
    shown column with the index `column` (from 0); if `column` is None, by the mean place of the row's means on their
    scales. Rows without a score come last in either direction.
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
    """An essay's cells, one per shown column; None if the cohort has no such cell."""

    essay_id: str
    cells: tuple[CellCoverage | None, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class MatrixPage:
    """A page of the matrix.

    `essays` is the number of rows that match, on all pages. `hidden_columns` is the number of columns that match but
    are beyond MAX_COLUMNS.
    """

    columns: tuple[Column, ...]
    hidden_columns: int
    rows: tuple[MatrixRow, ...]
    essays: int
    page: int
    pages: int


def summarise_cells(rows: Iterable[ScoreRow], replied: Collection[str] = ()) -> tuple[CellCoverage, ...]:
    """Return the cells of a cohort's rows, in the order of the rows; `replied` is that of a CohortSnapshot."""
    cells: dict[Cell, list[ScoreRow]] = {}
    for row in rows:
        cells.setdefault(row.member.cell, []).append(row)
    return tuple(_summarise_cell(cell, members, replied) for cell, members in cells.items())


def columns_of(cells: Iterable[CellCoverage]) -> tuple[Column, ...]:
    """Return the columns of the matrix, (template, model), in the order of the cells."""
    return tuple(dict.fromkeys(_column(each.cell) for each in cells))


def matrix(cells: Sequence[CellCoverage], query: MatrixQuery, titles: Mapping[str, str]) -> MatrixPage:
    """Return the page of the matrix that `query` asks for; its text is searched in the essays' ids and titles."""
    wanted = [
        (template, model)
        for template, model in columns_of(cells)
        if _is_selected(template, query.templates) and _is_selected(model, query.models)
    ]
    columns = tuple(wanted[:MAX_COLUMNS])
    positions = {column: number for number, column in enumerate(columns)}
    rows = _sorted([row for row in _rows(cells, positions) if _matches(row, query, titles)], query)
    size = min(max(CELLS_PER_PAGE // max(1, len(columns)), _MIN_ROWS_PER_PAGE), _MAX_ROWS_PER_PAGE)
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
    """Return the existing page nearest to `page`, the number of pages (at least 1), and the items of that page."""
    pages = max(1, -(-len(items) // size))
    page = min(max(1, page), pages)
    return page, pages, items[(page - 1) * size : page * size]


def _summarise_cell(cell: Cell, rows: Sequence[ScoreRow], replied: Collection[str]) -> CellCoverage:
    scores = [row.score for row in rows if row.score is not None]
    return CellCoverage(
        cell=cell,
        members=len(rows),
        scored=len(scores),
        mean=sum(scores) / len(scores) if scores else None,
        state=_state(
            len(scores),
            tuple([row.outcome for row in rows]),
            sum(row.member.gen_id in replied for row in rows) if replied else 0,
        ),
        scale=rows[0].scale,
    )


# Cached because most of a hundred thousand cells have the same outcomes.
@lru_cache(maxsize=1_000)
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


def _is_selected(name: str, wanted: Collection[str]) -> bool:
    return not wanted or name in wanted


def _rows(cells: Iterable[CellCoverage], positions: Mapping[Column, int]) -> list[MatrixRow]:
    by_essay: dict[str, list[CellCoverage | None]] = {}
    for each in cells:
        position = positions.get(_column(each.cell))
        if position is not None:
            by_essay.setdefault(each.cell.essay_id, [None] * len(positions))[position] = each
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
    place = attrgetter("mean" if len({cell.scale for row in rows for cell in row.cells if cell}) < 2 else "position")
    places = [_place(row, query.column, place) for row in rows]
    scored = [(place, row) for place, row in zip(places, rows, strict=True) if place is not None]
    scored.sort(key=lambda pair: pair[0], reverse=query.descending)
    return [row for _, row in scored] + [row for place, row in zip(places, rows, strict=True) if place is None]


def _without_score(row: MatrixRow) -> int:
    return sum(cell.members - cell.scored for cell in row.cells if cell)


def _place(row: MatrixRow, column: int | None, place: Callable[[CellCoverage], float | None]) -> float | None:
    chosen = row.cells if column is None or not 0 <= column < len(row.cells) else (row.cells[column],)
    places = [found for cell in chosen if cell and (found := place(cell)) is not None]
    return sum(places) / len(places) if places else None
