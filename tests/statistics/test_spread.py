"""Tests of spread and ranking against numbers computed by hand and with Python's module `statistics`."""

from __future__ import annotations

import statistics
from dataclasses import replace
from math import sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t as student_t

from essay_cohorts.domain import Cell, ScoreRow
from essay_cohorts.statistics.bootstrap import FEW, ONE_ESSAY, Estimate
from essay_cohorts.statistics.frame import cohort_frame
from essay_cohorts.statistics.spread import (
    NO_NOISE,
    NO_REPLICATES,
    JudgePair,
    ReplicateSpread,
    judge_pairs,
    rank_essays,
    replicate_spreads,
    widest_pairs,
)
from tests.score_rows import score_row, score_rows

PROPERTY = settings(deadline=None, max_examples=60)
# Over the essays that both scored, judge a's means are 7, 4 and 9 and judge b's means are 5, 6 and 8.
ROWS_BY_HAND = score_rows(
    {
        ("e1", "t", "a"): [6.0, 8.0],
        ("e1", "t", "b"): [5.0, None],
        ("e2", "t", "a"): [3.0, 4.0, 5.0],
        ("e2", "t", "b"): [6.0],
        ("e3", "t", "a"): [9.0],
        ("e3", "t", "b"): [8.0],
        ("e4", "t", "a"): [1.0],
        ("e4", "t", "b"): [None],
    }
)
BY_HAND = cohort_frame(ROWS_BY_HAND)
cells = st.builds(Cell, st.sampled_from(["e1", "e2", "e3", "e4"]), st.sampled_from("tu"), st.sampled_from("abc"))
tenths = st.integers(0, 90).map(lambda score: score / 10)
any_rows = st.lists(st.builds(score_row, st.none() | tenths, cells), max_size=40)


def scores_of(rows: list[ScoreRow], cell: Cell) -> list[float]:
    """Return the scores of a cell."""
    return [row.score for row in rows if row.score is not None and row.member.cell == cell]


@given(any_rows)
@PROPERTY
def test_the_widest_pair_begins_with_the_harsher_judge(rows: list[ScoreRow]) -> None:
    """Each template has one pair; none of its pairs is farther apart, and the interval is turned with the judges."""
    pairs = judge_pairs(cohort_frame(rows))
    widest = widest_pairs(pairs)
    assert [pair.template_id for pair in widest] == list(dict.fromkeys(pair.template_id for pair in pairs))
    for pair in widest:
        assert pair.difference.value is not None
        sizes = [abs(each.difference.value or 0) for each in pairs if each.template_id == pair.template_id]
        assert pair.difference.value == max(sizes)
        if pair.difference.low is not None and pair.difference.high is not None:
            assert pair.difference.low <= pair.difference.value <= pair.difference.high
        turned = replace(pair, first=pair.second, second=pair.first, difference=pair.difference.reversed)
        assert pair in pairs or turned in pairs


def test_two_judges_by_hand() -> None:
    """The differences from a to b are -2, 2 and -1; an essay that only one of them scored does not count."""
    (pair,) = judge_pairs(BY_HAND)
    assert (pair.template_id, pair.first, pair.second) == ("t", "a", "b")
    assert (pair.scored, pair.planned, pair.difference.essays) == (10, 12, 3)
    assert pair.difference.value == pytest.approx(-1 / 3)
    assert pair.distance == pytest.approx(5 / 3)
    assert pair.correlation == pytest.approx(39 / sqrt(114 * 42))


def test_the_spread_of_repeats_by_hand() -> None:
    """Judge a's variances 2 (of 2 scores) and 1 (of 3 scores) have the weights 1 and 2; judge b has no replicates."""
    a, b = replicate_spreads(BY_HAND)
    assert a.sd == pytest.approx(sqrt(4 / 3))
    assert replace(a, sd=None) == ReplicateSpread(
        template_id="t",
        model_id="a",
        scored=7,
        planned=7,
        cells=2,
        freedom=3,
        sd=None,
    )
    assert b == ReplicateSpread(template_id="t", model_id="b", scored=3, planned=5, cells=0, freedom=0, sd=None)


def test_a_ranking_by_hand() -> None:
    """An essay's mean is the mean of its judges' means; without replicates the note says why there is no interval."""
    ranked = [
        (one.rank, one.essay_id, one.scored, one.planned, one.judges, one.mean.value)
        for one in rank_essays(BY_HAND, "t")
    ]
    assert ranked == [
        (1, "e3", 2, 2, 2, 8.5),
        (2, "e1", 3, 4, 2, 6.0),
        (3, "e2", 4, 4, 2, 5.0),
        (4, "e4", 1, 2, 1, 1.0),
    ]
    assert [one.mean.note for one in rank_essays(BY_HAND, "t")] == [NO_REPLICATES] * 3 + [FEW]


