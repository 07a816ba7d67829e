"""The selection of a scheduled run: from scores to a conf, without touching a person's selection file."""

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
    """Return a store with essays ranked 3, 2, 1 by novelty, of which coherence has judged none."""
    for number in (1, 2, 3):
        essay = store.essay(number)
        for model in ("judge-a", "judge-b"):
            store.evaluation(f"v_n{number}{model[-1]}", essay, model=model, score=float(number))
    aggregate_scores(store.root)
    return store


def test_the_best_that_lack_scores_become_a_conf_in_rank_order(
    ranked: StoreBuilder, dag: PlayedDag, log_lines: Callable[[], list[str]]
) -> None:
    """The conf has the two best essays, one template, the night's cohort and a cap, and the log has the reasons."""
    conf = select_missing(dag.settings, CONF, NIGHT)
    assert conf == {
        "cohort_id": "scheduled_20260131T030000",
        "essay_ids": ["e_essay3", "e_essay2"],
        "templates": ["coherence"],
        "max_llm_calls": 500,
    }
    log = "\n".join(log_lines())
    assert "scores of coherence" in log
    assert "judge-a 0/4, judge-b 0/4" in log


def test_a_store_that_marks_no_models_gets_their_names_in_the_conf(ranked: StoreBuilder, dag: PlayedDag) -> None:
    """The triggered run would not know its models otherwise; here the run plans exactly the named model."""
    ranked.write("1_raw/llm_models.csv", "id,model\njudge-a,api/a\njudge-b,api/b\nwriter,\n")
    conf = select_missing(dag.settings, {**CONF, "average_models": ["judge-a"]}, NIGHT)
    assert conf["models"] == ["judge-a"]
    assert dag.plan(conf).models == ("judge-a",)


def test_nothing_is_chosen_once_the_best_are_judged(
    ranked: StoreBuilder, dag: PlayedDag, log_lines: Callable[[], list[str]]
) -> None:
    """The next night finds no shortfall, so the conf is empty and the log says so."""
    dag.run(select_missing(dag.settings, CONF, NIGHT))
    aggregate_scores(ranked.root)
    assert select_missing(dag.settings, CONF, NEXT_NIGHT) == {}
    assert "Nothing is missing, so nothing is triggered and nothing is called." in log_lines()


def test_a_cleared_run_keeps_the_selection_of_its_cohort(ranked: StoreBuilder, dag: PlayedDag) -> None:
    """The cohort keeps its members, even when a part of them has been judged since."""
    conf = select_missing(dag.settings, CONF, NIGHT)
    dag.run(conf)
    aggregate_scores(ranked.root)
    assert select_missing(dag.settings, CONF, NIGHT) == conf


def test_selection_files_of_people_stay_as_they_are(ranked: StoreBuilder, dag: PlayedDag) -> None:
    """Selection files of people are neither read nor written, not even an invalid file."""
    ranked.select("# mode: nonsense", "e_none")
    before = ranked.tree_hash()
    assert select_missing(dag.settings, CONF, NIGHT)["essay_ids"] == ["e_essay3", "e_essay2"]
    assert ranked.tree_hash() == before


def test_wrong_names_are_in_one_message(ranked: StoreBuilder, dag: PlayedDag) -> None:
    """A template and a model that do not exist are named at once, with a suggestion."""
    with pytest.raises(BadInput) as caught:
        select_missing(dag.settings, {"target_template": "coherense", "average_models": ["judge-c"]}, NIGHT)
    assert 'target template: "coherense" is not active' in str(caught.value)
    assert 'Did you mean "coherence"?' in str(caught.value)
    assert 'average models: "judge-c" is not a model for evaluation' in str(caught.value)


def test_a_damaged_selection_of_the_cohort_is_an_error(ranked: StoreBuilder, dag: PlayedDag) -> None:
    """The error names the cohort's file, and no other essays are selected instead."""
    ranked.write("cohorts/scheduled_20260131T030000/selection.txt", "not an id!\n")
    with pytest.raises(BadInput, match=r"cohorts/scheduled_20260131T030000/selection\.txt"):
        select_missing(dag.settings, CONF, NIGHT)
