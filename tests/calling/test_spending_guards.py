"""What keeps money and replies safe when people and processes get in each other's way."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from essay_cohorts.backfill import plan_cohort, slice_tasks
from essay_cohorts.domain import TaskRef
from essay_cohorts.errors import BadInput, Problem, StoreError
from essay_cohorts.planning.slices import Slice
from essay_cohorts.store import reply_files
from tests.conftest import API_KEY, PlayedDag
from tests.judge_server import JudgeServer
from tests.store_builder import StoreBuilder

ONE_CELL = {"cohort_id": "c", "templates": ["novelty"], "models": ["judge-a"]}


def test_a_reply_that_comes_after_the_score_does_not_replace_what_was_scored(tmp_path: Path) -> None:
    """raw.txt stays the reply that the score was read from; the late one, paid for, is kept beside it."""
    folder = tmp_path / "v_1"
    folder.mkdir()
    reply_files.store(folder, "SCORE: 1", {"run_id": "first"})
    (folder / "parsed.txt").write_text("1.0\n")
    reply_files.store(folder, "SCORE: 2", {"run_id": "second"})
    assert (folder / "raw.txt").read_text() == "SCORE: 1"
    assert (folder / "raw.1.txt").read_text() == "SCORE: 2"
    assert json.loads((folder / "raw_metadata.1.json").read_text())["run_id"] == "second"
    assert not list(folder.glob(".*.tmp"))


def test_the_plan_of_a_dry_run_buys_nothing(store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer) -> None:
    """Steps refuse a dry run's plan themselves: what a scheduler skips is not what protects the money."""
    planned = dag.plan({**ONE_CELL, "essay_ids": [store.essay(1)], "dry_run": True})
    part = Slice(kind="todo", start=0, stop=4, label="all", calls_at_once=4)
    with pytest.raises(StoreError, match="dry run"):
        slice_tasks.write_prompts(dag.settings, planned, part)
    assert judge_server.calls() == 0
    assert not (store.root / "gens/evaluation").exists()


def test_an_evaluation_that_lost_its_metadata_is_not_bought(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """A reply without metadata.json would be found by no later cohort, so it is not paid for, and the run is red."""
    planned = dag.plan({**ONE_CELL, "essay_ids": [store.essay(1)], "replicates": 2})
    lost = next((store.root / "gens/evaluation").iterdir())
    (lost / "metadata.json").unlink()
    run = dag.go_on(planned)
    assert judge_server.calls() == 1
    assert not run.summary.complete
    assert f"{lost.name}: its metadata.json existed" in run.summary.message


def test_calls_are_checked_before_anything_is_written(store: StoreBuilder, dag: PlayedDag) -> None:
    """Credentials that cannot be used fail the planning of a cohort with calls, and nothing is seeded."""
    conf = {**ONE_CELL, "essay_ids": [store.essay(1)]}
    tree = store.tree_hash()

    def refuse() -> None:
        raise BadInput([Problem(place="Connection", finding="it does not exist.", next_step="Set it.")])

    task = TaskRef(dag_id="d", run_id="r", task_id="plan_cohort", map_index=-1, try_number=1)
    with pytest.raises(BadInput, match="it does not exist"):
        plan_cohort.plan_cohort(dag.settings, conf, task, refuse)
    assert store.tree_hash() == tree
    assert plan_cohort.plan_cohort(dag.settings, {**conf, "dry_run": True}, task, refuse).call == 4


def test_what_is_bought_anew_is_said(store: StoreBuilder, dag: PlayedDag, log_lines: Callable[[], list[str]]) -> None:
    """Without backfill mode the plan says how many evaluations are not reused, why, and what reusing would cost."""
    essay = store.essay(1)
    store.evaluation("x1", essay)
    store.select("# mode: evaluation-only", essay)
    dag.plan(ONE_CELL)
    (line,) = [line for line in log_lines() if "not reused" in line]
    because = "because the selection has no line # include-existing-evaluations"
    reused = "with them reused: 3 calls, cost unknown."
    assert line == f"1 existing evaluations of these cells are not reused, {because}; {reused}"


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param(lambda key: key, id="plain"),
        pytest.param(str.upper, id="upper case"),
        pytest.param(lambda key: quote(f"{key}", safe=""), id="in an address"),
        pytest.param(lambda key: base64.b64encode(key.encode()).decode(), id="base64"),
    ],
)
def test_an_echoed_key_shows_in_no_file(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer, shape: Callable[[str], str]
) -> None:
    """Whatever shape a server gives the key that it echoes, no file of the data root holds it."""
    echoed = shape(API_KEY)
    judge_server.faults({"fault": "status", "status": 400, "message": f"bad key {echoed}\nSkipping v_1: forged"})
    run = dag.run({**ONE_CELL, "essay_ids": [store.essay(1)]})
    texts = [path.read_text() for path in store.root.rglob("*") if path.is_file()]
    assert not any(echoed in text for text in [*texts, run.summary.message])
    assert "bad key *** Skipping v_1: forged" in run.summary.message.replace("***=", "***")


def test_a_stop_of_the_same_run_id_before_planning_is_ignored(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """A run that was deleted and triggered again under its run_id does not obey the stops of the deleted one."""
    conf = {**ONE_CELL, "essay_ids": [store.essay(1)]}
    judge_server.faults({"fault": "status", "status": 401, "message": "no"})
    assert not dag.run(conf, run_id="same").summary.complete
    judge_server.faults()
    assert dag.run(conf, run_id="same").summary.complete
