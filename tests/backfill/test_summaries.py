"""Counts and cells of a cohort's scores."""

import statistics
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from essay_cohorts.backfill.summaries import CellSummary, Totals, count_totals, summarise_cells
from essay_cohorts.domain import Cell, Outcome, ScoreRow
from tests.score_rows import score_row

PROPERTY = settings(deadline=None, max_examples=60)
CELL = Cell("e_1", "novelty", "judge-a")


def row(
    outcome: Outcome,
    score: float | None = None,
    cell: Cell = CELL,
    *,
    cost: float | None = None,
    called: bool = False,
) -> ScoreRow:
    return score_row(score, cell, outcome=outcome, cost=cost, called=called)


def one_cell(*scores: float) -> tuple[ScoreRow, ...]:
    return tuple(row(Outcome.SCORED, score) for score in scores)


cells = st.builds(
    Cell,
    st.sampled_from(["e_1", "e_2", "e_3"]),
    st.sampled_from(["novelty", "style"]),
    st.sampled_from(["judge-a", "judge-b"]),
)
scored = st.builds(row, st.sampled_from([Outcome.REUSED, Outcome.SCORED]), st.floats(0, 9), cells)
MISSING = [Outcome.NOT_RUN, Outcome.DEFERRED, Outcome.IN_FLIGHT_ELSEWHERE]
scoreless = st.builds(row, st.sampled_from([Outcome.UNSCORED, Outcome.FAILED, *MISSING]), st.none(), cells)
rows_of_any_kind = st.lists(st.one_of(scored, scoreless), max_size=40)


@PROPERTY
@given(rows_of_any_kind)
def test_totals_add_up_for_any_outcomes(rows: list[ScoreRow]) -> None:
    """Each row has one outcome, so the outcomes sum up to the number planned."""
    totals = count_totals(rows, planned=len(rows))
    counts = Counter(one.outcome for one in rows)
    assert totals.adds_up
    assert {
        Outcome.REUSED: totals.reused,
        Outcome.SCORED: totals.scored,
        Outcome.UNSCORED: totals.unscored,
        Outcome.FAILED: totals.failed,
        Outcome.IN_FLIGHT_ELSEWHERE: totals.in_flight_elsewhere,
        Outcome.DEFERRED: totals.deferred,
        Outcome.NOT_RUN: totals.not_run,
    } == {outcome: counts[outcome] for outcome in Outcome}


@PROPERTY
@given(rows_of_any_kind, st.integers(-3, 3).filter(bool))
def test_a_row_lost_or_added_shows(rows: list[ScoreRow], difference: int) -> None:
    """Totals over more or fewer rows than were planned do not add up."""
    assert not count_totals(rows, planned=len(rows) + difference).adds_up


@pytest.mark.parametrize(
    ("rows", "called", "cost"),
    [
        pytest.param([], 0, 0.0, id="nothing"),
        pytest.param([row(Outcome.REUSED, 7.0, cost=0.5)], 0, 0.0, id="a reused one cost nothing this time"),
        pytest.param([row(Outcome.REUSED, 7.0, cost=None)], 0, 0.0, id="a reused one of unknown cost neither"),
        pytest.param([row(Outcome.SCORED, 7.0, cost=0.25, called=True)] * 3, 3, 0.75, id="three calls"),
        pytest.param([row(Outcome.UNSCORED, cost=0.25, called=True)], 1, 0.25, id="a refused reply costs too"),
        pytest.param([row(Outcome.SCORED, 7.0, cost=None, called=True)], 1, None, id="no price known"),
        pytest.param(
            [row(Outcome.SCORED, 7.0, cost=0.25, called=True), row(Outcome.SCORED, 7.0, called=True)],
            2,
            None,
            id="one price of two known",
        ),
    ],
)
def test_calls_and_their_cost(rows: list[ScoreRow], called: int, cost: float | None) -> None:
    """Only the calls of this run count in its cost; the cost is unknown if one of its prices is unknown."""
    totals = count_totals(rows, planned=len(rows))
    assert (totals.called, totals.cost_usd) == (called, cost)


