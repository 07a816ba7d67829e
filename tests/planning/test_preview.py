"""The preview of a plan, as the page shows it: the numbers of a dry run, without writing a file."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from essay_cohorts.domain import Action
from essay_cohorts.errors import BadInput
from essay_cohorts.planning.preview import PlanPreview, preview_plan
from tests.conftest import PlayedDag
from tests.store_builder import StoreBuilder

MODELS = (
    "id,model,for_evaluation,max_tokens,input_usd_per_mtok,output_usd_per_mtok\n"
    "judge-a,m,true,100,1,2\njudge-b,m,true,,1,2\n"
)


@pytest.fixture
def mixed(store: StoreBuilder) -> StoreBuilder:
    """Return a store with two essays in backfill mode, and four evaluations in different states."""
    first, _ = store.essay(1), store.essay(2)
    store.evaluation("v_a", first, replicate=1)
    store.evaluation("v_b", first, replicate=2, score=None, reply="hm", refused="no score")
    store.evaluation("v_c", first, replicate=3, score=None, reply="SCORE: 3")
    store.evaluation("v_d", first, replicate=1, template="coherence", model="judge-b")
    store.json("gens/evaluation/v_a/raw_metadata.json", {"prompt_sha256": "0" * 64})
    store.write("1_raw/llm_models.csv", MODELS)
    store.backfill("e_essay1", "e_essay2")
    return store


def by_judge(preview: PlanPreview) -> dict[tuple[str, str], dict[Action, int]]:
    """Return the counts of each row."""
    return {(row.template_id, row.model_id): dict(row.counts) for row in preview.rows}


def test_rows_are_counted_by_judge_and_action(mixed: StoreBuilder, dag: PlayedDag) -> None:
    """Each template with each model has a row that counts its evaluations by action, in the order of the plan."""
    preview = preview_plan(dag.settings, {"cohort_id": "c", "changed_inputs": "keep"})
    assert (preview.cohort_id, preview.essays, preview.replicates, preview.edited) == ("c", 2, 4, 1)
    assert by_judge(preview) == {
        ("novelty", "judge-a"): {Action.REUSE: 1, Action.UNSCORED: 1, Action.PARSE: 1, Action.CALL: 5},
        ("novelty", "judge-b"): {Action.CALL: 8},
        ("coherence", "judge-a"): {Action.CALL: 8},
        ("coherence", "judge-b"): {Action.REUSE: 1, Action.CALL: 7},
    }
    assert list(by_judge(preview)) == [
        ("novelty", "judge-a"),
        ("novelty", "judge-b"),
        ("coherence", "judge-a"),
        ("coherence", "judge-b"),
    ]
    assert {row.members for row in preview.rows} == {8}


def test_rows_sum_up_to_the_totals(mixed: StoreBuilder, dag: PlayedDag) -> None:
    """The counts and calls of the rows add up to the plan's; if one price is unknown, the sum is unknown too."""
    preview = preview_plan(dag.settings, {"changed_inputs": "keep"})
    assert sum((Counter(row.counts) for row in preview.rows), Counter()) == preview.totals
    assert all(row.estimate.calls == row.counts.get(Action.CALL, 0) for row in preview.rows)
    assert sum(row.estimate.calls for row in preview.rows) == preview.estimate.calls
    assert sum(row.estimate.input_tokens for row in preview.rows) == preview.estimate.input_tokens
    known = {row.model_id: row.estimate.usd is not None for row in preview.rows}
    assert (known, preview.estimate.usd) == ({"judge-a": True, "judge-b": False}, None)


def test_a_row_without_calls_costs_nothing(store: StoreBuilder, dag: PlayedDag) -> None:
    """If everything is reused, the estimate is 0 and not unknown."""
    store.evaluation("v_a", store.essay(1))
    store.backfill("e_essay1")
    preview = preview_plan(dag.settings, {"templates": ["novelty"], "models": ["judge-a"], "replicates": 1})
    (row,) = preview.rows
    assert (row.counts, row.estimate.calls, row.estimate.usd) == ({Action.REUSE: 1}, 0, 0)


@pytest.mark.parametrize(
    "conf",
    [
        pytest.param({}, id="no options"),
        pytest.param({"retry_unscored": True}, id="retry_unscored"),
        pytest.param({"templates": ["novelty"], "replicates": 2}, id="narrowed"),
        pytest.param({"include_existing_evaluations": False}, id="nothing reused"),
    ],
)
def test_the_preview_is_what_the_run_plans(mixed: StoreBuilder, dag: PlayedDag, conf: dict[str, Any]) -> None:
    """A run with the same conf plans the same numbers and the same warnings."""
    conf = {**conf, "cohort_id": "c", "changed_inputs": "keep"}
    preview = preview_plan(dag.settings, conf)
    planned = dag.plan(conf)
    assert {action.value: preview.totals[action] for action in Action} == {
        action.value: planned.count(action) for action in Action
    }
    assert (planned.edited, planned.warnings) == (preview.edited, len(preview.warnings))
    assert planned.estimate.calls == preview.estimate.calls


def test_nothing_is_written(mixed: StoreBuilder, dag: PlayedDag) -> None:
    """The preview writes no file, even if there is much to mint; it does not even make a ledger."""
    before = mixed.tree_hash()
    assert preview_plan(dag.settings, {"cohort_id": "c", "changed_inputs": "keep"}).totals[Action.CALL] > 0
    assert mixed.tree_hash() == before


def test_the_preview_has_the_members_that_join_and_leave(mixed: StoreBuilder, dag: PlayedDag) -> None:
    """Joined and left members are the differences from the cohort's current membership."""
    dag.plan({"cohort_id": "c", "essay_ids": ["e_essay1"], "templates": ["novelty"], "changed_inputs": "keep"})
    conf = {"cohort_id": "c", "essay_ids": ["e_essay2"], "templates": ["novelty"], "changed_inputs": "keep"}
    preview = preview_plan(dag.settings, conf)
    planned = dag.plan(conf, run_id="run-2")
    assert (len(preview.joined), len(preview.left)) == (planned.joined, planned.left)
    assert preview.joined
    assert preview.left
    assert not set(preview.joined) & set(preview.left)


def test_all_problems_are_reported_together(mixed: StoreBuilder, dag: PlayedDag) -> None:
    """The error for a conf with two mistakes names both, and nothing is written."""
    before = mixed.tree_hash()
    with pytest.raises(BadInput) as caught:
        preview_plan(dag.settings, {"templates": ["novelti"], "models": ["judge-z"]})
    assert len(caught.value.problems) == 2
    assert mixed.tree_hash() == before
