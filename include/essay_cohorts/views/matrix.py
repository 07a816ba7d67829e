"""Builds the matrix of a cohort, essays x (template, model): filtered, sorted, divided into pages, and coloured."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from operator import attrgetter

from essay_cohorts.rubric import Scale, points
from essay_cohorts.views.coverage import CellCoverage, CellState, Column, column_of, columns_of, paginate
from essay_cohorts.views.essays.essay_scores import EssayScores, sum_up_essay

# A page has about this many cells, whatever the number of columns, so that pages load and render quickly.
CELLS_PER_PAGE = 800
MAX_COLUMNS = 60
_MIN_ROWS_PER_PAGE, _MAX_ROWS_PER_PAGE = 10, 50


# The steps of colour, by the distance of a cell's mean from its template's mean, in parts of the scale.
HEAT_BOUNDS = (0.05, 0.15, 0.25)


class Colour(StrEnum):
    """What the colour of a cell shows: its state, or its mean compared with its template's mean."""

    COVERAGE = "coverage"
    SCORE = "score"


class Sort(StrEnum):
    """The order of the rows: as selected, or by essay id, missing evaluations, score, or disagreement."""

    SELECTED = "selected"
    ESSAY = "essay"
    MISSING = "missing"
    SCORE = "score"
    DISAGREEMENT = "disagreement"

    @property
    def begins_with_most(self) -> bool:
        """True if people look for the rows with the most: these come first unless an order is chosen."""
        return self in (Sort.MISSING, Sort.SCORE, Sort.DISAGREEMENT)


@dataclass(frozen=True, kw_only=True, slots=True)
class MatrixQuery:
    """The part of the matrix to show. An empty collection or text means no filter; the first page is 1.

    A row is shown if one of its shown cells has one of `states`; a cell of any state in which at least one evaluation
    is missing counts as missing too. With Sort.SCORE, rows are sorted by the mean in the
    shown column with the index `column` (from 0); if `column` is None, by the mean place of the row's means on their
    scales. With Sort.DISAGREEMENT they are sorted by how far the judges of the shown columns are apart. Rows without
    a score, or without a second judge, come last in either direction.
    """

    templates: frozenset[str] = frozenset()
    models: frozenset[str] = frozenset()
    states: frozenset[CellState] = frozenset()
    text: str = ""
    sort: Sort = Sort.SELECTED
    descending: bool = False
    column: int | None = None
    page: int = 1
    colour: Colour = Colour.COVERAGE


@dataclass(frozen=True, kw_only=True, slots=True)
class MatrixRow:
    """An essay's cells, one per shown column; None if the cohort has no such cell."""

    essay_id: str
    cells: tuple[CellCoverage | None, ...]

    @property
    def scores(self) -> EssayScores:
        """What the shown cells sum up to."""
        return sum_up_essay(self.essay_id, filter(None, self.cells))

    @property
    def missing(self) -> int:
        """The number of missing evaluations in the shown cells."""
        return sum(cell.missing for cell in self.cells if cell)


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


def _is_selected(name: str, wanted: Collection[str]) -> bool:
    return not wanted or name in wanted


def _rows(cells: Iterable[CellCoverage], positions: Mapping[Column, int]) -> list[MatrixRow]:
    by_essay: dict[str, list[CellCoverage | None]] = {}
    for each in cells:
        position = positions.get(column_of(each.cell))
        if position is not None:
            by_essay.setdefault(each.cell.essay_id, [None] * len(positions))[position] = each
    return [MatrixRow(essay_id=essay_id, cells=tuple(found)) for essay_id, found in by_essay.items()]


def _matches(row: MatrixRow, query: MatrixQuery, titles: Mapping[str, str]) -> bool:
    if query.states and not any(cell and _has_state(cell, query.states) for cell in row.cells):
        return False
    text = query.text.strip().casefold()
    return not text or text in row.essay_id.casefold() or text in titles.get(row.essay_id, "").casefold()


def _has_state(cell: CellCoverage, states: Collection[CellState]) -> bool:
    return cell.state in states or (CellState.MISSING in states and cell.missing > 0)


def _sorted(rows: list[MatrixRow], query: MatrixQuery) -> list[MatrixRow]:
    if query.sort is Sort.SELECTED:
        return rows[::-1] if query.descending else rows
    if query.sort is Sort.ESSAY:
        return sorted(rows, key=lambda row: row.essay_id, reverse=query.descending)
    if query.sort is Sort.MISSING:
        return sorted(rows, key=lambda row: row.missing, reverse=query.descending)
    if query.sort is Sort.DISAGREEMENT:
        return _by_value(rows, [_apart(row) for row in rows], descending=query.descending)
    place = attrgetter("mean" if len({cell.scale for row in rows for cell in row.cells if cell}) < 2 else "position")
    places = [_place(row, query.column, place) for row in rows]
    return _by_value(rows, places, descending=query.descending)


def _by_value(rows: list[MatrixRow], values: list[float | None], *, descending: bool) -> list[MatrixRow]:
    """Return the rows sorted by their values; those without a value come last."""
    known = [(value, row) for value, row in zip(values, rows, strict=True) if value is not None]
    known.sort(key=lambda pair: pair[0], reverse=descending)
    return [row for _, row in known] + [row for value, row in zip(values, rows, strict=True) if value is None]


def _apart(row: MatrixRow) -> float | None:
    disagreement = row.scores.disagreement
    return disagreement.part_of_scale if disagreement else None


def _place(row: MatrixRow, column: int | None, place: Callable[[CellCoverage], float | None]) -> float | None:
    chosen = row.cells if column is None or not 0 <= column < len(row.cells) else (row.cells[column],)
    places = [found for cell in chosen if cell and (found := place(cell)) is not None]
    return sum(places) / len(places) if places else None


def template_means(cells: Iterable[CellCoverage]) -> dict[str, float]:
    """Return template -> the mean of its cells' means, from which the colours of scores are measured."""
    means: dict[str, list[float]] = {}
    for each in cells:
        if each.mean is not None:
            means.setdefault(each.cell.template_id, []).append(each.mean)
    return {template_id: sum(found) / len(found) for template_id, found in means.items()}


def heat(cell: CellCoverage, means: Mapping[str, float]) -> int | None:
    """Return the step of colour of a mean, from -3, far below its template's mean, to 3; None without a mean."""
    if cell.mean is None:
        return None
    # Rounded, because the distance of a mean on a bound may be just below it.
    distance = round((cell.mean - means[cell.cell.template_id]) / cell.scale.span, 9)
    step = bisect_right(HEAT_BOUNDS, abs(distance))
    return step if distance > 0 else -step


def heat_legend(scales: Collection[Scale]) -> list[tuple[int, str]]:
    """Return each step of colour with what it means: in points if there is one scale, else in parts of the scale."""
    (span,) = {scale.span for scale in scales} if len({*scales}) == 1 else (None,)
    bounds = [f"{100 * bound:g} %" if span is None else points(round(bound * span, 4)) for bound in HEAT_BOUNDS]
    words = [f"{low} to {high}" for low, high in pairwise(bounds)] + [f"{bounds[-1]} or more"]
    below = [(-step, f"{text} below") for step, text in enumerate(words, start=1)][::-1]
    above = [(step, f"{text} above") for step, text in enumerate(words, start=1)]
    return [*below, (0, f"within {bounds[0]}"), *above]
