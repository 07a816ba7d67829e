"""One evaluation has one state everywhere: scores.csv, `status`, `skipped`, the page, the table of the store."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from essay_cohorts.selecting.aggregated_scores import AGGREGATED, aggregate_scores
from essay_cohorts.views.evaluation_state import MemberState
from essay_cohorts.views.snapshot import read_snapshot
from essay_cohorts.views.status import cohort_status, skipped_ids
from tests.conftest import PlayedDag
from tests.judge_server import JudgeServer
from tests.store_builder import StoreBuilder


@pytest.fixture
def conf(store: StoreBuilder) -> dict[str, Any]:
    """Return the conf of a cohort with one evaluation."""
    one = {"templates": ["novelty"], "models": ["judge-a"], "replicates": 1}
    return {"cohort_id": "c", "essay_ids": [store.essay(1)], **one}


def seen(dag: PlayedDag) -> tuple[str, str, str, str]:
    """Return the evaluation's state in scores.csv, `status`, the page, and the first word of its aggregated error."""
    settings = dag.settings
    [row] = csv.DictReader(io.StringIO((dag.root / "cohorts/c/scores.csv").read_text("utf-8")))
    [cell] = cohort_status(settings, "c").cells
    [state] = [state for state in MemberState if cell.counts[state]]
    [shown] = read_snapshot(settings, "c").rows
    aggregate_scores(dag.root)
    [gathered] = csv.DictReader(io.StringIO((dag.root / AGGREGATED).read_text("utf-8")))
    return row["outcome"], str(state), str(shown.outcome), gathered["error"].split(":")[0]


def test_a_refused_reply_that_could_not_be_asked_for_again(
    dag: PlayedDag, judge_server: JudgeServer, conf: dict[str, Any]
) -> None:
    """The evaluation is failed in the run that called again; before and after that run it is unscored."""
    judge_server.faults({"fault": "reply", "content": "I cannot say."})
    dag.run(conf, run_id="run-1")
    assert seen(dag) == ("unscored",) * 4
    judge_server.faults({"fault": "status", "status": 400, "message": "Not today."})
    dag.run({**conf, "retry_unscored": True}, run_id="run-2")
    # The store as a whole has no last run, so the reply decides.
    assert seen(dag) == ("failed", "failed", "failed", "unscored")
    dag.run(conf, run_id="run-3")
    assert seen(dag) == ("unscored",) * 4


def test_an_empty_parsed_txt_is_not_skipped_and_not_listed(dag: PlayedDag, conf: dict[str, Any]) -> None:
    """`skipped` lists what a run skips, which does not include an empty file of an older program."""
    dag.run(conf, run_id="run-1")
    [gen_id] = skipped_ids(dag.settings, "c")
    (dag.root / "gens" / "evaluation" / gen_id / "parsed.txt").write_text("")
    assert skipped_ids(dag.settings, "c") == ()
    assert dag.run(conf, run_id="run-2").summary.totals.scored == 1
