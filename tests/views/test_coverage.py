"""The coverage matrix: the state of a cell; filters, orders and pages lose no row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from essay_cohorts.domain import Cell, Outcome, ScoreRow
from essay_cohorts.views.coverage import CellCoverage, CellState, columns_of, summarise_cells
from essay_cohorts.views.matrix import CELLS_PER_PAGE, MAX_COLUMNS, MatrixPage, MatrixQuery, Sort, matrix
from tests.score_rows import CELL, score_row, score_rows

PROPERTY = settings(deadline=None, max_examples=60)
SCORED, UNSCORED, FAILED, NOT_RUN = Outcome.SCORED, Outcome.UNSCORED, Outcome.FAILED, Outcome.NOT_RUN
FLIGHT, DEFERRED, REUSED = Outcome.IN_FLIGHT_ELSEWHERE, Outcome.DEFERRED, Outcome.REUSED


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        pytest.param([REUSED, SCORED], CellState.COMPLETE, id="all scored"),
        pytest.param([SCORED, UNSCORED], CellState.UNSCORED, id="answered but not scored"),
        pytest.param([UNSCORED], CellState.UNSCORED, id="all refused"),
        pytest.param([SCORED, NOT_RUN], CellState.PARTLY, id="one of two"),
        pytest.param([SCORED, DEFERRED], CellState.PARTLY, id="one of two, one deferred"),
        pytest.param([UNSCORED, NOT_RUN], CellState.PARTLY, id="refused and not run"),
        pytest.param([SCORED, UNSCORED, NOT_RUN], CellState.PARTLY, id="some of each"),
        pytest.param([NOT_RUN, DEFERRED], CellState.MISSING, id="none"),
        pytest.param([SCORED, FAILED], CellState.FAILED, id="failed is worse than partly"),
        pytest.param([FAILED, UNSCORED, NOT_RUN], CellState.FAILED, id="failed is worse than missing"),
        pytest.param([FLIGHT, FAILED], CellState.IN_FLIGHT, id="in flight comes first"),
        pytest.param([FLIGHT, SCORED], CellState.IN_FLIGHT, id="in flight with a score"),
    ],
)
def test_the_state_of_a_cell(outcomes: list[Outcome], state: CellState) -> None:
    """A cell has the first state that applies, whatever the order of its rows."""
    rows = [score_row(5.0 if one in (REUSED, SCORED) else None, outcome=one) for one in outcomes]
    for order in (rows, rows[::-1]):
        assert [cell.state for cell in summarise_cells(order)] == [state]


@pytest.mark.parametrize(
    ("outcomes", "replied", "state"),
    [
        pytest.param([NOT_RUN, NOT_RUN], 2, CellState.REPLIED, id="all replied"),
        pytest.param([SCORED, NOT_RUN], 1, CellState.REPLIED, id="one scored, one replied"),
        pytest.param([UNSCORED, NOT_RUN], 1, CellState.REPLIED, id="one refused, one replied"),
        pytest.param([NOT_RUN, NOT_RUN], 1, CellState.PARTLY, id="one replied, one missing"),
        pytest.param([FLIGHT, NOT_RUN], 1, CellState.IN_FLIGHT, id="in flight comes first"),
        pytest.param([FAILED, NOT_RUN], 1, CellState.FAILED, id="failed comes first"),
    ],
)
def test_the_state_of_a_cell_with_replies_that_wait(outcomes: list[Outcome], replied: int, state: CellState) -> None:
    """Replies that wait for scoring, here the last ones, are not missing."""
    rows = [
        score_row(5.0 if outcome is SCORED else None, outcome=outcome, gen_id=f"v_{number}")
        for number, outcome in enumerate(outcomes)
    ]
    waiting = {row.member.gen_id for row in rows[len(rows) - replied :]}
    assert [cell.state for cell in summarise_cells(rows, waiting)] == [state]


def test_a_cell_counts_its_members_and_means_its_scores() -> None:
    """The mean is that of the existing scores; 0 is a score."""
    rows = score_rows({CELL: [0.0, 3.0, None], ("e_2", "novelty", "judge-a"): [None]})
    first, second = summarise_cells(rows)
    assert (first.cell, first.members, first.scored, first.mean) == (CELL, 3, 2, 1.5)
    assert (second.members, second.scored, second.mean) == (1, 0, None)


cells_of_three = st.builds(
    Cell, st.sampled_from(["e_1", "e_2", "e_3"]), st.sampled_from("tu"), st.sampled_from(["a", "b"])
)
some_rows = st.lists(
    st.builds(score_row, st.floats(0, 9), cells_of_three)
    | st.builds(
        lambda cell, outcome: score_row(None, cell, outcome=outcome),
        cells_of_three,
        st.sampled_from([UNSCORED, FAILED, FLIGHT, DEFERRED, NOT_RUN]),
    ),
    max_size=30,
)


@PROPERTY
@given(some_rows)
def test_every_row_is_in_one_cell(rows: list[ScoreRow]) -> None:
    """Cells come once, in the order of the rows, and their members and scores sum up to the rows."""
    covered = summarise_cells(rows)
    assert [each.cell for each in covered] == list(dict.fromkeys(row.member.cell for row in rows))
    assert sum(each.members for each in covered) == len(rows)
    assert sum(each.scored for each in covered) == sum(row.score is not None for row in rows)
    for each in covered:
        assert (each.state is CellState.COMPLETE) <= (each.scored == each.members)
        assert (each.state is CellState.MISSING) <= (each.scored == 0)


def test_states_have_words() -> None:
    """The words for a person have no underscore."""
    assert CellState.IN_FLIGHT.words == "in flight"


# ---------------------------------------------------------------- the matrix

GRID = score_rows(
    {
        ("e_b", "t", "m"): [4.0, 6.0],
        ("e_b", "t", "n"): [None],
        ("e_b", "u", "m"): [9.0],
        ("e_a", "t", "m"): [None, None],
        ("e_a", "t", "n"): [None],
        ("e_a", "u", "m"): [None],
        ("e_c", "t", "m"): [8.0, 8.0],
        ("e_c", "t", "n"): [2.0],
    }
)
TITLES = {"e_a": "On Tides", "e_b": "On Ledgers"}


def shown(query: MatrixQuery) -> list[str]:
    """Return the essays of the page, in order."""
    return [row.essay_id for row in matrix(summarise_cells(GRID), query, TITLES).rows]


@pytest.mark.parametrize(
    ("query", "essays"),
    [
        pytest.param(MatrixQuery(), ["e_b", "e_a", "e_c"], id="as selected"),
        pytest.param(MatrixQuery(descending=True), ["e_c", "e_a", "e_b"], id="as selected, backwards"),
        pytest.param(MatrixQuery(sort=Sort.ESSAY), ["e_a", "e_b", "e_c"], id="by id"),
        pytest.param(MatrixQuery(sort=Sort.ESSAY, descending=True), ["e_c", "e_b", "e_a"], id="by id, backwards"),
        pytest.param(MatrixQuery(sort=Sort.MISSING), ["e_c", "e_b", "e_a"], id="fewest missing first"),
        pytest.param(MatrixQuery(sort=Sort.MISSING, descending=True), ["e_a", "e_b", "e_c"], id="most missing first"),
        pytest.param(MatrixQuery(sort=Sort.SCORE), ["e_c", "e_b", "e_a"], id="lowest mean of means first"),
        pytest.param(MatrixQuery(sort=Sort.SCORE, descending=True), ["e_b", "e_c", "e_a"], id="highest first"),
        pytest.param(MatrixQuery(sort=Sort.SCORE, column=0), ["e_b", "e_c", "e_a"], id="by a column"),
        pytest.param(
            MatrixQuery(sort=Sort.SCORE, column=0, descending=True), ["e_c", "e_b", "e_a"], id="a column, backwards"
        ),
        pytest.param(MatrixQuery(sort=Sort.SCORE, column=1), ["e_c", "e_b", "e_a"], id="a column with one score"),
        pytest.param(
            MatrixQuery(sort=Sort.SCORE, column=0, templates=frozenset("u")), ["e_b", "e_a"], id="of those shown"
        ),
        pytest.param(MatrixQuery(sort=Sort.SCORE, column=9), ["e_c", "e_b", "e_a"], id="no such column"),
        pytest.param(MatrixQuery(sort=Sort.SCORE, column=-1), ["e_c", "e_b", "e_a"], id="a column before the first"),
        pytest.param(MatrixQuery(text="E_B"), ["e_b"], id="an id in any case"),
        pytest.param(MatrixQuery(text=" tides "), ["e_a"], id="a title"),
        pytest.param(MatrixQuery(text="on "), ["e_b", "e_a"], id="several titles"),
        pytest.param(MatrixQuery(text="nowhere"), [], id="no such text"),
        pytest.param(MatrixQuery(templates=frozenset("u")), ["e_b", "e_a"], id="a template that one essay lacks"),
        pytest.param(MatrixQuery(models=frozenset("x")), [], id="no such model"),
        pytest.param(MatrixQuery(states=frozenset({CellState.MISSING})), ["e_b", "e_a"], id="a state"),
        pytest.param(MatrixQuery(states=frozenset({CellState.COMPLETE})), ["e_b", "e_c"], id="no missing one"),
        pytest.param(
            MatrixQuery(states=frozenset({CellState.MISSING}), models=frozenset("m")), ["e_a"], id="of a shown cell"
        ),
        pytest.param(
            MatrixQuery(states=frozenset({CellState.FAILED, CellState.COMPLETE})), ["e_b", "e_c"], id="any of two"
        ),
    ],
)
def test_which_rows_come_in_which_order(query: MatrixQuery, essays: list[str]) -> None:
    """Filters select, sorts order, and essays without a score come last in both directions."""
    assert shown(query) == essays


def test_columns_are_those_of_the_filter() -> None:
    """Columns are in the order of the cells; if an essay has no such cell, the value is None."""
    page = matrix(summarise_cells(GRID), MatrixQuery(), {})
    assert page.columns == columns_of(summarise_cells(GRID)) == (("t", "m"), ("t", "n"), ("u", "m"))
    assert page.rows[2].cells[2] is None
    cell = page.rows[0].cells[0]
    assert cell is not None
    assert (cell.cell, cell.mean) == (("e_b", "t", "m"), 5.0)
    narrow = matrix(summarise_cells(GRID), MatrixQuery(templates=frozenset("t"), models=frozenset("n")), {})
    assert narrow.columns == (("t", "n"),)
    assert [len(row.cells) for row in narrow.rows] == [1, 1, 1]


def test_nothing_has_one_empty_page() -> None:
    """A cohort without cells has one page."""
    empty = MatrixPage(columns=(), hidden_columns=0, rows=(), essays=0, page=1, pages=1)
    assert matrix([], MatrixQuery(page=7), {}) == empty


@pytest.mark.parametrize(
    ("asked", "got"),
    [
        pytest.param(1, 1, id="first"),
        pytest.param(3, 3, id="last"),
        pytest.param(99, 3, id="beyond"),
        pytest.param(0, 1, id="zero"),
        pytest.param(-5, 1, id="below"),
    ],
)
def test_a_page_out_of_range(asked: int, got: int) -> None:
    """A page number out of range gives the nearest page."""
    page = matrix(grid(120, 1), MatrixQuery(page=asked), {})
    assert (page.page, page.pages, page.essays) == (got, 3, 120)


@pytest.mark.parametrize(
    ("columns", "hidden"),
    [
        pytest.param(MAX_COLUMNS - 1, 0, id="below the cap"),
        pytest.param(MAX_COLUMNS, 0, id="at the cap"),
        pytest.param(MAX_COLUMNS + 5, 5, id="beyond the cap"),
    ],
)
def test_the_number_of_columns_has_a_cap(columns: int, hidden: int) -> None:
    """Columns beyond the cap are counted, and a filter can show them."""
    cells = grid(2, columns)
    page = matrix(cells, MatrixQuery(), {})
    assert (len(page.columns), page.hidden_columns) == (columns - hidden, hidden)
    assert {len(row.cells) for row in page.rows} == {columns - hidden}
    last = matrix(cells, MatrixQuery(models=frozenset({f"m{columns - 1}"})), {})
    assert (last.columns, last.hidden_columns) == ((("t", f"m{columns - 1}"),), 0)


def grid(essays: int, columns: int, means: Sequence[float | None] = (5.0,)) -> list[CellCoverage]:
    """Return a full matrix; the means are repeated row by row."""
    return [
        CellCoverage(
            cell=Cell(f"e_{essay * 7919 % 1000}", "t", f"m{column}"),
            members=1,
            scored=int(means[number % len(means)] is not None),
            mean=means[number % len(means)],
            state=CellState.COMPLETE if means[number % len(means)] is not None else CellState.MISSING,
        )
        for number, (essay, column) in enumerate(product(range(essays), range(columns)))
    ]


queries = st.builds(
    MatrixQuery,
    states=st.sets(st.sampled_from([CellState.COMPLETE, CellState.MISSING])).map(frozenset),
    text=st.sampled_from(["", "1", "e_"]),
    sort=st.sampled_from(Sort),
    descending=st.booleans(),
    column=st.none() | st.integers(-1, 3),
)


@PROPERTY
@given(
    st.integers(0, 130),
    st.sampled_from([1, 3, 20, MAX_COLUMNS + 1]),
    st.lists(st.none() | st.floats(0, 9), min_size=1, max_size=7),
    queries,
)
def test_pages_hold_every_row_once(essays: int, columns: int, means: list[float | None], query: MatrixQuery) -> None:
    """Over all pages each matching row comes once, and all pages but the last are full."""
    cells = grid(essays, columns, means)
    first = matrix(cells, query, {})
    pages = [matrix(cells, replace(query, page=number), {}) for number in range(1, first.pages + 1)]
    rows = [row for page in pages for row in page.rows]
    ids = [row.essay_id for row in rows]
    by_essay: dict[str, list[CellCoverage]] = {}
    for each in cells:
        by_essay.setdefault(each.cell.essay_id, []).append(each)
    expected = {
        essay
        for essay, found in by_essay.items()
        if query.text in essay
        and (not query.states or any(each.state in query.states for each in found[:MAX_COLUMNS]))
    }
    assert len(ids) == len(expected) == first.essays
    assert set(ids) == expected
    assert {(page.essays, page.pages) for page in pages} == {(first.essays, first.pages)}
    size = min(50, max(10, CELLS_PER_PAGE // min(columns, MAX_COLUMNS)))
    assert first.pages == max(1, math.ceil(len(rows) / size))
    assert all(len(page.rows) == size for page in pages[:-1])


@PROPERTY
@given(st.integers(0, 60), st.integers(1, 4), st.lists(st.none() | st.floats(0, 9), min_size=1, max_size=7), queries)
def test_scores_are_in_order_and_rows_without_one_come_last(
    essays: int, columns: int, means: list[float | None], query: MatrixQuery
) -> None:
    """Rows rise or fall by score or by missing scores; rows without a score come last in both directions."""
    query = replace(query, sort=Sort.SCORE)
    cells = grid(essays, columns, means)
    pages = range(1, matrix(cells, query, {}).pages + 1)
    rows = [row for page in pages for row in matrix(cells, replace(query, page=page), {}).rows]
    scores = []
    for row in rows:
        one_column = query.column is not None and 0 <= query.column < columns
        chosen = [row.cells[query.column or 0]] if one_column else row.cells
        found = [cell.mean for cell in chosen if cell and cell.mean is not None]
        scores.append(sum(found) / len(found) if found else None)
    known = [score for score in scores if score is not None]
    assert scores == sorted(known, reverse=query.descending) + [None] * (len(scores) - len(known))
