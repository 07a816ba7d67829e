"""Tests of the agreement of judges with people: which scores are compared, and that nothing is pooled."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import krippendorff
import numpy as np
import pytest

from essay_cohorts.domain import Cell, CriterionScore, ScoreRow
from essay_cohorts.rubric import Scale
from essay_cohorts.statistics.concordance import NO_SHARED, estimate_kappa, estimate_rho
from essay_cohorts.statistics.human_agreement import HumanAgreement, HumanComparison, human_agreement
from tests.score_rows import score_row

FIVE = Scale(1, 5)


def row(
    essay: int,
    model: str,
    score: float | None,
    *,
    template: str = "t",
    number: int = 1,
    scale: Scale = FIVE,
    criteria: dict[str, float | None] | None = None,
) -> ScoreRow:
    """Return a row of essay number `essay`."""
    cell = Cell(f"e{essay}", template, model)
    found = score_row(score, cell, gen_id=f"v_{essay}_{template}_{model}_{number}")
    parts = tuple(CriterionScore(name, value) for name, value in (criteria or {}).items())
    return replace(found, scale=scale, criteria=parts)


def only(found: Sequence[HumanComparison], model_id: str | None, criterion: str = "") -> HumanComparison:
    """Return the comparison of a judge."""
    [comparison] = [each for each in found if (each.model_id, each.criterion) == (model_id, criterion)]
    return comparison


@pytest.fixture
def rows() -> list[ScoreRow]:
    """Return six essays: two judges, one with two replicates; two raters, who rate essays 1 to 4 and 2 to 5."""
    found = []
    for essay, (first, again, second) in enumerate(
        [(1, 2, 1), (2, 2, 3), (3, 4, 3), (4, 4, 5), (5, 4, 4), (1, 1, 1)], 1
    ):
        found.append(row(essay, "a", float(first), number=1))
        found.append(row(essay, "a", float(again), number=2))
        found.append(row(essay, "b", float(second)))
    found += [row(essay, "human-anna", float(score)) for essay, score in enumerate([1, 2, 4, 4], 1)]
    found += [row(essay, "human-bo", float(score)) for essay, score in enumerate([3, 3, 5, 5], 2)]
    return found


PEOPLE = np.array([1, 2.5, 3.5, 4.5, 5])
JUDGE_A = np.array([1.5, 2, 3.5, 4, 4.5])
JUDGE_B = np.array([1, 3, 3, 5, 4.0])


def test_a_judge_is_compared_with_the_mean_of_the_raters(rows: list[ScoreRow]) -> None:
    """Replicates and raters are averaged by essay; essays that nobody rated do not count."""
    found = human_agreement(rows)
    assert [each.model_id for each in found.judges] == [None, "a", "b"]
    for model, judge in ((None, (JUDGE_A + JUDGE_B) / 2), ("a", JUDGE_A), ("b", JUDGE_B)):
        comparison = only(found.judges, model)
        assert comparison.essays == 5
        assert comparison.bias.value == pytest.approx(float((judge - PEOPLE).mean()), abs=1e-9)
        assert comparison.kappa == estimate_kappa(judge, PEOPLE)
        assert comparison.rho == estimate_rho(judge, PEOPLE)
        alpha = krippendorff.alpha(np.array([judge, PEOPLE]), level_of_measurement="interval")
        assert comparison.alpha.value == pytest.approx(alpha, abs=1e-9)
        assert comparison.confusion is not None
        assert np.sum(comparison.confusion.counts) == 5


def test_a_rater_is_compared_with_the_other_raters(rows: list[ScoreRow]) -> None:
    """The ceiling: each rater and the others, and alpha between all, over essays that both have rated."""
    found = human_agreement([*rows, row(3, "human-cy", 2.0)])
    assert [each.model_id for each in found.raters] == ["human-anna", "human-bo", "human-cy"]
    anna = only(found.raters, "human-anna")
    assert anna.essays == 3
    assert anna.bias.value == pytest.approx((-1 + (4 - 2.5) + -1) / 3)
    [between] = found.between_raters
    nan = np.nan
    table = np.array([[1, 2, 4, 4, nan], [nan, 3, 3, 5, 5], [nan, nan, 2, nan, nan]])
    assert (between.raters, between.alpha.essays) == (3, 3)
    assert between.alpha.value == pytest.approx(krippendorff.alpha(table, level_of_measurement="interval"), abs=1e-9)


def test_one_rater_has_no_ceiling(rows: list[ScoreRow]) -> None:
    """With one rater, nothing is said about the agreement of people."""
    found = human_agreement([each for each in rows if each.member.llm_model_id != "human-bo"])
    assert (found.raters, found.between_raters) == ((), ())
    assert only(found.judges, "a").essays == 4


def test_one_judge_is_all_judges() -> None:
    """The row of all judges is left out where it would repeat the only judge."""
    rows = [row(essay, model, 3.0) for essay in (1, 2) for model in ("a", "human-x")]
    assert [each.model_id for each in human_agreement(rows).judges] == ["a"]


def test_templates_and_scales_are_never_pooled(rows: list[ScoreRow]) -> None:
    """Another template has its own rows, and scores on another scale than the judges' are left out and counted."""
    other = [row(essay, model, 2.0 + essay, template="u") for essay in (1, 2) for model in ("a", "human-anna")]
    former = [row(6, f"human-{name}", 9.0, scale=Scale(0, 9)) for name in "vwxyz"]
    alone, found = human_agreement(rows), human_agreement([*other, *former, *rows])
    assert [each for each in found.judges if each.template_id == "t"] == list(alone.judges)
    assert [(each.template_id, each.model_id, each.essays) for each in found.judges if each.template_id == "u"] == [
        ("u", "a", 2)
    ]
    assert (found.on_other_scales, alone.on_other_scales) == ({"t": 5}, {})


