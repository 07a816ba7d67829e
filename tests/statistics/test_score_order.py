"""Tests that the order of the rows changes only the order of the figures."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import example, given, settings
from hypothesis import strategies as st

from essay_cohorts.statistics.all_statistics import statistics_of
from essay_cohorts.statistics.differences import between_cohorts, between_models, between_templates
from essay_cohorts.statistics.frame import cohort_frame
from essay_cohorts.statistics.spread import judge_pairs
from tests.score_rows import score_rows

# Scores are tenths, because floating-point sums of tenths depend on the order of the addition.
scores = st.integers(0, 90).map(lambda score: score / 10)
cells = st.tuples(
    st.sampled_from([f"e{number}" for number in range(12)]), st.sampled_from("tu"), st.sampled_from("abc")
)
tables = st.dictionaries(cells, st.lists(st.none() | scores, min_size=1, max_size=4), min_size=1, max_size=40)
seeds = st.integers(0, 2**32 - 1)
PROPERTY = settings(deadline=None, max_examples=25)


def shuffled(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return the same rows in another order."""
    return frame.sample(frac=1, random_state=np.random.default_rng(seed), ignore_index=True)


def in_any_order(found: dict[str, Any]) -> dict[str, list[str]]:
    """Return each list of figures with its rows as JSON, sorted."""
    return {
        name: sorted(json.dumps(row, allow_nan=False) for row in rows)
        for name, rows in found.items()
        if name != "method"
    }


def judged_by_three() -> pd.DataFrame:
    """Return rows of forty essays, three judges and three replicates, which are enough for every interval."""
    draw = np.random.default_rng(7)
    cells = [(f"e{number}", "t", judge) for number in range(40) for judge in "cab"]
    return cohort_frame(score_rows({cell: [float(each) for each in draw.integers(0, 91, 3) / 10] for cell in cells}))


# Here pandas gives another sum of the second essay when a row of the first essay is between its rows.
INTERLEAVED: dict[tuple[str, str, str], list[float | None]] = {
    ("e0", "u", "c"): [1.2, 1.0],
    ("e1", "u", "c"): [1.2, 3.7, 9.0],
}


@PROPERTY
@given(tables, seeds)
@example(INTERLEAVED, 0)
@example(INTERLEAVED, 1)
@example(INTERLEAVED, 2)
def test_shuffled_rows_have_the_same_statistics(
    table: dict[tuple[str, str, str], list[float | None]], seed: int
) -> None:
    """Rows in another order give the same figures to the last digit."""
    frame = cohort_frame(score_rows(table))
    original, reordered = (statistics_of(each).to_json() for each in (frame, shuffled(frame, seed)))
    assert in_any_order(original) == in_any_order(reordered)


@PROPERTY
@given(tables, tables, seeds)
def test_shuffled_rows_have_the_same_differences(
    first: dict[tuple[str, str, str], list[float | None]],
    second: dict[tuple[str, str, str], list[float | None]],
    seed: int,
) -> None:
    """Rows in another order give the same differences of cohorts, templates and judges to the last digit."""
    frames = cohort_frame(score_rows(first)), cohort_frame(score_rows(second))

    def differences(one: pd.DataFrame, other: pd.DataFrame) -> dict[str, list[str]]:
        found = {
            "cohorts": between_cohorts("x", "y", one, other),
            "templates": between_templates("t", "u", one),
            "models": between_models("a", "b", one),
        }
        return in_any_order({name: [asdict(row) for row in rows] for name, rows in found.items()})

    mixed = (shuffled(each, seed) for each in frames)
    assert differences(*frames) == differences(*mixed)


def test_intervals_of_many_essays_are_the_same_in_whatever_order() -> None:
    """Rows in reverse order give the same intervals to the last digit."""
    frame = judged_by_three()
    original, reordered = (statistics_of(each).to_json() for each in (frame, frame.iloc[::-1].reset_index(drop=True)))
    assert all(row["alpha"]["low"] is not None for row in original["agreement"])
    assert in_any_order(original) == in_any_order(reordered)


def test_figures_are_in_the_order_of_the_rows() -> None:
    """Judges are in the order of the rows; in a pair of judges the alphabetically first id is first."""
    frame = judged_by_three()
    found = statistics_of(frame)
    assert [one.model_id for one in found.means] == [None, "c", "a", "b"]
    assert [one.model_id for one in found.replicates] == ["c", "a", "b"]
    assert [(one.first, one.second) for one in judge_pairs(frame)] == [("a", "c"), ("b", "c"), ("a", "b")]
