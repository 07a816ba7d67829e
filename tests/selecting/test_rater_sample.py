"""Which essays people are asked to rate: of all scores, of all degrees of disagreement, and without a hint."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from essay_cohorts.domain import Cell
from essay_cohorts.rubric import Scale
from essay_cohorts.selecting.rater_sample import Candidate, candidates, choose_for_raters
from tests.score_rows import score_row


def essay(number: int, *, mean: float | None = None, spread: float = 0.0, raters: int = 0) -> Candidate:
    """Return a candidate; by default its mean grows with its number."""
    place = number / 1000 if mean is None else mean
    return Candidate(essay_id=f"e{number:03}", mean=place, spread=spread, raters=raters)


HUNDRED = [essay(number) for number in range(100)]


def numbers(chosen: tuple[str, ...]) -> list[int]:
    """Return the numbers of the essays."""
    return [int(essay_id[1:]) for essay_id in chosen]


def test_every_stratum_of_scores_has_its_share() -> None:
    """Of 100 essays in order of their means, each fifth has a fifth of the sample."""
    chosen = numbers(choose_for_raters(HUNDRED, 30))
    assert Counter(number // 20 for number in chosen) == {0: 6, 1: 6, 2: 6, 3: 6, 4: 6}
    assert len(set(chosen)) == 30
    # Another size takes turns, so that no stratum is behind by more than one.
    odd = Counter(number // 20 for number in numbers(choose_for_raters(HUNDRED, 13)))
    assert max(odd.values()) - min(odd.values()) == 1


def test_a_small_sample_has_a_stratum_for_each_essay() -> None:
    """Three essays are one of each third."""
    assert sorted(number // 34 for number in numbers(choose_for_raters(HUNDRED, 3))) == [0, 1, 2]


def test_agreement_and_disagreement_have_equal_shares() -> None:
    """Half of the sample is of the half of each stratum on which the judges disagree more."""
    found = [essay(number, spread=0.5 if number % 2 else 0.1) for number in range(100)]
    chosen = numbers(choose_for_raters(found, 20))
    assert sum(number % 2 for number in chosen) == 10
    assert Counter(number // 20 for number in chosen) == {0: 4, 1: 4, 2: 4, 3: 4, 4: 4}


def test_essays_that_nobody_has_rated_come_first() -> None:
    """Then those that the fewest have rated."""
    found = [essay(number, raters=number % 3) for number in range(90)]
    assert {number % 3 for number in numbers(choose_for_raters(found, 30))} == {0}
    more = Counter(number % 3 for number in numbers(choose_for_raters(found, 40)))
    assert more == {0: 30, 1: 10}
    assert len(choose_for_raters(found, 500)) == 90


def test_the_order_says_nothing_about_the_scores() -> None:
    """Neither the place in the sheet nor the draw depends on the score within a stratum."""
    chosen = numbers(choose_for_raters(HUNDRED, 100))
    assert sorted(chosen) == list(range(100))
    assert abs(float(spearmanr(chosen, range(100)).statistic)) < 0.3
    assert chosen == numbers(choose_for_raters([*reversed(HUNDRED)], 100))


def test_the_same_store_gives_the_same_sample() -> None:
    """The order in which essays are read does not matter."""
    shuffled = [*HUNDRED]
    random.Random(1).shuffle(shuffled)  # noqa: S311  (not a secret)
    assert choose_for_raters(shuffled, 17) == choose_for_raters(HUNDRED, 17)


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(st.sampled_from([0.1, 0.2, 0.9]), st.sampled_from([0.0, 0.3]), st.integers(0, 2)), max_size=30
    ),
    st.integers(1, 40),
)
def test_any_sample_is_as_large_as_it_can_be(drawn: list[tuple[float, float, int]], size: int) -> None:
    """Essays are drawn once, and nobody rates again while an essay with fewer raters is left."""
    found = [essay(number, mean=m, spread=s, raters=r) for number, (m, s, r) in enumerate(drawn)]
    chosen = choose_for_raters(found, size)
    assert len(chosen) == len(set(chosen)) == min(size, len(found))
    taken = [each.raters for each in found if each.essay_id in chosen]
    left = [each.raters for each in found if each.essay_id not in chosen]
    assert not taken or not left or max(taken) <= min(left)


def test_candidates_are_what_judges_have_scored() -> None:
    """Judges count equally, spread is between the judges' means, and people only count as raters."""
    rows = [
        score_row(3.0, Cell("e1", "t", "a"), gen_id="1"),
        score_row(5.0, Cell("e1", "t", "a"), gen_id="2"),
        score_row(2.0, Cell("e1", "t", "b"), gen_id="3"),
        score_row(9.0, Cell("e1", "u", "b"), gen_id="4"),
        score_row(9.0, Cell("e1", "t", "human-x"), gen_id="5"),
        score_row(1.0, Cell("e1", "t", "human-y"), gen_id="6"),
        score_row(None, Cell("e2", "t", "a"), gen_id="7"),
        score_row(9.0, Cell("e3", "t", "human-x"), gen_id="8"),
    ]
    on_five = [replace(row, scale=Scale(1, 9)) for row in rows]
    assert candidates(on_five, "t") == (Candidate(essay_id="e1", mean=0.25, spread=0.25, raters=2),)
    assert candidates(rows, "v") == ()


@pytest.mark.parametrize("size", [1, 2, 4])
def test_few_essays(size: int) -> None:
    """A sample of fewer essays than strata works."""
    assert len(choose_for_raters([essay(1), essay(2), essay(3)], size)) == min(size, 3)
