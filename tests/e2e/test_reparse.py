"""Tests of `reparse_evaluations` with a real scheduler: 1,000 stored replies are scored again without a call."""

from __future__ import annotations

import re
from collections import Counter

from devtools.rest_api.runs import TaskInstance
from tests.e2e.conftest import Stage
from tests.store_builder import StoreBuilder

REPARSE = "reparse_evaluations"
REPLIES, COHORT = 1_000, "older_parser"
COLUMNS = "stage,gen_id,cohort_id,parent_gen_id,combo_id,template_id,llm_model_id,replicate"
# The older parser's mistakes by reply number: 40 wrong scores, 30 wrong refusals, and 20 scores of replies that state
# no score.
MISREAD, REFUSED, INVENTED = range(40), range(40, 70), range(70, 90)


def _reply(number: int) -> str:
    return "It ebbs.\nSCORE: unknown\n" if number in INVENTED else "It flows.\nSCORE: 6\n"


def _older_parser_s_verdicts(store: StoreBuilder) -> list[str]:
    """Make 1,000 replies with verdicts of version 0; return the gen_ids whose result the new parser changes."""
    essay, rows = store.essay(9901), [COLUMNS]
    for number in range(REPLIES):
        gen_id = f"older{number:04}"
        former_score = None if number in REFUSED else 3.0 if number in MISREAD or number in INVENTED else 6.0
        store.evaluation(gen_id, essay, replicate=number + 1, score=former_score, reply=_reply(number))
        verdict = {"parser_name": "in_last_line", "parser_version": "0", "success": former_score is not None}
        reason = "" if former_score is not None else "it was not understood"
        store.json(
            f"gens/evaluation/{gen_id}/parsed_metadata.json", {**verdict, "score": former_score, "reason": reason}
        )
        rows.append(f"evaluation,{gen_id},{COHORT},{essay},combo,novelty,judge-a,{number + 1}")
    store.write(f"cohorts/{COHORT}/membership.csv", "\n".join(rows) + "\n")
    return [f"older{number:04}" for number in (*MISREAD, *REFUSED, *INVENTED)]


def _reparse(stage: Stage, **conf: object) -> tuple[str, str]:
    """Trigger the DAG, wait for the run, and return its id and state."""
    run_id = stage.airflow.api.trigger(REPARSE, {"cohort_id": COHORT, **conf})
    return run_id, stage.airflow.api.wait(REPARSE, run_id, timeout_s=150)


def _states(tasks: list[TaskInstance]) -> dict[str, str | None]:
    return {task.task_id: task.state for task in tasks}


def _table(log: str) -> dict[str, list[str]]:
    """Return the rows in the log by gen_id: the scores before and after."""
    return {found[0]: list(found[1:]) for found in re.findall(r"(older\d+)  .*judge-a  +(\S+) +(\S+)  ", log)}


def test_a_thousand_stored_replies_are_scored_again_without_a_call(stage: Stage) -> None:
    """The first run only shows changes, the second writes and aggregates, the third has none; a wrong key fails."""
    changed = _older_parser_s_verdicts(stage.store)
    before = stage.store.files("gens/evaluation")

    run_id, state = _reparse(stage)
    assert state == "success"
    log = stage.airflow.api.task_log(REPARSE, run_id, "reparse")
    assert sorted(_table(log)) == changed
    assert _table(log)["older0000"] == ["3.0", "6.0"]
    assert _table(log)["older0040"] == ["unscored", "6.0"]
    assert _table(log)["older0070"] == ["3.0", "unscored"]
    assert _states(stage.airflow.api.task_instances(REPARSE, run_id)) == {
        "reparse": "success",
        "aggregate": "skipped",
    }
    assert stage.store.files("gens/evaluation") == before

    run_id, state = _reparse(stage, write=True)
    assert state == "success"
    totals = stage.airflow.api.xcom(REPARSE, run_id, "reparse")
    assert (totals["evaluations"], totals["changed"], totals["renewed"]) == (REPLIES, 90, REPLIES - 90)
    assert _states(stage.airflow.api.task_instances(REPARSE, run_id)) == {
        "reparse": "success",
        "aggregate": "success",
    }
    after = {name: text.decode() for name, text in stage.store.files("gens/evaluation").items() if "/older" in name}
    kinds = Counter(name.rpartition("/")[2] for name in after)
    assert kinds["parsed.txt"] == REPLIES - len(INVENTED)
    assert kinds["parsed.1.txt"] == len(MISREAD) + len(INVENTED)
    assert kinds["parsed_metadata.1.json"] == REPLIES
    assert after["gens/evaluation/older0000/parsed.txt"] == "6.0\n"
    assert after["gens/evaluation/older0000/parsed.1.txt"] == "3.0\n"
    rows = {row["gen_id"]: row for row in stage.store.rows("7_cross_experiment/aggregated_scores.csv")}
    assert rows["older0000"]["score"] == rows["older0040"]["score"] == "6.0"
    assert rows["older0070"]["error"].startswith("unscored: the score line states no number")

    run_id, state = _reparse(stage, write=True)
    assert state == "success"
    assert stage.airflow.api.xcom(REPARSE, run_id, "reparse")["unchanged"] == REPLIES
    assert {
        name: text.decode() for name, text in stage.store.files("gens/evaluation").items() if name in after
    } == after

    run_id, state = _reparse(stage, wirte=True)
    assert state == "failed"
    assert 'Did you mean "write"?' in stage.airflow.api.task_log(REPARSE, run_id, "reparse")
    assert stage.judge.calls() == 0