def test_an_interval_of_a_ranking_by_hand() -> None:
    """The spreads of two judges over all essays give Welch's interval of each essay's mean.

    Judge a's variance is 1/2, from three cells of two scores with the variances 1/2, 0 and 1. Judge b's variance is
    2/3, from 2, 0 and 0. Each has 3 degrees of freedom. The mean of an essay's two means of two scores has the
    variance (1/2 + 2/3) / 2 / 4, and Satterthwaite's degrees of freedom are
    (1/4 + 1/3)^2 / ((1/4)^2 / 3 + (1/3)^2 / 3) = 5.88.
    """
    rows = score_rows(
        {
            ("e1", "t", "a"): [5.0, 6.0],
            ("e1", "t", "b"): [4.0, 6.0],
            ("e2", "t", "a"): [2.0, 2.0],
            ("e2", "t", "b"): [3.0, 3.0],
            ("e3", "t", "a"): [7.0, 7.0 + sqrt(2)],
            ("e3", "t", "b"): [9.0, 9.0],
        }
    )
    best, middle, last = rank_essays(cohort_frame(rows), "t")
    half_width = float(student_t.ppf(0.975, 5.88)) * sqrt((1 / 2 + 2 / 3) / 8)
    assert (middle.mean.value, middle.mean.essays, middle.mean.reliable) == (5.25, 3, False)
    assert (middle.mean.low, middle.mean.high) == pytest.approx((5.25 - half_width, 5.25 + half_width))
    assert last.mean.low == pytest.approx(2.5 - half_width)
    assert best.mean.high == 9.0, "an interval must stay on the scale"


def test_without_noise_there_is_no_interval() -> None:
    """If replicates never differ, their noise is unknown, and the note says so."""
    (one,) = rank_essays(cohort_frame(score_rows({("e1", "t", "a"): [5.0, 5.0, 5.0]})), "t")
    assert (one.mean.value, one.mean.low, one.mean.high, one.mean.note) == (5.0, None, None, NO_NOISE)


def test_templates_are_never_pooled() -> None:
    """Scores with another template do not change a template's figures."""
    other = score_rows({(essay, "u", judge): [0.0, 9.0] for essay in ("e1", "e2", "e3") for judge in "ba"})
    mixed = [row for pair in zip(ROWS_BY_HAND, other, strict=False) for row in pair] + other[len(ROWS_BY_HAND) :]
    assert len(mixed) == len(ROWS_BY_HAND) + len(other)
    both = cohort_frame(mixed)
    assert [pair for pair in judge_pairs(both) if pair.template_id == "t"] == list(judge_pairs(BY_HAND))
    assert [one for one in replicate_spreads(both) if one.template_id == "t"] == list(replicate_spreads(BY_HAND))
    assert rank_essays(both, "t") == rank_essays(BY_HAND, "t")
    assert {one.template_id for one in rank_essays(both, "u")} == {"u"}
    assert len(judge_pairs(both)) == 2


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param([[5.0], [5.0], [5.0]], [[1.0], [2.0], [3.0]], id="one judge gives equal scores"),
        pytest.param([[1.0], [2.0]], [[1.0], [2.0]], id="two essays"),
        pytest.param([[0.0, 0.1, 0.2], [0.1], [0.1]], [[1.0], [2.0], [3.0]], id="equal except for rounding"),
    ],
)
def test_where_there_is_no_correlation(first: list[list[float]], second: list[list[float]]) -> None:
    """With only two essays, or with a judge whose scores are all equal, there is no correlation."""
    rows = score_rows(
        {(f"e{n}", "t", judge): found[n] for judge, found in (("a", first), ("b", second)) for n in range(len(found))}
    )
    (pair,) = judge_pairs(cohort_frame(rows))
    assert (pair.difference.essays, pair.correlation) == (len(first), None)


def test_judges_without_an_essay_in_common_give_no_pair() -> None:
    """Two judges that never scored the same essay give no pair."""
    assert judge_pairs(cohort_frame(score_rows({("e1", "t", "a"): [5.0], ("e2", "t", "b"): [5.0]}))) == ()


def test_ties_share_a_rank() -> None:
    """Essays with the same mean share the better rank, ordered by id, and the next rank is skipped."""
    rows = score_rows(
        {
            ("e3", "t", "a"): [0.1, 0.2, 0.0],
            ("e1", "t", "a"): [0.1],
            ("e2", "t", "a"): [9.0],
            ("e4", "t", "a"): [0.0],
        }
    )
    assert [(one.rank, one.essay_id) for one in rank_essays(cohort_frame(rows), "t")] == [
        (1, "e2"),
        (2, "e1"),
        (2, "e3"),
        (4, "e4"),
    ]


def test_one_essay_has_no_interval() -> None:
    """A difference on one essay has no interval."""
    (pair,) = judge_pairs(cohort_frame(score_rows({("e1", "t", "a"): [5.0], ("e1", "t", "b"): [6.0]})))
    assert pair.difference == Estimate(value=1.0, low=None, high=None, essays=1, reliable=False, note=ONE_ESSAY)


