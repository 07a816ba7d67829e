"""Counts, cells and distributions of a cohort's scores."""

import statistics
from collections import Counter
from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from essay_cohorts.backfill.summaries import (
    CellSummary,
    JudgeSummary,
    Totals,
    count_bins,
    count_totals,
    summarise_cells,
    summarise_judges,
)
from essay_cohorts.domain import Cell, Outcome, ScoreRow
from essay_cohorts.rubric import DEFAULT_SCALE, Scale
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


@PROPERTY
@given(rows_of_any_kind)
def test_judges_are_what_the_statistics_module_gives(rows: list[ScoreRow]) -> None:
    """Each template and model comes once, with the mean, deviation and range of the statistics module."""
    judges = summarise_judges(rows)
    assert [(judge.template_id, judge.model_id) for judge in judges] == list(
        dict.fromkeys((one.member.template_id, one.member.llm_model_id) for one in rows)
    )
    for judge in judges:
        mine = [one for one in rows if one.member.cell[1:] == (judge.template_id, judge.model_id)]
        scores = [one.score for one in mine if one.score is not None]
        assert (judge.members, judge.scored) == (len(mine), len(scores))
        assert judge.mean == (pytest.approx(statistics.fmean(scores)) if scores else None)
        assert judge.sd == (pytest.approx(statistics.stdev(scores), abs=1e-6) if len(scores) > 1 else None)
        assert (judge.lowest, judge.highest) == ((min(scores), max(scores)) if scores else (None, None))
        assert sum(bar.count for bar in judge.bins) == len(scores)


@pytest.mark.parametrize(
    ("score", "number"),
    [
        pytest.param(0.0, 0, id="lowest"),
        pytest.param(0.99, 0, id="below one"),
        pytest.param(1.0, 1, id="one"),
        pytest.param(6.5, 6, id="in between"),
        pytest.param(8.99, 8, id="below nine"),
        pytest.param(9.0, 9, id="highest"),
    ],
)
def test_a_score_falls_into_the_bin_below_it(score: float, number: int) -> None:
    """A bin holds the scores from its number to below the next number; the last bin holds only 9."""
    (judge,) = summarise_judges(one_cell(score))
    assert [bar.count for bar in judge.bins] == [int(position == number) for position in range(10)]


@pytest.mark.parametrize(
    ("scale", "scores", "bins"),
    [
        pytest.param(
            Scale(1, 5),
            [1.0, 1.5, 4.99, 5.0],
            [("from 1 to below 2", 2), ("from 4 to below 5", 1), ("5", 1)],
            id="1-5",
        ),
        pytest.param(
            Scale(0, 100),
            [0.0, 9.99, 10.0, 100.0],
            [("from 0 to below 10", 2), ("from 10 to below 20", 1), ("from 90 to 100", 1)],
            id="0-100",
        ),
        pytest.param(Scale(0, 1), [0.5, 1.0], [("from 0.5 to below 0.6", 1), ("from 0.9 to 1", 1)], id="0-1"),
        pytest.param(
            Scale(0, 0.5), [0.3, 0.5], [("from 0.3 to below 0.35", 1), ("from 0.45 to 0.5", 1)], id="decimals"
        ),
        pytest.param(Scale(1, 10), [10.0], [("10", 1)], id="1-10"),
    ],
)
def test_the_bins_of_a_scale(scale: Scale, scores: list[float], bins: list[tuple[str, int]]) -> None:
    """A scale of few whole points has a bin for each point; another scale has ten equal bins."""
    found = count_bins(pd.Series(scores), scale)
    assert [(bar.words, bar.count) for bar in found if bar.count] == bins
    assert (found[0].low, found[-1].high) == (scale.low, scale.high)


def test_a_judge_is_summed_up_over_essays() -> None:
    """A judge's scores are those of all essays, by one template and one model."""
    rows = [*one_cell(6.0, 7.0), row(Outcome.SCORED, 8.0, Cell("e_2", "novelty", "judge-a"))]
    assert summarise_judges(rows) == (
        JudgeSummary(
            template_id="novelty",
            model_id="judge-a",
            members=3,
            scored=3,
            mean=7.0,
            sd=1.0,
            lowest=6.0,
            highest=8.0,
            scale=DEFAULT_SCALE,
            bins=count_bins(pd.Series([6.0, 7.0, 8.0]), DEFAULT_SCALE),
        ),
    )


def test_one_score_has_no_deviation() -> None:
    """The deviation of a single score is unknown, which is not 0."""
    (judge,) = summarise_judges(one_cell(7.0))
    assert judge.sd is None


def test_a_judge_without_scores_has_no_mean() -> None:
    """A judge whose replies were all refused has neither a mean of 0 nor a score in any bin."""
    (judge,) = summarise_judges([row(Outcome.UNSCORED)] * 3)
    assert (judge.members, judge.scored, judge.mean, judge.sd, judge.lowest) == (3, 0, None, None, None)
    assert sum(bar.count for bar in judge.bins) == 0


def test_nothing_to_sum_up() -> None:
    """No rows give no cells and no judges."""
    assert (summarise_cells([]), summarise_judges([])) == ((), ())


def test_ids_that_look_like_numbers_stay_text() -> None:
    """An essay called 007 and a model called nan keep their names in the summary."""
    cell = Cell("007", "1e5", "nan")
    (summary,) = summarise_cells([replace(one, outcome=Outcome.REUSED) for one in [row(Outcome.SCORED, 5.0, cell)]])
    assert summary.cell == cell
    assert summarise_judges([row(Outcome.SCORED, 5.0, cell)])[0].model_id == "nan"
