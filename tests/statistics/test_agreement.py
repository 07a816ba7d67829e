"""Tests of Krippendorff's alpha: published values, a published package, and scores without an alpha."""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict
from fractions import Fraction

import krippendorff
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from essay_cohorts.statistics.agreement import NO_TWO_JUDGES, NO_TWO_REPLICATES, agreements, estimate_alpha
from essay_cohorts.statistics.bootstrap import ONE_ESSAY
from essay_cohorts.statistics.frame import cohort_frame
from tests.judged_essays import Population
from tests.score_rows import score_rows

N = None
# From Krippendorff, Computing Krippendorff's Alpha-Reliability (2011): four observers, twelve units.
PUBLISHED_2011 = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, N, N, N],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, N, 3],
    [N, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, N],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, N],
]
# From the article on Krippendorff's alpha in Wikipedia: three coders, fifteen units.
PUBLISHED_THREE_CODERS = [
    [N, N, N, N, N, 3, 4, 1, 2, 1, 1, 3, 3, N, 3],
    [1, N, 2, 1, 3, 3, 4, 3, N, N, N, N, N, N, N],
    [N, N, 2, 1, 3, 4, 4, N, 2, 1, 1, 3, 3, N, 4],
]
tenths = st.integers(0, 90).map(lambda score: score / 10)
matrices = st.integers(1, 4).flatmap(
    lambda judges: st.lists(st.lists(st.none() | tenths, min_size=judges, max_size=judges), min_size=1, max_size=8)
)
# Two judges give nearly all essays the same scores, which is the hardest case for resampling.
hardly_differing = st.lists(
    st.tuples(st.integers(0, 9), st.sampled_from([0, 0, 0, 0, 1, -1, 9])), min_size=20, max_size=40
).map(lambda pairs: [[float(a) for a, _ in pairs], [float(min(max(a + gap, 0), 9)) for a, gap in pairs]])
# Of 40 essays, the second judge scores three by 1 higher than the first judge, and one by 8.
FIRST_OF_TWO = [float(number % 7 + 1) for number in range(40)]
FOUR_DIFFER = [FIRST_OF_TWO, [score + {1: 1, 9: 1, 17: 1, 7: 8}.get(n, 0) for n, score in enumerate(FIRST_OF_TWO)]]


def table_of(matrix: list[list[float | None]]) -> pd.DataFrame:
    """Return a row for each value of a matrix of judges by essays."""
    found = [(f"e{number}", value) for row in matrix for number, value in enumerate(row) if value is not None]
    return pd.DataFrame(found, columns=["essay", "score"]).astype({"score": float})


@pytest.mark.parametrize(
    ("matrix", "published", "exact"),
    [
        pytest.param(PUBLISHED_2011, 0.849, Fraction(951, 1120), id="Krippendorff 2011"),
        pytest.param(PUBLISHED_THREE_CODERS, 0.811, Fraction(643, 793), id="three coders"),
    ],
)
def test_published_values(matrix: list[list[float | None]], published: float, exact: Fraction) -> None:
    """Alpha equals the published value to three decimals, and the exact value of the formula to 1e-9."""
    found = estimate_alpha(table_of(matrix)).value
    assert found == pytest.approx(published, abs=5e-4)
    assert found == pytest.approx(float(exact), abs=1e-9)


@settings(deadline=None, max_examples=200)
@given(matrices)
def test_alpha_equals_that_of_the_published_package(matrix: list[list[float | None]]) -> None:
    """For any scores with gaps, alpha equals the value of the package `krippendorff`."""
    found = estimate_alpha(table_of(matrix))
    by_essay = [[score for score in column if score is not None] for column in zip(*matrix, strict=True)]
    paired = [score for column in by_essay if len(column) > 1 for score in column]
    if len(set(paired)) < 2:
        assert (found.value, found.low) == (None, None)
        assert found.note
        return
    data = np.array([[np.nan if score is None else score for score in row] for row in matrix])
    assert found.value == pytest.approx(krippendorff.alpha(data, level_of_measurement="interval"), abs=1e-9)