def test_criteria_are_compared_one_by_one() -> None:
    """A criterion that some did not score counts only where both did; one that nobody rated has no rows."""
    rows = []
    for essay in range(1, 7):
        rows.append(row(essay, "a", 3.0, criteria={"wit": 1.0 + essay % 4, "flow": 2.0, "form": 2.0}))
        rated = {"wit": 1.0 + essay % 3, "flow": 3.0 if essay > 4 else None, "form": None}
        rows.append(row(essay, "human-x", 3.0, criteria=rated))
    found = human_agreement(rows)
    assert [each.criterion for each in found.judges] == ["", "wit", "flow"]
    wit, flow = only(found.judges, "a", "wit"), only(found.judges, "a", "flow")
    judge, people = (np.array([1.0 + essay % size for essay in range(1, 7)]) for size in (4, 3))
    assert (wit.essays, wit.kappa) == (6, estimate_kappa(judge, people))
    assert (flow.essays, flow.bias.value) == (2, -1.0)
    assert found.judges[0].bias.value == 0.0


def test_without_a_shared_essay_the_figures_say_so() -> None:
    """Judges and people of different essays, and people without judges."""
    apart = human_agreement([row(1, "a", 3.0), row(2, "human-x", 3.0)])
    people_only = human_agreement([row(1, "human-x", 3.0), row(1, "human-y", 4.0)])
    for found in (apart, people_only):
        [comparison] = found.judges
        assert (comparison.essays, comparison.confusion) == (0, None)
        for estimate in (comparison.alpha, comparison.kappa, comparison.rho, comparison.bias):
            assert (estimate.value, estimate.note) == (None, NO_SHARED)
    assert len(people_only.raters) == 2


@pytest.mark.parametrize("score", [None, 3.0])
def test_nobody_has_rated(score: float | None) -> None:
    """Without a score of a person there is nothing to compare."""
    nothing = HumanAgreement(judges=(), raters=(), between_raters=(), on_other_scales={})
    assert human_agreement([row(1, "a", score), row(1, "human-x", None)]) == nothing


def test_the_order_of_the_rows_does_not_matter(rows: list[ScoreRow]) -> None:
    """The same scores give the same figures to the last digit."""
    shuffled = [*rows]
    random.Random(3).shuffle(shuffled)  # noqa: S311  (not a secret)
    assert human_agreement(shuffled) == human_agreement(rows)