def test_without_rows_there_is_nothing() -> None:
    """Without rows there are no pairs, no spreads and no ranking."""
    frame = cohort_frame([])
    assert (judge_pairs(frame), replicate_spreads(frame), rank_essays(frame, "novelty")) == ((), (), ())


def test_without_scores_there_are_only_planned_counts() -> None:
    """A judge without scores has no spread, and there are no pairs and no ranking."""
    frame = cohort_frame([score_row()] * 3)
    assert (judge_pairs(frame), rank_essays(frame, "novelty")) == ((), ())
    (spread,) = replicate_spreads(frame)
    assert (spread.scored, spread.planned, spread.sd) == (0, 3, None)


def test_an_unknown_template_has_no_ranking() -> None:
    """A template's name is matched exactly, including its case."""
    assert rank_essays(BY_HAND, "T") == ()


@PROPERTY
@given(any_rows)
def test_pairs_are_what_the_statistics_module_gives(rows: list[ScoreRow]) -> None:
    """Each pair of judges appears once per template, with the differences and Pearson's r of plain Python."""
    pairs = judge_pairs(cohort_frame(rows))
    names = [(pair.template_id, frozenset((pair.first, pair.second))) for pair in pairs]
    assert len(set(names)) == len(names)
    expected = 0
    for template in "tu":
        for judges in ("ab", "ac", "bc"):
            means = [
                [statistics.fmean(scores_of(rows, Cell(essay, template, judge))) for judge in judges]
                for essay in ("e1", "e2", "e3", "e4")
                if all(scores_of(rows, Cell(essay, template, judge)) for judge in judges)
            ]
            expected += bool(means)
            if means:
                (pair,) = [
                    one for one in pairs if (one.template_id, {one.first, one.second}) == (template, {*judges})
                ]
                _check_pair(pair, means if pair.first == judges[0] else [[b, a] for a, b in means])
    assert len(pairs) == expected


def _check_pair(pair: JudgePair, means: list[list[float]]) -> None:
    gaps = [b - a for a, b in means]
    assert pair.difference.essays == len(means)
    assert pair.difference.value == pytest.approx(statistics.fmean(gaps), abs=1e-8)
    assert pair.distance == pytest.approx(statistics.fmean(map(abs, gaps)), abs=1e-8)
    first, second = ([round(mean, 6) for mean in column] for column in zip(*means, strict=True))
    if len(means) > 2 and len(set(first)) > 1 and len(set(second)) > 1:
        assert pair.correlation == pytest.approx(statistics.correlation(first, second), abs=1e-4)
    else:
        assert pair.correlation is None


@PROPERTY
@given(any_rows)
def test_spreads_are_what_the_statistics_module_gives(rows: list[ScoreRow]) -> None:
    """Each judge appears once per template, with the pooled standard deviation of its replicates."""
    judges = dict.fromkeys(row.member.cell[1:] for row in rows)
    spreads = replicate_spreads(cohort_frame(rows))
    assert [(one.template_id, one.model_id) for one in spreads] == list(judges)
    for one in spreads:
        groups = [scores_of(rows, Cell(essay, one.template_id, one.model_id)) for essay in ("e1", "e2", "e3", "e4")]
        repeated = [scores for scores in groups if len(scores) > 1]
        squares = sum(statistics.variance(scores) * (len(scores) - 1) for scores in repeated)
        freedom = sum(len(scores) - 1 for scores in repeated)
        assert one.cells == len(repeated)
        assert one.sd == (pytest.approx(sqrt(squares / freedom), abs=1e-6) if repeated else None)


@PROPERTY
@given(any_rows)
def test_a_ranking_is_what_the_statistics_module_gives(rows: list[ScoreRow]) -> None:
    """Each essay with a score appears once; its rank is one more than the number of essays with a better mean."""
    ranking = rank_essays(cohort_frame(rows), "t")
    scored = {row.member.parent_gen_id for row in rows if row.score is not None and row.member.template_id == "t"}
    assert sorted(one.essay_id for one in ranking) == sorted(scored)
    means = {one.essay_id: one.mean.value or 0.0 for one in ranking}
    for one in ranking:
        by_judge = [found for judge in "abc" if (found := scores_of(rows, Cell(one.essay_id, "t", judge)))]
        assert (one.judges, one.scored) == (len(by_judge), sum(map(len, by_judge)))
        assert one.mean.value == pytest.approx(statistics.fmean(map(statistics.fmean, by_judge)), abs=1e-8)
        assert one.rank == 1 + sum(other > means[one.essay_id] for other in means.values())
        if one.mean.low is not None and one.mean.high is not None:
            assert 0 <= one.mean.low <= means[one.essay_id] <= one.mean.high <= 9
        assert one.mean.note
    assert [(one.rank, one.essay_id) for one in ranking] == sorted((one.rank, one.essay_id) for one in ranking)
