"""The list of essays: search, groups, orders and pages lose no essay, and unknown values come last."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from essay_cohorts.views.coverage import summarise_cells
from essay_cohorts.views.essays.essay_list import ListedEssay
from essay_cohorts.views.essays.essay_scores import sum_up_essays
from essay_cohorts.views.essays.essay_table import (
    ESSAYS_PER_PAGE,
    EssayQuery,
    EssayRow,
    EssaySort,
    essay_table,
    rows_of_cohort,
    rows_of_root,
)
from tests.score_rows import score_rows


def listed(essay_id: str, title: str = "", words: int = 100, group: str = "", scored: int = 0) -> ListedEssay:
    return ListedEssay(
        essay_id=essay_id, title=title, words=words, group=group, scored=scored, evaluations=4, ratings=0
    )


ESSAYS = [
    listed("e_1", "Tides", 300, "people", 4),
    listed("e_2", "ledgers", 100, "models", 1),
    listed("e_3", "", 200, "", 0),
]


def ids(query: EssayQuery, rows: list[EssayRow] | None = None) -> list[str]:
    return [row.essay.essay_id for row in essay_table(rows or rows_of_root(ESSAYS), query).rows]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        pytest.param(EssayQuery(), ["e_3", "e_2", "e_1"], id="by title, or id without one"),
        pytest.param(EssayQuery(sort=EssaySort.WORDS), ["e_2", "e_3", "e_1"], id="words"),
        pytest.param(EssayQuery(sort=EssaySort.WORDS, descending=True), ["e_1", "e_3", "e_2"], id="most words"),
        pytest.param(EssayQuery(sort=EssaySort.GROUP), ["e_2", "e_1", "e_3"], id="no group comes last"),
        pytest.param(EssayQuery(sort=EssaySort.GROUP, descending=True), ["e_1", "e_2", "e_3"], id="also descending"),
        pytest.param(EssayQuery(sort=EssaySort.COVERAGE, descending=True), ["e_1", "e_2", "e_3"], id="coverage"),
        pytest.param(EssayQuery(text=" TIDE"), ["e_1"], id="search by title"),
        pytest.param(EssayQuery(text="e_3"), ["e_3"], id="search by id"),
        pytest.param(EssayQuery(group="models"), ["e_2"], id="group"),
        pytest.param(EssayQuery(text="x"), [], id="nothing"),
    ],
)
def test_searches_and_orders(query: EssayQuery, found: list[str]) -> None:
    """Text is searched in title and id without case; rows without a value come last."""
    assert ids(query) == found


def test_a_cohort_s_essays_have_means_and_disagreements() -> None:
    """Orders by mean and by disagreement; an essay that was deleted keeps its scores."""
    scores = score_rows(
        {
            ("e_1", "t", "a"): [5.0],
            ("e_1", "t", "b"): [6.0],
            ("e_2", "t", "a"): [2.0],
            ("e_2", "t", "b"): [8.0],
            ("e_gone", "t", "a"): [9.0],
            ("e_3", "t", "a"): [None],
        }
    )
    rows = rows_of_cohort({each.essay_id: each for each in ESSAYS}, sum_up_essays(summarise_cells(scores)))
    assert ids(EssayQuery(sort=EssaySort.MEAN, descending=True), rows) == ["e_gone", "e_1", "e_2", "e_3"]
    assert ids(EssayQuery(sort=EssaySort.DISAGREEMENT, descending=True), rows) == ["e_2", "e_1", "e_gone", "e_3"]
    assert [(row.scored, row.planned) for row in rows] == [(2, 2), (2, 2), (1, 1), (0, 1)]


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 130), st.sampled_from(EssaySort), st.booleans())
def test_pages_lose_no_essay(essays: int, sort: EssaySort, descending: bool) -> None:
    """All pages together have each essay once."""
    rows = rows_of_root(listed(f"e_{number}", words=number % 7, group="g" * (number % 3)) for number in range(essays))
    query = EssayQuery(sort=sort, descending=descending)
    pages = essay_table(rows, query).pages
    shown = [
        row.essay.essay_id
        for page in range(1, pages + 1)
        for row in essay_table(rows, EssayQuery(sort=sort, descending=descending, page=page)).rows
    ]
    assert sorted(shown) == sorted(row.essay.essay_id for row in rows)
    assert pages == max(1, -(-essays // ESSAYS_PER_PAGE))
