"""What a run announces to Airflow: each evaluation once per cohort, and each completion once."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from essay_cohorts.backfill import announce
from essay_cohorts.planning.slices import Slice
from essay_cohorts.settings import Events
from tests.conftest import PlayedDag, PlayedRun
from tests.ledger_reading import lose_ledger
from tests.store_builder import StoreBuilder

ONE_CELL: dict[str, Any] = {"cohort_id": "c", "templates": ["novelty"], "models": ["judge-a"]}


def scored(dag: PlayedDag, run: PlayedRun) -> list[str]:
    """Return what the run's slices announce, in their order."""
    slices = (Slice(**part) for part in run.slices if part["kind"] == "todo")
    return [gen_id for part in slices for gen_id in announce.announce_scored(dag.settings, run.planned, part)]


def reused(dag: PlayedDag, run: PlayedRun) -> list[str]:
    return announce.announce_reused(dag.settings, run.planned)


def completed(dag: PlayedDag, run: PlayedRun) -> bool:
    return announce.announce_completion(dag.settings, run.planned)


def gen_ids(store: StoreBuilder, action: str) -> list[str]:
    """Return the evaluations with this action in the cohort's latest plan; a plan has drafts and essays too."""
    rows = store.rows("cohorts/c/plan.csv")
    return [row["gen_id"] for row in rows if row["stage"] == "evaluation" and row["action"] == action]


@pytest.fixture
def half(store: StoreBuilder) -> StoreBuilder:
    """Return a store with one essay that has two of the four evaluations of its only cell."""
    essay = store.essay(1)
    for replicate in (1, 2):
        store.evaluation(f"old{replicate}", essay, replicate=replicate)
    store.backfill(essay)
    return store


def test_a_cohort_s_first_run_announces_each_of_its_evaluations_once(half: StoreBuilder, dag: PlayedDag) -> None:
    """Two are reused and two are scored: the run announces four different gen_ids, and no draft or essay."""
    run = dag.run(ONE_CELL)
    assert reused(dag, run) == ["old1", "old2"] == gen_ids(half, "reuse")
    assert scored(dag, run) == gen_ids(half, "call")
    assert len({*reused(dag, run), *scored(dag, run)}) == 4


def test_a_second_run_announces_nothing_more(half: StoreBuilder, dag: PlayedDag) -> None:
    """The second run reuses what the first run scored and announced; the cohort has no new score."""
    first = dag.run(ONE_CELL)
    assert (len(reused(dag, first)), len(scored(dag, first)), completed(dag, first)) == (2, 2, True)
    second = dag.run(ONE_CELL, run_id="run-2")
    assert gen_ids(half, "reuse") == sorted(gen_ids(half, "reuse"))
    assert len(gen_ids(half, "reuse")) == 4
    assert (reused(dag, second), scored(dag, second), completed(dag, second)) == ([], [], False)


def test_another_cohort_announces_its_reused_evaluations_itself(half: StoreBuilder, dag: PlayedDag) -> None:
    """Each cohort announces its own members, even if another cohort paid for them."""
    run = dag.run(ONE_CELL)
    assert (len(reused(dag, run)), len(scored(dag, run))) == (2, 2)
    other = dag.run({**ONE_CELL, "cohort_id": "d"}, run_id="run-2")
    assert len(reused(dag, other)) == 4


def test_a_task_that_died_before_airflow_knew_announces_again(half: StoreBuilder, dag: PlayedDag) -> None:
    """A task ignores its own record, so that its next try announces the same evaluations again."""
    run = dag.run(ONE_CELL)
    first = (reused(dag, run), scored(dag, run), completed(dag, run))
    assert (reused(dag, run), scored(dag, run), completed(dag, run)) == first


def test_a_reply_without_a_score_is_not_announced(half: StoreBuilder, dag: PlayedDag) -> None:
    """A refused reply has no score, so its evaluation is not finished."""
    half.evaluation("old3", "e_essay1", replicate=3, score=None, reply="No score here.")
    run = dag.run({**ONE_CELL, "max_unscored": 1})
    assert "old3" in gen_ids(half, "parse")
    assert scored(dag, run) == gen_ids(half, "call")


