"""The end of a run: each member has one outcome by the store's state, and a run with missing scores is not green."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from essay_cohorts.backfill.summarise import Summary, summarise_cohort
from essay_cohorts.domain import RunRef
from essay_cohorts.errors import BadInput, CohortIncomplete, StoreError
from essay_cohorts.ids import evaluation_gen_id
from tests.conftest import DAG_ID, PlayedDag
from tests.judge_server import JudgeServer
from tests.store_builder import StoreBuilder

RUN = RunRef(DAG_ID, "run-1")
ONE_CELL: dict[str, Any] = {"cohort_id": "c", "templates": ["novelty"], "models": ["judge-a"]}


def outcomes(store: StoreBuilder) -> dict[str, str]:
    """Return the outcome of each evaluation from scores.csv."""
    return {row["gen_id"]: row["outcome"] for row in store.rows("cohorts/c/scores.csv")}


def planned_only(dag: PlayedDag, conf: dict[str, Any]) -> Summary:
    """Return the summary of a run in which only plan_cohort did anything."""
    return summarise_cohort(dag.settings, dag.plan(conf), RUN)


def counts(summary: Summary) -> dict[str, int]:
    """Return the totals that must add up to `planned`."""
    totals = summary.totals
    return {name: getattr(totals, name) for name in ("reused", "scored", "unscored", "failed", "not_run")}


@pytest.fixture
def mixed(store: StoreBuilder) -> StoreBuilder:
    """Return a store with one cell, k = 4: one scored, one refused earlier, one with a reply, one to call."""
    essay = store.essay(1)
    store.evaluation("v_a", essay, replicate=1, score=6.5)
    store.evaluation("v_b", essay, replicate=2, score=None, reply="hm", refused="no score")
    store.evaluation("v_c", essay, replicate=3, score=None, reply="SCORE: 3")
    store.backfill(essay)
    return store


MINTED = evaluation_gen_id("e_essay1", "novelty", "judge-a", 4)


def test_each_member_has_one_outcome(mixed: StoreBuilder, dag: PlayedDag) -> None:
    """Reused, scored, unscored: the totals add up, scores.csv has one row each, and the message says all of this."""
    run = dag.run(ONE_CELL)
    assert outcomes(mixed) == {"v_a": "reused", "v_b": "unscored", "v_c": "scored", MINTED: "scored"}
    assert counts(run.summary) == {"reused": 1, "scored": 2, "unscored": 1, "failed": 0, "not_run": 0}
    assert (run.summary.totals.planned, run.summary.totals.called, run.summary.totals.adds_up) == (4, 1, True)
    assert run.summary.message.startswith(
        "4 planned = 1 reused + 2 scored + 1 unscored + 0 failed + 0 in flight elsewhere + 0 deferred + 0 not run; "
        "1 called (cost unknown)"
    )


def test_scores_csv_is_read_from_the_store(mixed: StoreBuilder, dag: PlayedDag) -> None:
    """scores.csv has the scores of parsed.txt, their origin cohorts, and the reasons of those without a score."""
    dag.run(ONE_CELL)
    rows = {row["gen_id"]: row for row in mixed.rows("cohorts/c/scores.csv")}
    assert (rows["v_a"]["score"], rows["v_a"]["origin_cohort_id"], rows["v_a"]["reason"]) == ("6.5", "old", "")
    assert (rows["v_b"]["score"], rows["v_b"]["reason"]) == ("", "no score")
    assert rows["v_c"]["score"] == "3.0"
    assert rows[MINTED]["origin_cohort_id"] == "c"
    assert rows[MINTED]["score"] == mixed.read(f"gens/evaluation/{MINTED}/parsed.txt").strip()


@pytest.mark.parametrize(
    ("max_unscored", "complete"),
    [pytest.param(0, False, id="none accepted"), pytest.param(1, True, id="one"), pytest.param(2, True, id="two")],
)
def test_max_unscored(mixed: StoreBuilder, dag: PlayedDag, max_unscored: int, complete: bool) -> None:
    """The run is red if more replies are refused than are accepted; then the message says how to continue."""
    run = dag.run({**ONE_CELL, "max_unscored": max_unscored})
    assert run.summary.complete is complete
    assert ("v_b: no score" in run.summary.message) is not complete
    assert ("retry_unscored" in run.summary.message) is not complete


def test_the_number_to_accept_is_the_number_there_is(store: StoreBuilder, dag: PlayedDag) -> None:
    """Three refused replies are too many for a limit of two: all three are named."""
    essay = store.essay(1)
    for n in (1, 2, 3):
        store.evaluation(f"v_{n}", essay, replicate=n, score=None, reply="hm", refused=f"reason {n}")
    store.backfill(essay)
    run = dag.run({**ONE_CELL, "replicates": 3, "max_unscored": 2})
    assert not run.summary.complete
    assert "3 unscored" in run.summary.message
    assert [f"v_{n}: reason {n}" in run.summary.message for n in (1, 2, 3)] == [True] * 3


def test_without_a_plan_planning_failed(dag: PlayedDag, store: StoreBuilder) -> None:
    """If plan_cohort left no result, the summary says that planning failed, and writes nothing."""
    before = store.tree_hash()
    with pytest.raises(CohortIncomplete, match="Planning failed"):
        summarise_cohort(dag.settings, None, RUN)
    assert store.tree_hash() == before


def test_a_former_plan_of_the_cohort_is_not_accounted_for(mixed: StoreBuilder, dag: PlayedDag) -> None:
    """A run whose own plan.csv was deleted fails, even if the cohort has the plan of another run."""
    planned = dag.plan(ONE_CELL)
    dag.plan(ONE_CELL, run_id="run-2")
    shutil.rmtree(mixed.root / "cohorts/c/runs" / planned.run_key)
    with pytest.raises(StoreError, match="is gone"):
        summarise_cohort(dag.settings, planned, RUN)
    assert not (mixed.root / "cohorts/c/scores.csv").exists()


def test_a_dry_run_is_only_described(mixed: StoreBuilder, dag: PlayedDag) -> None:
    """The summary of a dry run gives the plan's totals and writes nothing."""
    planned = dag.plan({**ONE_CELL, "dry_run": True})
    before = mixed.tree_hash()
    summary = summarise_cohort(dag.settings, planned, RUN)
    assert mixed.tree_hash() == before
    assert summary.complete
    assert summary.message == (
        "Dry run: 4 planned = 1 reuse, 1 parse, 1 call, 1 unscored. Nothing was seeded and nothing was called."
    )


