"""Tests of ranking essays by one template, and of dividing them by the scores that another template lacks."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from essay_cohorts.domain import Cell
from essay_cohorts.selecting.essay_ranking import JudgedEvaluation, MissingSelection, choose_missing, rank_by_best

MODELS = ("a", "b")


def judged(essay: str, template: str, model: str, score: float | None, error: str = "") -> JudgedEvaluation:
    """Return an evaluation with an arbitrary id."""
    return JudgedEvaluation(gen_id="v", cell=Cell(essay, template, model), score=score, error=error)


def refused(essay: str, model: str) -> JudgedEvaluation:
    """Return an evaluation of the target template whose reply was refused."""
    return judged(essay, "target", model, None, "unscored: the score line states no number: ''")


def choose(
    rows: list[JudgedEvaluation], *, any_model: bool = False, retry_unscored: bool = False
) -> MissingSelection:
    """Choose for the only essay `e`, which should have two replicates of both models."""
    ranked = rank_by_best([judged("e", "base", "a", 5.0)], "base", MODELS)
    return choose_missing(
        rows,
        ranked,
        template_id="target",
        models=MODELS,
        replicates=2,
        any_model=any_model,
        retry_unscored=retry_unscored,
    )


def test_the_best_score_of_each_model_is_averaged() -> None:
    """Other templates and models, and models without a score, do not count; ties are ordered by id."""
    rows = [
        judged("e_2", "base", "a", 4.0),
        judged("e_2", "base", "a", 8.0),
        judged("e_2", "base", "b", 5.0),
        judged("e_1", "base", "b", 6.5),
        judged("e_3", "base", "a", None, "failed: x"),
        judged("e_3", "base", "c", 9.0),
        judged("e_4", "other", "a", 9.0),
        judged("e_5", "base", "a", 7.0),
    ]
    ranked = rank_by_best(rows, "base", MODELS)
    assert [(essay.essay_id, essay.value, essay.models) for essay in ranked] == [
        ("e_5", 7.0, 1),
        ("e_1", 6.5, 1),
        ("e_2", 6.5, 2),
    ]


FULL = [judged("e", "target", model, 1.0) for model in MODELS for _ in range(2)]


@pytest.mark.parametrize(
    ("rows", "options", "part"),
    [
        pytest.param(FULL, {}, "covered", id="full"),
        pytest.param([], {}, "missing", id="nothing"),
        pytest.param(FULL[:3], {}, "missing", id="one-short"),
        pytest.param([*FULL[:3], judged("e", "target", "b", None, "failed: x")], {}, "missing", id="one-failed"),
        pytest.param([*FULL[:3], judged("e", "other", "b", 1.0)], {}, "missing", id="of-another-template"),
        pytest.param([*FULL[:3], refused("e", "b")], {}, "needs_decision", id="one-refused"),
        pytest.param([*FULL[:3], refused("e", "b")], {"retry_unscored": True}, "missing", id="refused-asked-for"),
        pytest.param([*FULL[:2], refused("e", "b")], {}, "missing", id="refused-and-short"),
        pytest.param([*FULL[:1], refused("e", "b"), refused("e", "b")], {}, "missing", id="refused-and-other-short"),
        pytest.param(FULL[:1], {"any_model": True}, "covered", id="any-one-score"),
        pytest.param([], {"any_model": True}, "missing", id="any-none"),
        pytest.param([refused("e", m) for m in "aabb"], {"any_model": True}, "needs_decision", id="any-refused"),
    ],
)
def test_an_essay_is_missing_covered_or_needs_a_decision(
    rows: list[JudgedEvaluation], options: dict[str, bool], part: str
) -> None:
    """The essay is in exactly one of the three parts."""
    choice = choose(rows, **options)
    found = {
        "missing": len(choice.missing),
        "needs_decision": len(choice.needs_decision),
        "covered": len(choice.covered),
    }
    assert found == {"missing": 0, "needs_decision": 0, "covered": 0} | {part: 1}


def test_a_shortfall_has_the_counts_of_its_cell() -> None:
    """The shortfalls are per cell, in the order of the models."""
    ((_, short),) = choose([FULL[0], refused("e", "b")]).missing
    assert [(each.cell.model_id, each.scored, each.refused, each.wanted) for each in short] == [
        ("a", 1, 0, 2),
        ("b", 0, 1, 2),
    ]


rows_of = st.builds(
    judged,
    st.sampled_from(["e_1", "e_2", "e_3"]),
    st.sampled_from(["base", "target"]),
    st.sampled_from(MODELS),
    st.one_of(st.none(), st.integers(0, 9).map(float)),
    st.sampled_from(["", "unscored: x", "failed: y"]),
)


@given(st.lists(rows_of, max_size=30), st.integers(1, 3), st.booleans(), st.randoms(use_true_random=False))
def test_the_parts_make_up_the_ranking_for_any_order_of_the_rows(
    rows: list[JudgedEvaluation], replicates: int, any_model: bool, random: Random
) -> None:
    """Each ranked essay is in one part, in rank order, and the order of the rows does not matter."""
    shuffled = list(rows)
    random.shuffle(shuffled)

    def choice(of: list[JudgedEvaluation]) -> MissingSelection:
        ranked = rank_by_best(of, "base", MODELS)
        return choose_missing(
            of, ranked, template_id="target", models=MODELS, replicates=replicates, any_model=any_model
        )

    found = choice(rows)
    assert choice(shuffled) == found
    parts = [[essay for essay, _ in pairs] for pairs in (found.missing, found.needs_decision)]
    parts.append(list(found.covered))
    ranked_ids = sorted(essay.essay_id for essay in found.ranked)
    assert sorted(essay.essay_id for part in parts for essay in part) == ranked_ids
    for part in parts:
        assert [essay for essay in found.ranked if essay in part] == part