def test_a_changed_score_completes_the_cohort_again(half: StoreBuilder, dag: PlayedDag) -> None:
    """An aggregation waits for this event: one more replicate, or a score that was read again."""
    assert completed(dag, dag.run(ONE_CELL))
    half.write("gens/evaluation/old1/parsed.txt", "8.5\n")
    assert completed(dag, dag.run(ONE_CELL, run_id="run-2"))
    assert not completed(dag, dag.run(ONE_CELL, run_id="run-3"))
    assert completed(dag, dag.run({**ONE_CELL, "replicates": 5}, run_id="run-4"))


def test_a_run_has_a_limit_of_events_of_each_kind(
    half: StoreBuilder, dag: PlayedDag, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slices share the limit in proportion to their sizes; what is beyond the limit is recorded as announced too."""
    monkeypatch.setattr(Events, "most", 4)
    conf = {**ONE_CELL, "replicates": 10, "batch_size": 4}
    run = dag.run(conf)
    assert [part["stop"] - part["start"] for part in run.slices if part["kind"] == "todo"] == [4, 4]
    assert len(scored(dag, run)) == 4
    assert len(reused(dag, run)) == 2
    second = dag.run(conf, run_id="run-2")
    assert reused(dag, second) == []
    other = dag.run({**conf, "cohort_id": "d"}, run_id="run-3")
    assert len(reused(dag, other)) == 4
    assert reused(dag, dag.run({**conf, "cohort_id": "d"}, run_id="run-4")) == []


def test_without_events_of_evaluations_nothing_is_announced_nor_recorded(half: StoreBuilder, dag: PlayedDag) -> None:
    """With DD_EVENTS=cohort no evaluation gets an event; with the default, the next run announces them all."""
    run = dag.run(ONE_CELL)
    none = replace(dag.settings, events=Events.COHORT)
    todo = Slice(**run.slices[0])
    assert announce.announce_reused(none, run.planned) == announce.announce_scored(none, run.planned, todo) == []
    assert (len(reused(dag, run)), len(scored(dag, run))) == (2, 2)


def test_what_an_earlier_version_announced_counts(half: StoreBuilder, dag: PlayedDag) -> None:
    """The files of version 0.1.0 are read into the ledger, and stay as they are."""
    half.write("cohorts/c/announced/evaluation_backfill-run.reuse.txt", "old1\n")
    half.write("cohorts/c/announced/completion.json", json.dumps({"run_key": "old", "scores_sha256": "a hash"}))
    first = dag.run(ONE_CELL)
    tree = half.tree_hash()
    assert (reused(dag, first), len(scored(dag, first)), completed(dag, first)) == (["old2"], 2, True)
    assert half.tree_hash() == tree


def test_a_completion_of_an_earlier_version_counts(half: StoreBuilder, dag: PlayedDag) -> None:
    """The same scores are not announced again after an upgrade."""
    run = dag.run(ONE_CELL)
    scores = announce._hash_of_scores(dag.settings, run.planned)
    half.write("cohorts/c/announced/completion.json", json.dumps({"run_key": "old", "scores_sha256": scores}))
    lose_ledger(half.root)
    assert not completed(dag, run)


def test_a_reuse_slice_that_lost_a_score_announces_nothing_twice(half: StoreBuilder, dag: PlayedDag) -> None:
    """If `check_parsed` cannot skip the whole slice, its other evaluations were already announced as reused."""
    half.evaluation("old3", "e_essay1", replicate=3)
    run = dag.run({**ONE_CELL, "replicates": 3})
    assert reused(dag, run) == ["old1", "old2", "old3"]
    slices = [Slice(**part) for part in run.slices if part["kind"] == "reuse"]
    assert [announce.announce_scored(dag.settings, run.planned, part) for part in slices] == [[]] * len(slices)


def test_a_touched_scores_csv_completes_nothing(half: StoreBuilder, dag: PlayedDag) -> None:
    """A scores.csv newer than the report is not trusted; the scores are read from the store, and are the same."""
    assert completed(dag, dag.run(ONE_CELL))
    second = dag.run(ONE_CELL, run_id="run-2")
    scores = half.root / "cohorts" / "c" / "scores.csv"
    scores.write_text(scores.read_text("utf-8"), "utf-8")
    assert not completed(dag, second)