def test_a_run_in_which_nothing_ran_is_red(mixed: StoreBuilder, dag: PlayedDag) -> None:
    """If all mapped tasks failed before they did anything, the planned evaluations are named as not run."""
    summary = planned_only(dag, {**ONE_CELL, "max_unscored": 9})
    assert counts(summary) == {"reused": 1, "scored": 0, "unscored": 1, "failed": 0, "not_run": 2}
    assert not summary.complete
    assert "v_c: a reply is stored, but it was not scored" in summary.message
    assert f"{MINTED}: no call was made" in summary.message
    assert "clear the run" in summary.message


def test_an_old_failure_is_not_this_runs(store: StoreBuilder, dag: PlayedDag) -> None:
    """A failure.json of an earlier run does not make this run's evaluation failed: it was not run."""
    essay = store.essay(1)
    store.evaluation("v_1", essay, score=None)
    store.json("gens/evaluation/v_1/failure.json", {"dag_id": DAG_ID, "run_id": "earlier", "attempts": 5})
    store.backfill(essay)
    summary = planned_only(dag, {**ONE_CELL, "replicates": 1})
    assert counts(summary)["not_run"] == 1
    assert not summary.complete


def test_a_failure_of_this_run_is_failed(store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer) -> None:
    """The server's answer and the number of attempts are in the message and in scores.csv."""
    judge_server.faults({"fault": "status", "status": 500, "message": "On fire."})
    run = dag.run({**ONE_CELL, "essay_ids": [store.essay(1)], "replicates": 1})
    [row] = store.rows("cohorts/c/scores.csv")
    assert (row["outcome"], row["score"]) == ("failed", "")
    assert row["reason"] == "the server said 500: On fire. (attempts: 3)"
    assert row["reason"] in run.summary.message
    assert "only these are called" in run.summary.message
    assert not run.summary.complete


