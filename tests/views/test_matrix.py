"""The colours of the matrix, and its order by disagreement."""

from __future__ import annotations

from dataclasses import replace

import pytest

from essay_cohorts.domain import Cell, Outcome
from essay_cohorts.rubric import Scale
from essay_cohorts.views.coverage import CellCoverage, CellState, summarise_cells
from essay_cohorts.views.matrix import MatrixQuery, Sort, heat, heat_legend, matrix, template_means
from tests.score_rows import score_rows

TEN = Scale(0, 10)


def cell(mean: float | None, scale: Scale = TEN) -> CellCoverage:
    return CellCoverage(
        cell=Cell("e", "t", "m"), members=1, scored=1, mean=mean, state=CellState.COMPLETE, scale=scale
    )


@pytest.mark.parametrize(
    ("mean", "step"),
    [
        pytest.param(5.0, 0, id="the mean"),
        pytest.param(5.49, 0, id="within"),
        pytest.param(5.5, 1, id="the first bound"),
        pytest.param(4.5, -1, id="the first bound below"),
        pytest.param(6.5, 2, id="the second bound"),
        pytest.param(7.49, 2, id="before the third"),
        pytest.param(7.5, 3, id="the third bound"),
        pytest.param(10.0, 3, id="far above"),
        pytest.param(0.0, -3, id="far below"),
        pytest.param(None, None, id="no mean"),
    ],
)
def test_the_step_of_a_colour(mean: float | None, step: int | None) -> None:
    """A colour tells how far a mean is from the template's mean, in parts of the scale; both directions alike."""
    assert heat(cell(mean), {"t": 5.0}) == step


def test_each_template_has_its_own_middle() -> None:
    """The middle is the mean of the template's cells, so a strict template is not all below."""
    cells = summarise_cells(
        score_rows(
            {("e", "t", "a"): [2.0, 4.0], ("e", "t", "b"): [5.0], ("e", "u", "a"): [9.0], ("f", "u", "a"): [None]}
        )
    )
    assert template_means(cells) == {"t": 4.0, "u": 9.0}


def test_the_legend_is_in_points_where_there_is_one_scale() -> None:
    """With one scale the bounds are points; with two, parts of the scale."""
    points = dict(heat_legend([TEN, TEN]))
    assert list(points) == [-3, -2, -1, 0, 1, 2, 3]
    assert (points[-3], points[0], points[2]) == ("2.5 or more below", "within 0.5", "1.5 to 2.5 above")
    assert dict(heat_legend([TEN, Scale(1, 5)]))[3] == "25 % or more above"
    assert dict(heat_legend([]))[0]


def test_rows_by_disagreement() -> None:
    """The judges that differ most come first, by their part of the scale; an essay with one judge comes last."""
    rows = score_rows(
        {
            ("near", "t", "a"): [5.0],
            ("near", "t", "b"): [6.0],
            ("alone", "t", "a"): [1.0],
            ("far", "t", "a"): [1.0],
            ("far", "t", "b"): [8.0],
            ("five", "u", "a"): [1.0],
            ("five", "u", "b"): [5.0],
        }
    )
    rows = [replace(row, scale=Scale(1, 5)) if row.member.template_id == "u" else row for row in rows]
    page = matrix(summarise_cells(rows), MatrixQuery(sort=Sort.DISAGREEMENT, descending=True), {})
    assert [row.essay_id for row in page.rows] == ["five", "far", "near", "alone"]
    page = matrix(summarise_cells(rows), MatrixQuery(sort=Sort.DISAGREEMENT), {})
    assert [row.essay_id for row in page.rows] == ["near", "far", "five", "alone"]


@pytest.mark.parametrize(
    ("outcomes", "missing"),
    [
        pytest.param("scored scored", 0, id="complete"),
        pytest.param("scored not_run", 1, id="partly"),
        pytest.param("not_run not_run", 2, id="all"),
        pytest.param("deferred scored", 1, id="deferred by a budget"),
        pytest.param("unscored failed", 0, id="answered without a score, or failed"),
        pytest.param("failed not_run", 1, id="missing beside a failure"),
        pytest.param("in_flight_elsewhere not_run", 1, id="missing beside a request"),
    ],
)
def test_missing_means_that_a_run_can_add_a_reply(outcomes: str, missing: int) -> None:
    """The filter, the column and the sort count the same evaluations, whatever the state of their cell is."""
    scores = [5.0 if outcome == "scored" else None for outcome in outcomes.split()]
    rows = score_rows({("e", "t", "m"): scores, ("f", "t", "m"): [5.0]})
    found = [replace(row, outcome=Outcome(name)) for row, name in zip(rows, outcomes.split(), strict=False)]
    cells = summarise_cells([*found, *rows[2:]])
    page = matrix(cells, MatrixQuery(states=frozenset({CellState.MISSING})), {})
    assert [(row.essay_id, row.missing) for row in page.rows] == ([("e", missing)] if missing else [])
    assert [row.missing for row in matrix(cells, MatrixQuery(sort=Sort.MISSING, descending=True), {}).rows] == [
        missing,
        0,
    ]


def test_a_reply_that_waits_for_scoring_is_not_missing() -> None:
    """Its outcome is not_run, but no run needs to call for it."""
    (row,) = score_rows({("e", "t", "m"): [None]})
    (cell,) = summarise_cells([replace(row, outcome=Outcome.NOT_RUN)], {row.member.gen_id})
    assert (cell.missing, cell.state) == (0, CellState.REPLIED)
