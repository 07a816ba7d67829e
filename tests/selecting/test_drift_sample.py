"""The sample of `cohorts drift`: which former scores count, and which essays are judged again."""

from __future__ import annotations

import pytest

from essay_cohorts.domain import Cell
from essay_cohorts.provenance import Provenance
from essay_cohorts.rubric import DEFAULT_SCALE, Scale
from essay_cohorts.selecting.drift_sample import (
    NO_ESSAY,
    NOT_RECORDED,
    OTHER_PROMPT,
    OTHER_SCALE,
    OTHER_SETTINGS,
    Today,
    choose_sample,
    split_comparable,
)
from essay_cohorts.selecting.essay_ranking import JudgedEvaluation

TODAY = Today(prompts={("e_1", "novelty"): "p"}, settings="s", scales={"novelty": DEFAULT_SCALE})
MADE_TODAY = Provenance("vendor/a-1", "s", "p")
SPREAD = {"novelty": {f"e_{number:03}": number / 10 for number in range(90)}}


def judged(
    provenance: Provenance = MADE_TODAY, essay: str = "e_1", score: float = 6.0, scale: Scale = DEFAULT_SCALE
) -> JudgedEvaluation:
    """Return a score of judge-a."""
    cell = Cell(essay, "novelty", "judge-a")
    return JudgedEvaluation(gen_id="v_1", cell=cell, score=score, provenance=provenance, scale=scale)


@pytest.mark.parametrize(
    ("evaluation", "reason"),
    [
        pytest.param(judged(), None, id="made as today"),
        pytest.param(judged(MADE_TODAY._replace(response_model="vendor/a-2")), None, id="another version"),
        pytest.param(judged(MADE_TODAY._replace(prompt_sha256="q")), OTHER_PROMPT, id="another prompt"),
        pytest.param(judged(MADE_TODAY._replace(prompt_sha256="")), NOT_RECORDED, id="no recorded prompt"),
        pytest.param(judged(MADE_TODAY._replace(settings="t")), OTHER_SETTINGS, id="other settings"),
        pytest.param(judged(essay="e_2"), NO_ESSAY, id="no such essay"),
        pytest.param(judged(scale=Scale(1, 10)), OTHER_SCALE, id="another scale"),
    ],
)
def test_only_scores_made_as_today_are_comparable(evaluation: JudgedEvaluation, reason: str | None) -> None:
    """A score that was made in another way is left out and counted by reason."""
    found = split_comparable([evaluation, evaluation], TODAY)
    assert found.left_out == ({reason: 2} if reason else {})
    assert found.comparable == (() if reason else (evaluation, evaluation))


def test_an_essay_s_value_is_the_mean_of_its_scores() -> None:
    """Replicates of an essay are averaged."""
    found = split_comparable([judged(score=4.0), judged(score=7.0)], TODAY)
    assert found.essays() == {"novelty": {"e_1": 5.5}}


@pytest.mark.parametrize("wanted", [1, 3, 9, 89])
def test_each_stratum_of_the_scores_gives_one_essay(wanted: int) -> None:
    """The essays are cut into strata of the same size by their scores, and each gives one essay."""
    sample = choose_sample(SPREAD, wanted)
    numbers = [int(essay.removeprefix("e_")) for essay in sample]
    edges = [stratum * 90 // wanted for stratum in range(wanted)] + [90]
    assert [low <= number < high for number, low, high in zip(numbers, edges, edges[1:], strict=False)] == [
        True
    ] * wanted
    assert sample == choose_sample(SPREAD, wanted)


def test_essays_with_one_score_are_not_drawn_by_their_ids() -> None:
    """The order of essays with the same score does not follow their ids, which may follow the order of a source."""
    alike = {"novelty": dict.fromkeys(SPREAD["novelty"], 6.0)}
    assert list(choose_sample(alike, 9)) != sorted(choose_sample(alike, 9))


@pytest.mark.parametrize(
    ("wanted", "chosen", "size"),
    [
        pytest.param(3, ("e_007",), 3, id="some are chosen"),
        pytest.param(1, ("e_007", "e_008"), 2, id="more than wanted are paid for"),
        pytest.param(2, ("e_gone",), 2, id="one cannot be compared any more"),
        pytest.param(500, (), 90, id="more than there are"),
    ],
)
def test_chosen_essays_stay(wanted: int, chosen: tuple[str, ...], size: int) -> None:
    """An essay that was judged again already stays in the sample if it can still be compared."""
    sample = choose_sample(SPREAD, wanted, chosen)
    assert (len(set(sample)), len(sample)) == (size, size)
    assert set(sample) >= set(chosen) & set(SPREAD["novelty"])


def test_only_essays_of_every_template_are_chosen() -> None:
    """An essay without a comparable score under one of the templates is not judged again."""
    values = {"novelty": {"e_1": 1.0, "e_2": 2.0, "e_3": 3.0}, "coherence": {"e_3": 90.0, "e_2": 10.0, "e_4": 5.0}}
    assert set(choose_sample(values, 9)) == {"e_2", "e_3"}
    assert choose_sample({}, 9) == ()
