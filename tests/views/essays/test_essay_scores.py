"""What the cells of an essay sum up to: coverage, mean, and how far the judges are apart."""

from __future__ import annotations

from dataclasses import replace

import pytest

from essay_cohorts.rubric import Scale
from essay_cohorts.views.coverage import CellCoverage, summarise_cells
from essay_cohorts.views.essays.essay_scores import apart, sum_up_essays
from tests.score_rows import score_rows

FIVE = Scale(1, 5)


def cells(scores: dict[tuple[str, str, str], list[float | None]], scales: dict[str, Scale]) -> list[CellCoverage]:
    rows = score_rows(scores)
    return list(summarise_cells([replace(row, scale=scales.get(row.member.template_id, row.scale)) for row in rows]))


def test_judges_and_templates_count_equally() -> None:
    """The mean is that of the templates' means, in which a judge with more replicates counts no more than another."""
    found = cells({("e", "t", "a"): [2.0, 4.0], ("e", "t", "b"): [9.0], ("e", "u", "a"): [1.0, None]}, {})
    essay = sum_up_essays(found)["e"]
    assert (essay.scored, essay.members) == (4, 5)
    assert essay.mean == pytest.approx(((3 + 9) / 2 + 1) / 2)
    assert essay.position == pytest.approx((essay.mean or 0) / 9)


def test_two_scales_have_no_mean_but_a_place() -> None:
    """Scores from 0 to 9 and from 1 to 5 are not averaged; their places on their scales are."""
    found = cells({("e", "t", "a"): [9.0], ("e", "five", "a"): [3.0]}, {"five": FIVE})
    essay = sum_up_essays(found)["e"]
    assert essay.mean is None
    assert essay.position == pytest.approx((1 + 0.5) / 2)


def test_the_widest_disagreement_counts_by_its_part_of_the_scale() -> None:
    """Two points of five are more than three of ten; the extreme judges are named."""
    scores: dict[tuple[str, str, str], list[float | None]] = {
        ("e", "t", "a"): [3.0],
        ("e", "t", "b"): [6.0],
        ("e", "five", "a"): [5.0],
        ("e", "five", "b"): [3.0],
        ("e", "five", "c"): [4.0],
        ("e", "alone", "a"): [0.0],
    }
    found = sum_up_essays(cells(scores, {"five": FIVE}))["e"].disagreement
    assert found is not None
    assert (found.template_id, found.points) == ("five", 2.0)
    assert (found.lowest_by, found.lowest, found.highest_by, found.highest) == (("b",), 3.0, ("a",), 5.0)
    assert found.is_large


@pytest.mark.parametrize(
    ("means", "points", "large"),
    [
        pytest.param({"a": 5.0, "b": 5.0}, 0.0, False, id="agree"),
        pytest.param({"a": 5.0, "b": 7.24}, 2.24, False, id="just below a quarter"),
        pytest.param({"a": 5.0, "b": 7.25}, 2.25, True, id="a quarter of the scale"),
        pytest.param({"a": 5.0}, None, False, id="one judge"),
        pytest.param({}, None, False, id="no judge"),
    ],
)
def test_a_large_disagreement_is_a_quarter_of_the_scale(
    means: dict[str, float], points: float | None, large: bool
) -> None:
    """Fewer than two judges cannot disagree."""
    found = apart("t", means, Scale())
    assert (found.points if found else None) == points
    assert bool(found and found.is_large) is large


def test_an_essay_without_scores_has_neither_mean_nor_disagreement() -> None:
    """No score is not 0."""
    essay = sum_up_essays(cells({("e", "t", "a"): [None], ("e", "t", "b"): [None]}, {}))["e"]
    assert (essay.scored, essay.mean, essay.position, essay.disagreement) == (0, None, None, None)


def test_judges_that_tie_are_all_named() -> None:
    """Several judges may share the lowest or the highest mean; where all agree, all are both."""
    found = apart("t", {"a": 5.0, "b": 5.0 + 1e-12, "c": 7.0}, Scale())
    assert found is not None
    assert (found.lowest_by, found.highest_by) == (("a", "b"), ("c",))
    agreed = apart("t", {"a": 9.0, "b": 9.0}, Scale())
    assert agreed is not None
    assert (agreed.points, agreed.lowest_by) == (0.0, ("a", "b"))
