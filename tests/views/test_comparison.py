"""Two cohorts compared: each member is in exactly one group, and a swap changes only the signs."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from essay_cohorts.domain import Cell, ScoreRow
from essay_cohorts.views.comparison import CellDifference, Comparison, EssayDifference, compare
from essay_cohorts.views.coverage import summarise_cells
from tests.score_rows import score_row, score_rows

PROPERTY = settings(deadline=None, max_examples=100)
E1A, E1B, E2A = Cell("e1", "t", "a"), Cell("e1", "t", "b"), Cell("e2", "t", "a")


def rows_of(scores: dict[int, float | None]) -> list[ScoreRow]:
    """Return one row per id; the id determines the cell, so that both cohorts agree on it."""
    return [
        score_row(score, Cell(f"e{number % 3}", "tu"[number % 2], "ab"[number // 6]), gen_id=f"v_{number}")
        for number, score in scores.items()
    ]


cohorts = st.dictionaries(st.integers(0, 11), st.none() | st.floats(0, 9)).map(rows_of)


def test_two_cohorts_by_hand() -> None:
    """The comparison has members, cells and essays of two small cohorts, the largest difference first."""
    first = [score_row(4.0, E1A, gen_id="v_1"), score_row(6.0, E1A, gen_id="v_2"), score_row(3.0, E1B, gen_id="v_3")]
    second = [
        score_row(4.0, E1A, gen_id="v_1"),
        score_row(7.0, E1A, gen_id="v_4"),
        score_row(1.0, E1B, gen_id="v_5"),
        score_row(9.0, E2A, gen_id="v_6"),
    ]
    found = compare(first, second)
    assert (found.joined, found.left, found.both) == (("v_4", "v_5", "v_6"), ("v_2", "v_3"), ("v_1",))
    (a1, b1), (a2, b2, _) = summarise_cells(first), summarise_cells(second)
    assert found.cells == (
        CellDifference(cell=E1B, first=b1, second=b2, shared=0, difference=-2.0),
        CellDifference(cell=E1A, first=a1, second=a2, shared=1, difference=0.5),
    )
    assert found.essays == (
        EssayDifference(essay_id="e1", template_id="t", cells=2, difference=-0.75, part_of_scale=0.75 / 9),
    )
    assert (found.only_first, found.only_second) == (0, 1)


def test_templates_stay_apart() -> None:
    """An essay under two templates has two differences."""
    first = score_rows({("e1", "t", "a"): [5.0], ("e1", "u", "a"): [5.0]})
    second = score_rows({("e1", "t", "a"): [6.0], ("e1", "u", "a"): [2.0]})
    assert [(one.template_id, one.difference) for one in compare(first, second).essays] == [("u", -3.0), ("t", 1.0)]


@pytest.mark.parametrize(
    ("first", "second", "only"),
    [
        pytest.param([5.0], [None], (1, 0), id="only the first has a score"),
        pytest.param([None], [5.0], (0, 1), id="only the second has one"),
        pytest.param([None], [None], (0, 0), id="neither has one"),
    ],
)
def test_a_cell_without_scores_has_no_difference(
    first: list[float | None], second: list[float | None], only: tuple[int, int]
) -> None:
    """A cell that one cohort did not score is not 0: it is counted, not compared."""
    found = compare(score_rows({E1A: first}), score_rows({E1A: second}))
    assert (found.cells, found.essays, (found.only_first, found.only_second)) == ((), (), only)
    assert len(found.both) == 1


def test_a_score_that_came_later_is_not_shared() -> None:
    """The same evaluation counts as shared if it has a score in both cohorts."""
    before = [score_row(5.0, E1A, gen_id="v_1"), score_row(None, E1A, gen_id="v_2")]
    after = [score_row(5.0, E1A, gen_id="v_1"), score_row(6.0, E1A, gen_id="v_2")]
    for first, second in ((before, after), (after, before)):
        assert [cell.shared for cell in compare(first, second).cells] == [1]


@PROPERTY
@given(cohorts, cohorts)
def test_members_are_in_one_group_each(first: list[ScoreRow], second: list[ScoreRow]) -> None:
    """The groups are disjoint; left and both make the first cohort, joined and both the second."""
    found = compare(first, second)
    first_ids, second_ids = ([row.member.gen_id for row in rows] for rows in (first, second))
    assert sorted([*found.joined, *found.left, *found.both]) == sorted({*first_ids, *second_ids})
    assert list(found.both) == [gen_id for gen_id in first_ids if gen_id in second_ids]
    assert list(found.left) == [gen_id for gen_id in first_ids if gen_id not in second_ids]
    assert list(found.joined) == [gen_id for gen_id in second_ids if gen_id not in first_ids]


@PROPERTY
@given(cohorts, cohorts)
def test_every_scored_cell_is_accounted_for(first: list[ScoreRow], second: list[ScoreRow]) -> None:
    """Common cells and cells of one cohort add up; shared scores are at most the scores of each cohort."""
    found = compare(first, second)
    for rows, only in ((first, found.only_first), (second, found.only_second)):
        assert len(found.cells) + only == sum(each.scored > 0 for each in summarise_cells(rows))
    for cell in found.cells:
        assert cell.shared <= min(cell.first.scored, cell.second.scored)
    assert sum(essay.cells for essay in found.essays) == len(found.cells)
    for differences in ([one.difference for one in found.cells], [one.difference for one in found.essays]):
        assert [abs(one) for one in differences] == sorted(map(abs, differences), reverse=True)


@PROPERTY
@given(cohorts, cohorts)
def test_a_swap_turns_the_signs(first: list[ScoreRow], second: list[ScoreRow]) -> None:
    """After a swap, members that joined have left, and each difference has the other sign."""
    forward, backward = compare(first, second), compare(second, first)
    assert (forward.joined, forward.left, set(forward.both)) == (backward.left, backward.joined, set(backward.both))
    assert (forward.only_first, forward.only_second) == (backward.only_second, backward.only_first)
    assert by_cell(forward) == {cell: (-gap, shared) for cell, (gap, shared) in by_cell(backward).items()}
    for key, gap in by_essay(forward).items():
        assert gap == pytest.approx(-by_essay(backward)[key], abs=1e-9)
    assert by_essay(forward).keys() == by_essay(backward).keys()


@PROPERTY
@given(cohorts)
def test_a_cohort_does_not_differ_from_itself(rows: list[ScoreRow]) -> None:
    """No member joined or left, all scores are shared, and every difference is 0."""
    found = compare(rows, rows)
    assert (found.joined, found.left, found.only_first, found.only_second) == ((), (), 0, 0)
    assert [(one.difference, one.shared) for one in found.cells] == [(0.0, one.first.scored) for one in found.cells]


def by_cell(found: Comparison) -> dict[Cell, tuple[float, int]]:
    """Return the difference and the shared scores of each cell."""
    return {one.cell: (one.difference, one.shared) for one in found.cells}


def by_essay(found: Comparison) -> dict[tuple[str, str], float]:
    """Return the difference of each essay under each template."""
    return {(one.essay_id, one.template_id): one.difference for one in found.essays}
