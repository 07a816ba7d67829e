"""The comparison of new scores with former ones, and the sentence about it."""

from __future__ import annotations

import pytest

from essay_cohorts.statistics.bootstrap import FEW, NO_SPREAD, ONE_ESSAY, Estimate
from essay_cohorts.statistics.differences import NOTHING_SHARED
from essay_cohorts.statistics.drift import Drift, find_drift
from essay_cohorts.statistics.frame import cohort_frame
from tests.score_rows import score_rows


def drift_of(former: dict[str, list[float]], new: dict[str, list[float | None]]) -> Drift:
    """Return the drift of judge-a under one template, from the scores by essay."""
    sides = [
        cohort_frame(score_rows({(essay, "novelty", "judge-a"): scores for essay, scores in side.items()}))
        for side in (former, new)
    ]
    [found] = find_drift(*sides)
    return found


def test_essays_are_paired() -> None:
    """The difference is new minus former over the essays that have both; a missing score counts in no figure."""
    former = {f"e_{number}": [float(number % 5), float(number % 5) + 2] for number in range(25)}
    new: dict[str, list[float | None]] = {f"e_{n}": [n % 5 + 1.5 + n % 2] for n in range(24)}
    found = drift_of(former, {**new, "e_24": [None]})
    assert (found.former_scores, found.new_scored, found.new_planned) == (50, 24, 25)
    assert found.difference.essays == 24
    assert found.difference.value == pytest.approx(1.0)
    assert found.difference.low is not None
    assert 0.5 < found.difference.low < 1.0
    assert found.distance == pytest.approx(1.0)
    assert found.correlation == pytest.approx(0.94, abs=0.02)


def test_nothing_to_pair_is_said() -> None:
    """Without an essay that has both scores there is no figure."""
    found = drift_of({"e_1": [5.0]}, {"e_1": [None], "e_2": [6.0]})
    assert (found.difference.value, found.difference.note) == (None, NOTHING_SHARED)
    assert (found.distance, found.correlation) == (None, None)
    assert drift_of({}, {"e_2": [6.0]}).difference.note == NOTHING_SHARED


@pytest.mark.parametrize(
    ("estimate", "sentence"),
    [
        pytest.param(
            (0.1, -0.2, 0.4, 30, True, ""), "no drift seen: the interval from -0.20 to 0.40 includes 0", id="0"
        ),
        pytest.param(
            (0.1, 0.0, 0.4, 30, True, ""), "no drift seen: the interval from 0.00 to 0.40 includes 0", id="end"
        ),
        pytest.param(
            (0.4, 0.1, 0.7, 30, True, ""),
            "judge-a scores 0.40 higher than in the former replies (0.10 to 0.70)",
            id="higher",
        ),
        pytest.param(
            (-0.4, -0.7, -0.1, 9, False, FEW),
            f"judge-a scores 0.40 lower than in the former replies (-0.70 to -0.10); {FEW}",
            id="lower, few essays",
        ),
        pytest.param(
            (0.0, None, None, 30, False, NO_SPREAD),
            "no drift seen: each essay has the same score as before",
            id="same",
        ),
        pytest.param(
            (1.0, None, None, 30, False, NO_SPREAD),
            "judge-a scores each essay 1.00 higher than in the former replies",
            id="each by the same",
        ),
        pytest.param((1.0, None, None, 1, False, ONE_ESSAY), f"no statement: {ONE_ESSAY}", id="one essay"),
        pytest.param((None, None, None, 0, False, NOTHING_SHARED), f"no statement: {NOTHING_SHARED}", id="nothing"),
    ],
)
def test_the_verdict_is_one_sentence(
    estimate: tuple[float | None, float | None, float | None, int, bool, str], sentence: str
) -> None:
    """The sentence names the interval; drift is said only if the interval does not hold 0."""
    value, low, high, essays, reliable, note = estimate
    found = Estimate(value=value, low=low, high=high, essays=essays, reliable=reliable, note=note)
    drift = Drift(
        template_id="novelty",
        former_scores=1,
        new_scored=1,
        new_planned=1,
        difference=found,
        distance=None,
        correlation=None,
    )
    assert drift.verdict("judge-a") == sentence
