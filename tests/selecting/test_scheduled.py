"""What a scheduled run decides to judge: from scores to a conf, without touching anybody's selection file."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from essay_cohorts.errors import BadInput
from essay_cohorts.selecting.aggregated_scores import aggregate_scores
from essay_cohorts.selecting.scheduled import select_missing
from tests.conftest import PlayedDag
from tests.store_builder import StoreBuilder

NIGHT, NEXT_NIGHT = datetime(2026, 1, 31, 3, tzinfo=UTC), datetime(2026, 2, 1, 3, tzinfo=UTC)
CONF: dict[str, Any] = {"target_template": "coherence", "top_n": 2}


@pytest.fixture
def ranked(store: StoreBuilder) -> StoreBuilder:
    """Essays 1 to 3, ranked 3, 2, 1 by novelty; coherence has judged none."""
    for number in (1, 2, 3):
        essay = store.essay(number)
        for model in ("judge-a", "judge-b"):
            store.evaluation(f"v_n{number}{model[-1]}", essay, model=model, score=float(number))
    aggregate_scores(store.root)
    return store


def test_the_best_that_lack_scores_become_a_conf_in_rank_order(
    ranked: StoreBuilder, dag: PlayedDag, log_lines: Callable[[], list[str]]
) -> None:
    """The two best, one template, a cohort called after the night and a cap; the log says what was chosen and why."""
    conf = select_missing(dag.settings, CONF, NIGHT)
    assert conf == {
        "cohort_id": "scheduled_20260131T030000",
        "essay_ids": ["e_essay3", "e_essay2"],
        "templates": ["coherence"],
        "max_llm_calls": 500,
    }
    told = "\n".join(log_lines())
    assert "lacks of coherence" in told
    assert "judge-a 0/4, judge-b 0/4" in told


def test_nothing_is_chosen_once_the_best_are_judged(
    ranked: StoreBuilder, dag: PlayedDag, log_lines: Callable[[], list[str]]
) -> None:
    """The night after finds no shortfall: no conf, and the log says so."""
    dag.run(select_missing(dag.settings, CONF, NIGHT))
    aggregate_scores(ranked.root)
    assert select_missing(dag.settings, CONF, NEXT_NIGHT) == {}
    assert "Nothing is missing: nothing is triggered and nothing is called." in log_lines()


def test_a_cleared_run_keeps_the_selection_of_its_cohort(ranked: StoreBuilder, dag: PlayedDag) -> None:
    """Even though part of it is judged by then: its cohort keeps its members."""
    conf = select_missing(dag.settings, CONF, NIGHT)
    dag.run(conf)
    aggregate_scores(ranked.root)
    assert select_missing(dag.settings, CONF, NIGHT) == conf


def test_selection_files_of_people_stay_as_they_are(ranked: StoreBuilder, dag: PlayedDag) -> None:
    """Neither is read nor written, not even one that would be bad input."""
    ranked.select("# mode: nonsense", "e_none")
    before = ranked.tree_hash()
    assert select_missing(dag.settings, CONF, NIGHT)["essay_ids"] == ["e_essay3", "e_essay2"]
    assert ranked.tree_hash() == before


def test_wrong_names_are_told_at_once(ranked: StoreBuilder, dag: PlayedDag) -> None:
    """A template and a model that do not exist, each with a guess."""
    with pytest.raises(BadInput) as caught:
        select_missing(dag.settings, {"target_template": "coherense", "average_models": ["judge-c"]}, NIGHT)
    assert 'target template: "coherense" is not active' in str(caught.value)
    assert 'Did you mean "coherence"?' in str(caught.value)
    assert 'average models: "judge-c" is not a model for evaluation' in str(caught.value)


def test_a_damaged_selection_of_the_cohort_is_told(ranked: StoreBuilder, dag: PlayedDag) -> None:
    """It names the cohort's file, and nothing is chosen in its place."""
    ranked.write("cohorts/scheduled_20260131T030000/selection.txt", "not an id!\n")
    with pytest.raises(BadInput, match=r"cohorts/scheduled_20260131T030000/selection\.txt"):
        select_missing(dag.settings, CONF, NIGHT)
