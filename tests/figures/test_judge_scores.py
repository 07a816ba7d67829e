"""The scores of each judge: mean, spread, and how often each score was given."""

import statistics

import pandas as pd
import pytest
from hypothesis import given

from essay_cohorts.domain import Cell, Outcome, ScoreRow
from essay_cohorts.figures.judge_scores import JudgeSummary, count_bins, summarise_judges
from essay_cohorts.rubric import DEFAULT_SCALE, Scale
from tests.backfill.test_summaries import PROPERTY, one_cell, row, rows_of_any_kind


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
    """No rows give no judges."""
    assert summarise_judges([]) == ()


def test_a_model_called_nan_keeps_its_name() -> None:
    """A name that looks like a number stays text."""
    assert summarise_judges([row(Outcome.SCORED, 5.0, Cell("007", "1e5", "nan"))])[0].model_id == "nan"