def test_agreement_of_judges_and_of_replicates() -> None:
    """Judges are compared by their means per essay, replicates by the scores of one judge; both have counts."""
    rows = score_rows(
        {
            ("e1", "t", "a"): [6.0, 8.0],
            ("e1", "t", "b"): [5.0, None],
            ("e2", "t", "a"): [3.0, 4.0],
            ("e2", "t", "b"): [6.0],
            ("e3", "t", "a"): [9.0, 9.0],
            ("e1", "u", "a"): [1.0, 1.0],
        }
    )
    judges, a, b, other, its_only = agreements(cohort_frame(rows))
    means, repeats = [[7.0, 3.5], [5.0, 6.0]], [[6.0, 3.0, 9.0], [8.0, 4.0, 9.0]]
    for found, data in ((judges, means), (a, repeats)):
        assert found.alpha.value == pytest.approx(krippendorff.alpha(data, level_of_measurement="interval"), abs=1e-9)
    assert (judges.template_id, judges.model_id, judges.judges, judges.scored, judges.planned) == ("t", None, 2, 8, 9)
    assert (a.model_id, a.scored, a.planned, a.alpha.essays) == ("a", 6, 6, 3)
    assert (b.scored, b.planned, b.alpha.value, b.alpha.note) == (2, 3, None, NO_TWO_REPLICATES)
    assert (other.template_id, other.alpha.value, other.alpha.note) == ("u", None, NO_TWO_JUDGES)
    assert (its_only.alpha.value, its_only.alpha.note) == (None, "all scores are the same")


@pytest.mark.parametrize(
    ("matrix", "value", "note"),
    [
        pytest.param([[1.0, 2.0, 3.0]], None, "needs two scores of the same essay", id="one judge"),
        pytest.param([[1.0], [2.0]], 0.0, ONE_ESSAY, id="one essay"),
        pytest.param([[5.0] * 30] * 2, None, "all scores are the same", id="no variance"),
        pytest.param([[1.0, 2.0, 3.0]] * 2, 1.0, "all agree on every essay", id="full agreement"),
        pytest.param([[1.0, 2.0, 3.0], [1.0, 3.0, 3.0]], 24 / 29, "too few essays", id="three essays"),
        pytest.param(
            [[5.0] * 29 + [1.0], [5.0] * 29 + [2.0]], 1392 / 1451, "too few essays differ", id="one essay differs"
        ),
        pytest.param(FOUR_DIFFER, 0.795154611, "too few essays differ", id="four essays differ, one by far"),
        pytest.param(
            [[5.0, 3.0, 1.0, 8.0, 8.0, 8.0], [5.0, 3.0, 1.0, 8.0, 8.0, 0.0], [5.0, 3.0, 1.0, 8.0, 8.0, 4.0]],
            0.694725028,
            "too few essays",
            id="an end that is not finite",
        ),
    ],
)
def test_where_alpha_has_no_interval(matrix: list[list[float]], value: float | None, note: str) -> None:
    """If alpha or its interval is not defined, it is None with a note; nothing is NaN and nothing warns."""
    with warnings.catch_warnings(action="error"):
        found = estimate_alpha(table_of([list(row) for row in matrix]))
    assert found.value == (None if value is None else pytest.approx(value))
    assert (found.low, found.high, found.reliable, found.note) == (None, None, False, note)


@settings(deadline=None, max_examples=150)
@given(st.one_of(matrices, hardly_differing))
def test_any_alpha_is_strict_json_and_within_its_range(matrix: list[list[float | None]]) -> None:
    """For any scores, alpha and its interval are None or in order within -1 and 1, strict JSON, without a warning."""
    with warnings.catch_warnings(action="error"):
        found = estimate_alpha(table_of(matrix))
    json.dumps(asdict(found), allow_nan=False)
    assert all(-1 <= each <= 1 for each in (found.value, found.low, found.high) if each is not None)
    assert (found.low is None) == (found.high is None)
    assert found.low is None or found.high is None or found.low <= found.high
    assert found.note or found.reliable


def _judge_means(scores: NDArray[np.float64]) -> pd.DataFrame:
    """Return the judges' means of each essay as a table."""
    means = scores.mean(axis=2)
    essays = np.repeat(np.arange(len(means)), means.shape[1])
    return pd.DataFrame({"essay": essays, "score": means.ravel()})


@pytest.mark.slow
def test_an_interval_of_alpha_holds_the_truth() -> None:
    """Of 1,000 simulations of 30 essays with symmetric scores, 93 to 97 % contain the true alpha."""
    population, draw = Population(skewed=False), np.random.default_rng(20_260_102)
    truth = estimate_alpha(_judge_means(population.large_sample()[:100_000])).value
    assert truth is not None
    covered = 0
    for _ in range(1_000):
        found = estimate_alpha(_judge_means(population.scores(30, draw)))
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= truth <= found.high
    assert 930 <= covered <= 970
