"""No money and no reply is lost when people and processes interfere with each other."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Collection
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


def test_a_late_reply_does_not_replace_the_scored_reply(tmp_path: Path) -> None:
    """raw.txt is still the reply that the score was read from; the late reply, also paid for, is kept next to it."""
    folder = tmp_path / "v_1"
    folder.mkdir()
    reply_files.store(folder, "SCORE: 1", {"run_id": "first"})
    (folder / "parsed.txt").write_text("1.0\n")
    reply_files.store(folder, "SCORE: 2", {"run_id": "second"})
    assert (folder / "raw.txt").read_text() == "SCORE: 1"
    assert (folder / "raw.1.txt").read_text() == "SCORE: 2"
    assert json.loads((folder / "raw_metadata.1.json").read_text())["run_id"] == "second"
    assert not list(folder.glob(".*.tmp"))


def test_the_plan_of_a_dry_run_makes_no_calls(store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer) -> None:
    """Each step itself refuses the plan of a dry run, so that no money depends on a task that Airflow skips."""
    planned = dag.plan({**ONE_CELL, "essay_ids": [store.essay(1)], "dry_run": True})
    part = Slice(kind="todo", start=0, stop=4, label="all", calls_at_once=4)
    with pytest.raises(StoreError, match="dry run"):
        slice_tasks.write_prompts(dag.settings, planned, part)
    assert judge_server.calls() == 0
    assert not (store.root / "gens/evaluation").exists()


def test_no_call_is_made_for_an_evaluation_without_metadata(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """No later cohort would find a reply without metadata.json, so no call is made for it, and the run fails."""
    planned = dag.plan({**ONE_CELL, "essay_ids": [store.essay(1)], "replicates": 2})
    lost = next((store.root / "gens/evaluation").iterdir())
    (lost / "metadata.json").unlink()
    run = dag.run_planned(planned)
    assert judge_server.calls() == 1
    assert not run.summary.complete
    assert f"{lost.name}: its metadata.json existed" in run.summary.message


def test_calls_are_checked_before_anything_is_written(store: StoreBuilder, dag: PlayedDag) -> None:
    """If the credentials are unusable, planning a cohort with calls fails, and nothing is seeded."""
    conf = {**ONE_CELL, "essay_ids": [store.essay(1)]}
    tree = store.tree_hash()

    def refuse(connection_ids: Collection[str]) -> None:
        assert list(connection_ids) == ["llm_default"]
        raise BadInput([Problem(place="Connection", finding="it does not exist.", next_step="Set it.")])

    task = TaskRef(dag_id="d", run_id="r", task_id="plan_cohort", map_index=-1, try_number=1)
    with pytest.raises(BadInput, match="it does not exist"):
        plan_cohort.plan_cohort(dag.settings, conf, task, refuse)
    assert store.tree_hash() == tree
    assert plan_cohort.plan_cohort(dag.settings, {**conf, "dry_run": True}, task, refuse).call == 4


def test_scores_that_are_not_reused_are_reported(
    store: StoreBuilder, dag: PlayedDag, log_lines: Callable[[], list[str]]
) -> None:
    """Without backfill mode, the plan says how many evaluations are not reused, why, and the cost of reusing them."""
    essay = store.essay(1)
    store.evaluation("x1", essay)
    store.select("# mode: evaluation-only", essay)
    dag.plan(ONE_CELL)
    (line,) = [line for line in log_lines() if "not reused" in line]
    reason = "because the selection has no line # include-existing-evaluations"
    reused = "reusing it would leave 3 calls, cost unknown."
    assert line == f"1 existing evaluation of these cells is not reused, {reason}; {reused}"


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
    """No file in the data root contains the key, in whatever form a server echoes the key."""
    echoed = shape(API_KEY)
    judge_server.faults({"fault": "status", "status": 400, "message": f"bad key {echoed}\nSkipping v_1: forged"})
    run = dag.run({**ONE_CELL, "essay_ids": [store.essay(1)]})
    contents = [path.read_bytes() for path in store.root.rglob("*") if path.is_file()]
    assert not any(echoed.encode() in content for content in [*contents, run.summary.message.encode()])
    assert "bad key *** Skipping v_1: forged" in run.summary.message.replace("***=", "***")


def test_a_stop_of_the_same_run_id_before_planning_is_ignored(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """A run that was deleted and triggered again with the same run_id ignores the stops of the deleted run."""
    conf = {**ONE_CELL, "essay_ids": [store.essay(1)]}
    judge_server.faults({"fault": "status", "status": 401, "message": "no"})
    assert not dag.run(conf, run_id="same").summary.complete
    judge_server.faults()
    assert dag.run(conf, run_id="same").summary.complete