def test_totals_of_a_plan_without_rows() -> None:
    """An empty plan has totals of 0, which add up."""
    totals = count_totals([], planned=0)
    nothing = {outcome.value: 0 for outcome in Outcome}
    expected = Totals(planned=0, called=0, cost_usd=0, **nothing)
    assert totals == expected
    assert totals.adds_up


def test_a_cell_is_summed_up() -> None:
    """A cell counts its members by outcome and has the mean of its scores."""
    rows = [
        row(Outcome.REUSED, 6.0),
        row(Outcome.SCORED, 7.0),
        row(Outcome.UNSCORED),
        row(Outcome.FAILED),
        row(Outcome.NOT_RUN),
    ]
    assert summarise_cells(rows) == (
        CellSummary(cell=CELL, members=5, scored=2, mean=6.5, unscored=1, failed=1, missing=1),
    )


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        pytest.param([Outcome.REUSED, Outcome.SCORED], "complete", id="complete"),
        pytest.param([Outcome.SCORED, Outcome.UNSCORED], "unscored", id="unscored"),
        pytest.param([Outcome.SCORED, Outcome.NOT_RUN], "missing", id="not run"),
        pytest.param([Outcome.SCORED, Outcome.DEFERRED], "missing", id="deferred"),
        pytest.param([Outcome.SCORED, Outcome.IN_FLIGHT_ELSEWHERE], "missing", id="in flight elsewhere"),
        pytest.param([Outcome.SCORED, Outcome.FAILED], "failed", id="failed"),
        pytest.param([Outcome.UNSCORED, Outcome.NOT_RUN], "missing", id="not run is worse than unscored"),
        pytest.param([Outcome.FAILED, Outcome.NOT_RUN, Outcome.UNSCORED], "failed", id="failed is the worst"),
    ],
)
def test_the_state_of_a_cell_is_its_worst(outcomes: list[Outcome], state: str) -> None:
    """A cell has the worst state of its members."""
    scores = {Outcome.REUSED: 5.0, Outcome.SCORED: 5.0}
    (summary,) = summarise_cells([row(outcome, scores.get(outcome)) for outcome in outcomes])
    assert summary.state == state


def test_a_cell_with_an_unreadable_score_is_not_complete() -> None:
    """A member whose parsed.txt holds no number from 0 to 9 counts as missing a score."""
    (summary,) = summarise_cells([row(Outcome.REUSED, None)])
    assert summary.state != "complete"


@PROPERTY
@given(rows_of_any_kind)
def test_cells_are_what_plain_counting_gives(rows: list[ScoreRow]) -> None:
    """Each cell comes once, in the order of the rows, with the counts and the mean that plain Python computes."""
    order = list(dict.fromkeys(one.member.cell for one in rows))
    summaries = summarise_cells(rows)
    assert [summary.cell for summary in summaries] == order
    for summary in summaries:
        mine = [one for one in rows if one.member.cell == summary.cell]
        scores = [one.score for one in mine if one.score is not None]
        counts = Counter(one.outcome for one in mine)
        assert (summary.members, summary.scored) == (len(mine), len(scores))
        assert (summary.unscored, summary.failed, summary.missing) == (
            counts[Outcome.UNSCORED],
            counts[Outcome.FAILED],
            sum(counts[outcome] for outcome in MISSING),
        )
        assert summary.mean == (pytest.approx(statistics.fmean(scores)) if scores else None)


def test_nothing_to_sum_up() -> None:
    """No rows give no cells."""
    assert summarise_cells([]) == ()


def test_ids_that_look_like_numbers_stay_text() -> None:
    """An essay called 007 and a model called nan keep their names."""
    cell = Cell("007", "1e5", "nan")
    (summary,) = summarise_cells([replace(one, outcome=Outcome.REUSED) for one in [row(Outcome.SCORED, 5.0, cell)]])
    assert summary.cell == cell