def _lose_all(store: StoreBuilder) -> None:
    shutil.rmtree(store.root / "gens/evaluation/v_a")


def _lose_score_and_reply(store: StoreBuilder) -> None:
    for name in ("parsed.txt", "raw.txt"):
        (store.root / "gens/evaluation/v_a" / name).unlink()


@pytest.mark.parametrize(
    "lose", [pytest.param(_lose_all, id="the folder"), pytest.param(_lose_score_and_reply, id="score and reply")]
)
def test_a_planned_reuse_that_vanished_is_not_run(
    mixed: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer, lose: Callable[[StoreBuilder], None]
) -> None:
    """A planned reuse that was deleted is never called: its outcome is not run, and the run is red."""
    planned = dag.plan({**ONE_CELL, "max_unscored": 1})
    lose(mixed)
    run = dag.run_planned(planned)
    assert outcomes(mixed)["v_a"] == "not_run"
    assert not run.summary.complete
    [line] = [line for line in run.summary.message.splitlines() if line.startswith("  v_a: ")]
    assert "when the run was planned" in line
    assert "missing" in line
    assert judge_server.calls() == 1


def test_a_planned_reuse_that_lost_its_score_is_scored_again(
    mixed: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """If the reply still exists, a deleted score is read from the reply again, without a call."""
    planned = dag.plan({**ONE_CELL, "max_unscored": 1})
    (mixed.root / "gens/evaluation/v_a/parsed.txt").unlink()
    run = dag.run_planned(planned)
    assert mixed.read("gens/evaluation/v_a/parsed.txt") == "6.5\n"
    assert run.summary.complete
    assert judge_server.calls() == 1


def test_counts_that_do_not_add_up_are_red(mixed: StoreBuilder, dag: PlayedDag) -> None:
    """If the plan has more members than there are rows, the run fails, although every row is fine."""
    run = dag.run({**ONE_CELL, "max_unscored": 1})
    assert run.summary.complete
    summary = summarise_cohort(dag.settings, replace(run.planned, planned=5), RUN)
    assert not summary.complete
    assert "The counts do not add up: 4 rows for 5 planned evaluations." in summary.message


def test_called_counts_what_this_dag_run_bought(mixed: StoreBuilder, dag: PlayedDag) -> None:
    """The replies that a DagRun paid for are counted over all its tries, without those of other runs."""
    first = dag.run({**ONE_CELL, "max_unscored": 1})
    cleared = dag.run({**ONE_CELL, "max_unscored": 1}, try_number=2)
    other = dag.run({**ONE_CELL, "max_unscored": 1}, run_id="run-2")
    assert [run.summary.totals.called for run in (first, cleared, other)] == [1, 1, 0]
    assert [run.summary.totals.reused for run in (first, cleared, other)] == [1, 3, 3]


def test_costs_are_summed_where_prices_are_known(store: StoreBuilder, dag: PlayedDag) -> None:
    """With prices the message says what the run's calls cost; a second run costs nothing."""
    store.write(
        "1_raw/llm_models.csv",
        "id,model,for_evaluation,input_usd_per_mtok,output_usd_per_mtok\njudge-a,m,true,1000,2000\n",
    )
    conf = {**ONE_CELL, "essay_ids": [store.essay(1)], "replicates": 2}
    run = dag.run(conf)
    spent = sum(float(row["cost_usd"]) for row in store.rows("cohorts/c/scores.csv"))
    assert run.summary.totals.cost_usd == pytest.approx(spent)
    assert spent > 0
    assert f"2 called (${spent:.4f})" in run.summary.message
    assert "0 called ($0.0000)" in dag.run(conf, run_id="run-2").summary.message


def test_the_report_is_one_page_with_everything_escaped(store: StoreBuilder, dag: PlayedDag) -> None:
    """report.html names the cohort and the essay, and no text of the store becomes markup."""
    essay = store.essay(1, "<script>alert(1)</script> Essay number 1.\n")
    run = dag.run({**ONE_CELL, "essay_ids": [essay], "replicates": 1})
    page = store.read("cohorts/c/report.html")
    assert "Cohort c" in page
    assert essay in page
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert (run.summary.scores_csv, run.summary.report_html) == (
        str(store.root / "cohorts/c/scores.csv"),
        str(store.root / "cohorts/c/report.html"),
    )


def test_many_missing_evaluations_are_named_up_to_a_readable_number(store: StoreBuilder, dag: PlayedDag) -> None:
    """A message about many evaluations names twenty and points to scores.csv for the rest."""
    summary = planned_only(dag, {**ONE_CELL, "essay_ids": [store.essay(1)], "replicates": 25})
    assert summary.message.count("no call was made") == 1
    assert len(re.findall(r"v_[0-9a-z]+", summary.message)) == 20
    assert "and 5 more: see scores.csv" in summary.message


def test_xcom_is_small(mixed: StoreBuilder, dag: PlayedDag) -> None:
    """The last task returns only a few numbers and texts."""
    assert set(dag.run({**ONE_CELL, "max_unscored": 1}).summary.to_xcom()) == {
        "cohort_id",
        "planned",
        "reused",
        "scored",
        "unscored",
        "failed",
        "in_flight_elsewhere",
        "deferred",
        "not_run",
        "called",
        "cost_usd",
        "scores_csv",
        "report_html",
        "message",
    }


# ---------------------------------------------------------------- green although work is missing


def test_a_repeated_call_that_never_happened_is_not_run(
    mixed: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """If retry_unscored could not call, for example without a Connection, the run is red despite max_unscored."""
    mixed.evaluation("v_d", "e_essay1", replicate=4, score=8.0)
    dag.no_connection = BadInput([])
    run = dag.run({**ONE_CELL, "retry_unscored": True, "max_unscored": 9})
    assert run.planned.call == 1
    assert len(run.errors) == 1
    assert outcomes(mixed)["v_b"] == "not_run"
    assert not run.summary.complete


def test_a_refused_reply_that_was_not_read_again_is_not_run(store: StoreBuilder, dag: PlayedDag) -> None:
    """A reply that a former parser refused and that this run could not read has the outcome not run."""
    store.evaluation("v_1", store.essay(1), score=None, reply="SCORE: 4", refused="old")
    record = json.loads(store.read("gens/evaluation/v_1/parsed_metadata.json"))
    store.json("gens/evaluation/v_1/parsed_metadata.json", {**record, "parser_version": "0"})
    store.backfill("e_essay1")
    summary = planned_only(dag, {**ONE_CELL, "replicates": 1, "max_unscored": 9})
    assert outcomes(store) == {"v_1": "not_run"}
    assert not summary.complete


@pytest.mark.parametrize("text", [pytest.param(text, id=repr(text)) for text in ("\n", "seven\n", "70\n", "7/10\n")])
def test_a_parsed_txt_without_a_score_is_not_green(store: StoreBuilder, dag: PlayedDag, text: str) -> None:
    """A member whose parsed.txt holds no number from 0 to 9 has no score, and the run is not green."""
    store.evaluation("v_1", store.essay(1))
    store.write("gens/evaluation/v_1/parsed.txt", text)
    store.backfill("e_essay1")
    run = dag.run({**ONE_CELL, "replicates": 1})
    assert store.rows("cohorts/c/scores.csv")[0]["score"] == ""
    assert not run.summary.complete


def test_a_reply_wins_over_a_failure_that_a_crash_left(store: StoreBuilder, dag: PlayedDag) -> None:
    """If raw.txt exists, a failure.json of the same run, which a crash left behind, does not count."""
    essay = store.essay(1)
    store.evaluation("v_1", essay, score=None, reply="hm")
    store.json("gens/evaluation/v_1/raw_metadata.json", {"dag_id": DAG_ID, "run_id": "run-1"})
    failure = {"dag_id": DAG_ID, "run_id": "run-1", "attempts": 5, "message": "former try", "try_number": 1}
    store.json("gens/evaluation/v_1/failure.json", failure)
    store.backfill(essay)
    dag.run({**ONE_CELL, "replicates": 1}, try_number=2)
    assert outcomes(store) == {"v_1": "unscored"}
