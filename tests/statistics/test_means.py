"""Tests of means by template and judge: essays have equal weight, and templates are never pooled."""

from __future__ import annotations

import pytest

from essay_cohorts.domain import ScoreRow
from essay_cohorts.rubric import DEFAULT_SCALE
from essay_cohorts.statistics.all_statistics import statistics_of
from essay_cohorts.statistics.bootstrap import NO_ESSAY
from essay_cohorts.statistics.frame import cohort_frame, store_frame
from essay_cohorts.statistics.means import score_means
from tests.score_rows import score_rows

ROWS = score_rows(
    {
        ("e1", "t", "a"): [6.0, 8.0],
        ("e1", "t", "b"): [1.0, None],
        ("e2", "t", "a"): [2.0, 2.0, 2.0, 2.0],
        ("e1", "u", "a"): [9.0],
        ("e2", "u", "c"): [None, None],
    }
)


def test_each_essay_and_each_judge_counts_the_same() -> None:
    """Essay 1 is (7 + 1) / 2 and essay 2 is 2, however often each was judged, so the mean of t is 3."""
    found = {(one.template_id, one.model_id): one for one in score_means(cohort_frame(ROWS))}
    assert [*found] == [("t", None), ("t", "a"), ("t", "b"), ("u", None), ("u", "a"), ("u", "c")]
    figures = {key: (one.mean.value, one.mean.essays, one.scored, one.planned) for key, one in found.items()}
    assert figures == {
        ("t", None): (3.0, 2, 7, 8),
        ("t", "a"): (4.5, 2, 6, 6),
        ("t", "b"): (1.0, 1, 1, 2),
        ("u", None): (9.0, 1, 1, 3),
        ("u", "a"): (9.0, 1, 1, 1),
        ("u", "c"): (None, 0, 0, 2),
    }
    assert found["u", "c"].mean.note == NO_ESSAY


def test_the_scores_of_an_essay_are_drawn_together() -> None:
    """More replicates with the same scores do not narrow an interval, because whole essays are resampled."""
    few = {(f"e{n}", "t", "a"): [float(n % 7)] for n in range(40)}
    many = {cell: scores * 9 for cell, scores in few.items()}
    (first, _), (second, _) = (score_means(cohort_frame(score_rows(each))) for each in (few, many))
    assert first.mean.low is not None
    assert first.mean == second.mean


def test_another_template_changes_nothing() -> None:
    """The figures of a template do not depend on the scores of another template."""
    alone = [row for row in ROWS if row.member.template_id == "t"]
    whole, part = (statistics_of(cohort_frame(rows)) for rows in (ROWS, alone))
    for name in ("means", "agreement", "pairs", "replicates", "ranking"):
        assert [one for one in getattr(whole, name) if one.template_id == "t"] == list(getattr(part, name)), name


def test_the_store_s_evaluations_are_ordered_and_an_unknown_cell_is_left_out() -> None:
    """A damaged row without a cell is left out; the others are ordered by essay, template and model."""
    rows = [(("e2", "t", "a"), 5.0), (("", "", ""), None), (("e1", "t", "b"), None)]
    frame = store_frame([(cell, score, DEFAULT_SCALE) for cell, score in rows])
    assert list(frame["essay"]) == ["e1", "e2"]
    assert frame["score"].isna().tolist() == [True, False]


@pytest.mark.parametrize("rows", [pytest.param([], id="no rows"), pytest.param(ROWS[8:10], id="two rows")])
def test_figures_of_few_rows_give_no_warning(rows: list[ScoreRow]) -> None:
    """Statistics of no rows or of two rows contain no NaN and raise no warning."""
    figures = statistics_of(cohort_frame(rows)).to_json()
    assert "nan" not in str(figures).lower()
    assert figures["method"] == {"confidence": 0.95, "resamples": 2_000, "seed": 20_260_101, "fewest_essays": 20}
