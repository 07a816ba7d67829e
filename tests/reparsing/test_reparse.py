"""Stored replies scored again: what is read, written and kept, and what a crash leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from essay_cohorts.domain import Action, ParserRef
from essay_cohorts.errors import BadInput, StoreError
from essay_cohorts.judging.parsers import DEFAULT_PARSER, PARSERS, Parser, Reading
from essay_cohorts.reparsing.reparse import raise_unless_written, reparse
from essay_cohorts.reparsing.report import ReparseReport
from essay_cohorts.reparsing.rules import Effect, ReparseRequest
from essay_cohorts.selecting.aggregated_scores import aggregate_scores
from essay_cohorts.settings import Settings
from essay_cohorts.store.gens_data_layer import GensDataLayer
from essay_cohorts.views.evaluation_history import read_evaluation
from essay_cohorts.views.evaluation_state import MemberState
from essay_cohorts.views.snapshot import read_snapshot
from essay_cohorts.views.status import cohort_status
from tests.conftest import PlayedDag, task_ref
from tests.crash_order import REPLACING_POINTS, crash_environment
from tests.judge_server import PROJECT, JudgeServer
from tests.ledger_reading import claimed_by, claimed_ids, ledger_of
from tests.store_builder import StoreBuilder

NOW: dict[str, Any] = {"parser_name": DEFAULT_PARSER, "parser_version": "2"}
V1 = NOW | {"parser_version": "1"}
SIX = {"success": True, "score": 6.0, "reason": ""}
NO = {"success": False, "score": None, "reason": "none of the last three lines begins with SCORE"}


@pytest.fixture
def essay(store: StoreBuilder) -> str:
    """Return the essay that is judged."""
    return store.essay(1)


def again(
    store: StoreBuilder,
    *,
    write: bool = False,
    shown: list[str] | None = None,
    parsers: dict[str, Parser] | None = None,
    max_rows: int | None = None,
    **asked: Any,
) -> ReparseReport:
    """Score the store's replies again."""
    request = ReparseRequest(write=write, **asked)
    show = (shown if shown is not None else []).append
    given = PARSERS if parsers is None else parsers
    task = task_ref("run-r", "reparse", 1)
    return reparse(Settings(data_root=store.root), request, task, show, max_rows=max_rows, parsers=given)


def put(store: StoreBuilder, gen_id: str, name: str, value: str | dict[str, Any]) -> None:
    """Write a file of an evaluation."""
    path = f"gens/evaluation/{gen_id}/{name}"
    if isinstance(value, dict):
        store.json(path, value)
    else:
        store.write(path, value)


def of(store: StoreBuilder, gen_id: str) -> dict[str, Any]:
    """Return the verdict files of an evaluation, including former ones."""
    folder = f"gens/evaluation/{gen_id}/"
    texts = {name.removeprefix(folder): text.decode() for name, text in store.files(folder).items()}
    return {
        name: json.loads(text) if name.endswith(".json") else text
        for name, text in texts.items()
        if name.startswith("parsed")
    }


REPLY_6, REPLY_NONE = "Well.\nSCORE: 6\n", "Well."
BY_NOW = NOW | SIX


@pytest.mark.parametrize(
    ("reply", "stands", "effect", "left"),
    [
        pytest.param(
            REPLY_6,
            {"parsed.txt": "3.0\n", "parsed_metadata.json": V1 | SIX | {"score": 3.0}},
            Effect.CHANGED,
            {
                "parsed.txt": "6.0\n",
                "parsed_metadata.json": BY_NOW,
                "parsed.1.txt": "3.0\n",
                "parsed_metadata.1.json": V1 | SIX | {"score": 3.0},
            },
            id="another score",
        ),
        pytest.param(
            REPLY_NONE,
            {"parsed.txt": "6.0\n", "parsed_metadata.json": V1 | SIX},
            Effect.CHANGED,
            {"parsed_metadata.json": NOW | NO, "parsed.1.txt": "6.0\n", "parsed_metadata.1.json": V1 | SIX},
            id="a score that is refused now",
        ),
        pytest.param(
            REPLY_6,
            {"parsed_metadata.json": V1 | NO},
            Effect.CHANGED,
            {"parsed.txt": "6.0\n", "parsed_metadata.json": BY_NOW, "parsed_metadata.1.json": V1 | NO},
            id="a refused one is scored",
        ),
        pytest.param(
            REPLY_6, {}, Effect.CHANGED, {"parsed.txt": "6.0\n", "parsed_metadata.json": BY_NOW}, id="never scored"
        ),
        pytest.param(REPLY_NONE, {}, Effect.CHANGED, {"parsed_metadata.json": NOW | NO}, id="never scored, refused"),
        pytest.param(
            REPLY_6,
            {"parsed.txt": "3.0\n"},
            Effect.CHANGED,
            {"parsed.txt": "6.0\n", "parsed_metadata.json": BY_NOW, "parsed.1.txt": "3.0\n"},
            id="an older store without metadata",
        ),
        pytest.param(
            REPLY_6,
            {"parsed.txt": "3.0\n", "parsed_metadata.json": V1 | {"success": True, "score": "3"}},
            Effect.CHANGED,
            {
                "parsed.txt": "6.0\n",
                "parsed_metadata.json": BY_NOW,
                "parsed.1.txt": "3.0\n",
                "parsed_metadata.1.json": V1 | {"success": True, "score": "3"},
            },
            id="metadata that tell no score",
        ),
        pytest.param(
            REPLY_6,
            {"parsed.txt": "6.0\n", "parsed_metadata.json": V1 | SIX},
            Effect.RENEWED,
            {"parsed.txt": "6.0\n", "parsed_metadata.json": BY_NOW, "parsed_metadata.1.json": V1 | SIX},
            id="the same score by another version",
        ),
        pytest.param(
            REPLY_NONE,
            {"parsed_metadata.json": V1 | NO},
            Effect.RENEWED,
            {"parsed_metadata.json": NOW | NO, "parsed_metadata.1.json": V1 | NO},
            id="refused by this version too",
        ),
        pytest.param(
            REPLY_6,
            {"parsed.txt": "9.0\n", "parsed_metadata.json": V1 | SIX},
            Effect.BY_HAND,
            {"parsed.txt": "9.0\n", "parsed_metadata.json": V1 | SIX},
            id="corrected by hand",
        ),
        pytest.param(
            None,
            {"parsed.txt": "9.0\n", "parsed_metadata.json": V1 | SIX},
            Effect.NO_REPLY,
            {"parsed.txt": "9.0\n", "parsed_metadata.json": V1 | SIX},
            id="no reply to read",
        ),
    ],
)
def test_what_becomes_of_a_stored_evaluation(
    store: StoreBuilder, essay: str, reply: str | None, stands: dict[str, Any], effect: Effect, left: dict[str, Any]
) -> None:
    """The result is shown without a write, then written with its history; a third time there is nothing to do."""
    store.evaluation("v_1", essay, score=None, reply=reply)
    for name, value in stands.items():
        put(store, "v_1", name, value)
    tree = store.tree_hash()
    assert again(store).counts == {effect: 1}
    assert store.tree_hash() == tree
    assert again(store, write=True).counts == {effect: 1}
    assert of(store, "v_1") == left
    assert not (store.root / ".ledger").exists() or claimed_ids(store.root) == []
    written = times(store)
    third = again(store, write=True)
    kept = effect in (Effect.BY_HAND, Effect.NO_REPLY)
    assert third.counts == ({effect: 1} if kept else {Effect.UNCHANGED: 1})
    assert times(store) == written


def times(store: StoreBuilder) -> dict[str, tuple[int, int, int]]:
    """Return the times and the inode of each file below the root."""
    return {
        str(path.relative_to(store.root)): (path.stat().st_mtime_ns, path.stat().st_ctime_ns, path.stat().st_ino)
        for path in (store.root / "gens").rglob("*")
    }


def test_a_truncated_reply_stays_unscored(store: StoreBuilder, essay: str) -> None:
    """A truncated reply stays unscored, whatever its last line says."""
    store.evaluation("v_1", essay, score=None, reply=REPLY_6)
    put(store, "v_1", "raw_metadata.json", {"finish_reason": "length"})
    [row] = again(store, write=True).of(Effect.CHANGED)
    assert (row.before, row.after, row.why) == (
        "not scored yet",
        "unscored",
        "truncated: the reply hit its token limit",
    )
    assert "parsed.txt" not in of(store, "v_1")


def test_a_template_s_parser_counts_inactive_ones_too(store: StoreBuilder, essay: str) -> None:
    """Each reply is read by the parser that its template's row names today; a template without a row is skipped."""
    first = Parser(
        ref=ParserRef("in_first_line", "1"),
        read=lambda text, _: Reading(score=float(text[0])),
        deciding_line=lambda _, __: 0,
    )
    rows = "template_id,parser,active\nnovelty,in_first_line,false\ncoherence,,true\n"
    store.write("1_raw/evaluation_templates.csv", rows)
    for gen_id, template in (("v_1", "novelty"), ("v_2", "coherence"), ("v_3", "gone"), ("v_4", "gone")):
        store.evaluation(gen_id, essay, template=template, reply="4\nSCORE: 6")
    shown: list[str] = []
    report = again(store, write=True, shown=shown, parsers={**PARSERS, "in_first_line": first})
    assert [(row.gen_id, row.after, row.why) for row in report.of(Effect.CHANGED)] == [
        ("v_1", "4.0", "in_first_line 1")
    ]
    assert of(store, "v_1")["parsed_metadata.json"]["parser_name"] == "in_first_line"
    assert report.counts[Effect.RENEWED] == 1
    skipped = "Skipped: v_3, v_4: the template gone is not in 1_raw/evaluation_templates.csv"
    assert skipped in shown[0]


def test_only_what_was_asked_for_is_touched(store: StoreBuilder, essay: str, dag: PlayedDag) -> None:
    """Only a cohort's members, only a template's replies, or both are changed."""
    dag.plan(
        {"cohort_id": "c", "essay_ids": [essay], "templates": ["novelty"], "models": ["judge-a"], "replicates": 1}
    )
    [member] = [row["gen_id"] for row in store.rows("cohorts/c/membership.csv") if row["stage"] == "evaluation"]
    put(store, member, "raw.txt", REPLY_6)
    store.evaluation("v_2", essay, reply=REPLY_6, score=3.0)
    store.evaluation("v_3", essay, reply=REPLY_6, score=3.0, template="coherence")

    def changed(**asked: Any) -> list[str]:
        return [row.gen_id for row in again(store, **asked).of(Effect.CHANGED)]

    assert changed() == sorted([member, "v_2", "v_3"])
    assert changed(cohort_id="c") == [member]
    assert changed(templates=("coherence",)) == ["v_3"]
    assert changed(cohort_id="c", templates=("coherence",)) == []
    assert again(store, templates=("coherence",)).counts == {Effect.CHANGED: 1}


def test_a_store_judged_by_version_1(store: StoreBuilder, essay: str, judge_server: JudgeServer) -> None:
    """Exactly the replies that version 2 reads differently are listed, without a call; then nothing is left to do."""
    replies: dict[str, tuple[str, float | None, str]] = {
        "v_plain": ("Well.\nSCORE: 6\n", 6.0, "6.0"),
        "v_decoy": ("<think>\nPerhaps\nSCORE: 3\nbut wait", 3.0, "unscored"),
        "v_aside": ("<think>\nSCORE: 3\n</think>\nSCORE: 7", 7.0, "7.0"),
        "v_range": ("Score: 4 (1-5)", 4.0, "unscored"),
        "v_taken": ("SCORE: 7\nRevised score: 6", 7.0, "unscored"),
        "v_stop": ("SCORE: 8.", None, "8.0"),
        "v_token": ("SCORE: 8<|eot_id|>", None, "8.0"),
        "v_comma": ("SCORE: 7,5", None, "unscored"),
        "v_none": ("A fine essay.", None, "unscored"),
    }
    for replicate, (gen_id, (reply, score, _)) in enumerate(replies.items(), start=1):
        store.evaluation(gen_id, essay, replicate=replicate, score=score, reply=reply)
        verdict = V1 | {"success": score is not None, "score": score, "reason": "" if score else "refused"}
        put(store, gen_id, "parsed_metadata.json", verdict)
    tree = store.tree_hash()
    report = again(store)
    found = {row.gen_id: (row.before, row.after) for row in report.of(Effect.CHANGED)}
    assert found == {
        "v_decoy": ("3.0", "unscored"),
        "v_range": ("4.0", "unscored"),
        "v_taken": ("7.0", "unscored"),
        "v_stop": ("unscored", "8.0"),
        "v_token": ("unscored", "8.0"),
    }
    assert report.counts == {Effect.CHANGED: 5, Effect.RENEWED: 4}
    assert store.tree_hash() == tree
    again(store, write=True)
    assert again(store).counts == {Effect.UNCHANGED: len(replies)}
    for gen_id, (_, _, result) in replies.items():
        assert of(store, gen_id).get("parsed.txt") == (None if result == "unscored" else f"{result}\n")
    assert judge_server.calls() == 0


def test_a_run_reads_the_replies_that_version_1_refused(
    store: StoreBuilder, essay: str, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """A run scores the refused replies without a call, and keeps the score that version 1 had read."""
    for replicate, (gen_id, reply) in enumerate({"v_1": "SCORE: 8.", "v_2": "- SCORE: [7]"}.items(), start=1):
        store.evaluation(gen_id, essay, replicate=replicate, score=None, reply=reply)
        put(store, gen_id, "parsed_metadata.json", V1 | NO)
    store.evaluation("v_3", essay, replicate=3, score=3.0, reply="<think>\nSCORE: 3")
    put(store, "v_3", "parsed_metadata.json", V1 | SIX | {"score": 3.0})
    store.backfill(essay)
    run = dag.run({"cohort_id": "c", "templates": ["novelty"], "models": ["judge-a"], "replicates": 3})
    assert [of(store, gen_id)["parsed.txt"] for gen_id in ("v_1", "v_2", "v_3")] == ["8.0\n", "7.0\n", "3.0\n"]
    assert run.summary.complete
    assert judge_server.calls() == 0


def test_a_live_claim_is_skipped_and_a_dead_claim_is_not(store: StoreBuilder, essay: str) -> None:
    """An evaluation with a live claim is skipped and its task named; the claim of a dead task does not count."""
    store.evaluation("v_1", essay, reply=REPLY_6, score=3.0)
    with claimed_by(task_ref("run-1", "evaluation.evaluation_raw", 1, 0), store.root, "v_1"):
        for write in (False, True):
            [row] = again(store, write=write).of(Effect.SKIPPED)
            assert (
                row.why
                == "evaluation_backfill run-1, evaluation.evaluation_raw 0, try 1 is working on this evaluation"
            )
        assert store.read("gens/evaluation/v_1/parsed.txt") == "3.0\n"
    assert again(store, write=True).counts == {Effect.CHANGED: 1}
    assert store.read("gens/evaluation/v_1/parsed.txt") == "6.0\n"


def test_a_claim_taken_between_read_and_write_is_respected(store: StoreBuilder, essay: str) -> None:
    """The claim is taken right before the write: if another task has it, nothing is written."""
    store.evaluation("v_1", essay, reply=REPLY_6, score=3.0)
    shown: list[str] = []
    ledger = ledger_of(store.root)
    with ledger.caller(str(task_ref("run-1", "x", 1))) as caller:

        class TakesIt(list[str]):
            def append(self, text: str) -> None:
                if not shown:
                    ledger.claim(caller, ["v_1"])
                shown.append(text)

        report = again(store, write=True, shown=TakesIt())
    assert report.counts == {Effect.SKIPPED: 1}
    assert "Skipped: v_1: evaluation_backfill run-1, x -1, try 1 is working on this evaluation" in shown[1]
    assert store.read("gens/evaluation/v_1/parsed.txt") == "3.0\n"


def torn_metadata(store: StoreBuilder) -> None:
    put(store, "v_0", "metadata.json", "{")


def another_reply(store: StoreBuilder) -> None:
    put(store, "v_0", "raw_metadata.json", {"reply_sha256": "0" * 64})


def no_id(store: StoreBuilder) -> None:
    (store.root / "gens/evaluation/v_0").rename(store.root / "gens/evaluation/v 0")


def a_file_for_a_folder(store: StoreBuilder) -> None:
    path = store.root / "gens/evaluation/v_0/raw.txt"
    path.unlink()
    path.symlink_to(path)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        pytest.param(torn_metadata, "its metadata.json is missing or unusable", id="torn metadata"),
        pytest.param(another_reply, "its raw.txt is not the reply that raw_metadata.json records", id="torn reply"),
        pytest.param(no_id, "its name is not a valid id", id="no id"),
        pytest.param(a_file_for_a_folder, "it cannot be read", id="a link to itself"),
    ],
)
def test_a_damaged_folder_is_reported_and_stops_no_other(
    store: StoreBuilder, essay: str, harm: Callable[[StoreBuilder], None], message: str
) -> None:
    """Nothing in the damaged folder is changed; the next evaluation is scored."""
    for gen_id in ("v_0", "v_1"):
        store.evaluation(gen_id, essay, reply=REPLY_6, score=3.0)
    harm(store)
    report = again(store, write=True)
    assert report.counts == {Effect.DAMAGED: 1, Effect.CHANGED: 1}
    assert message in report.of(Effect.DAMAGED)[0].why
    assert store.read("gens/evaluation/v_1/parsed.txt") == "6.0\n"


def test_a_failed_write_is_reported_and_stops_no_other(store: StoreBuilder, essay: str, tmp_path: Path) -> None:
    """A folder that links out of the data root stays unchanged, and the command ends with an error."""
    for gen_id in ("v_0", "v_1"):
        store.evaluation(gen_id, essay, reply=REPLY_6, score=3.0)
    (store.root / "gens/evaluation/v_0").rename(tmp_path / "elsewhere")
    (store.root / "gens/evaluation/v_0").symlink_to(tmp_path / "elsewhere")
    report = again(store, write=True)
    assert report.counts == {Effect.NOT_WRITTEN: 1, Effect.CHANGED: 1}
    assert (tmp_path / "elsewhere" / "parsed.txt").read_text() == "3.0\n"
    with pytest.raises(StoreError, match="1 evaluation could not be written"):
        raise_unless_written(report)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        pytest.param({"cohort_id": "nowhere"}, "there is no cohort nowhere", id="unknown cohort"),
        pytest.param({"templates": ("noveltee", "x")}, 'Did you mean "novelty"?', id="unknown template"),
        pytest.param({}, 'there is no parser "in_lst_line". Did you mean "in_last_line"?', id="unknown parser"),
    ],
)
def test_wrong_inputs_are_reported_before_anything_is_written(
    store: StoreBuilder, essay: str, asked: dict[str, Any], message: str
) -> None:
    """All mistakes are in one message, and the store is unchanged."""
    store.evaluation("v_1", essay, reply=REPLY_6, score=3.0)
    if not asked:
        store.write("1_raw/evaluation_templates.csv", "template_id,parser,active\nnovelty,in_lst_line,true\n")
    tree = store.tree_hash()
    with pytest.raises(BadInput) as raised:
        again(store, write=True, **asked)
    assert message in str(raised.value)
    assert store.tree_hash() == tree


def test_an_unknown_parser_of_another_template_does_not_matter(store: StoreBuilder, essay: str) -> None:
    """Only the parsers of the requested templates must exist."""
    store.evaluation("v_1", essay, reply=REPLY_6, score=3.0)
    rows = "template_id,parser,active\nnovelty,,true\ncoherence,nobody,true\n"
    store.write("1_raw/evaluation_templates.csv", rows)
    assert again(store, templates=("novelty",)).counts == {Effect.CHANGED: 1}


def test_an_empty_store_has_nothing_to_do(store: StoreBuilder) -> None:
    """In an empty store no file is made."""
    tree = store.tree_hash()
    assert sum(again(store, write=True).counts.values()) == 0
    assert store.tree_hash() == tree


@pytest.fixture
def finished(store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer) -> StoreBuilder:
    """Return an aggregated cohort of three scored evaluations, two of which an older parser read differently.

    Scored again, v_1 becomes unscored, v_2 gets another score, and v_3 stays unchanged.
    """
    essay = store.essay(1)
    for number, reply in enumerate((REPLY_NONE, REPLY_6, "SCORE: 3"), start=1):
        store.evaluation(f"v_{number}", essay, replicate=number, score=3.0, reply=reply)
        put(store, f"v_{number}", "parsed_metadata.json", V1 | SIX | {"score": 3.0})
    assert dag.run(CONF).summary.complete
    aggregate_scores(store.root)
    for path in (store.root / "gens/evaluation").rglob("parsed.txt"):
        os.utime(path, (1, 1))
    judge_server.reset()
    return store


CONF = {"cohort_id": "c", "essay_ids": ["e_essay1"], "templates": ["novelty"], "models": ["judge-a"], "replicates": 3}


def test_new_verdicts_are_shown_everywhere(finished: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer) -> None:
    """Status, cohort page, `aggregate`, planning and evaluation page agree; a run then calls nobody."""
    head, *_ = finished.read("cohorts/c/membership.csv").splitlines()
    finished.write("cohorts/other/membership.csv", f"{head}\nevaluation,v_9,other,e_essay1,combo,novelty,judge-a,1\n")
    finished.write("cohorts/damaged/membership.csv", b"\xff\n")
    shown: list[str] = []
    report = again(finished, write=True, shown=shown)
    assert report.counts == {Effect.CHANGED: 2, Effect.RENEWED: 1}
    assert report.stale_cohorts == ("c",)
    assert "scores.csv and report.html of c." in shown[-1]

    [cell] = cohort_status(dag.settings, "c").cells
    assert (cell.counts[MemberState.SCORED], cell.counts[MemberState.UNSCORED]) == (2, 1)
    snapshot = {row.member.gen_id: row for row in read_snapshot(dag.settings, "c").rows}
    assert {gen_id: row.score for gen_id, row in snapshot.items()} == {"v_1": None, "v_2": 6.0, "v_3": 3.0}
    aggregate_scores(finished.root)
    rows = {row["gen_id"]: row for row in finished.rows("7_cross_experiment/aggregated_scores.csv")}
    assert [rows[f"v_{number}"]["score"] for number in (1, 2, 3)] == ["", "6.0", "3.0"]
    assert rows["v_1"]["error"] == f"unscored: {NO['reason']}"

    planned = dag.plan(CONF, run_id="run-2")
    assert {action: planned.count(action) for action in Action} == {
        Action.REUSE: 2,
        Action.PARSE: 0,
        Action.CALL: 0,
        Action.UNSCORED: 1,
    }
    run = dag.run_planned(planned, run_id="run-2")
    assert run.summary.to_xcom()["unscored"] == 1
    assert {row["gen_id"]: row["score"] for row in finished.rows("cohorts/c/scores.csv")} == {
        "v_1": "",
        "v_2": "6.0",
        "v_3": "3.0",
    }
    assert judge_server.calls() == 0

    record = read_evaluation(GensDataLayer.from_root(finished.root), "v_1")
    assert (record.shown.state, record.shown.reason) == (MemberState.UNSCORED, NO["reason"])
    assert {file.name: file.text for file in record.former if file.name.endswith(".txt")} == {"parsed.1.txt": "3.0\n"}
    assert [file.name for file in record.former] == ["parsed.1.txt", "parsed_metadata.1.json"]


def test_a_refused_reply_may_be_asked_for_again(
    finished: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """With retry_unscored the judge is called once for it; all history stays."""
    again(finished, write=True)
    judge_server.faults({"fault": "reply", "content": "SCORE: 8"})
    dag.run({**CONF, "retry_unscored": True}, run_id="run-2")
    assert judge_server.calls() == 1
    files = of(finished, "v_1")
    assert (files["parsed.txt"], files["parsed.1.txt"]) == ("8.0\n", "3.0\n")
    assert NO.items() <= files["parsed_metadata.2.json"].items()


def test_a_reply_in_temporary_files_is_left_to_its_cohort(store: StoreBuilder, essay: str) -> None:
    """It is skipped despite an older reply that could be scored: the newer reply, already paid for, comes first."""
    store.evaluation("v_1", essay, score=None, reply=REPLY_NONE)
    pending = "SCORE: 8"
    put(store, "v_1", ".raw.txt.0123456789ab.tmp", pending)
    sha = sha256(pending.encode()).hexdigest()
    put(store, "v_1", ".raw_metadata.json.0123456789ab.tmp", {"reply_sha256": sha})
    tree = store.tree_hash()
    [row] = again(store, write=True).of(Effect.SKIPPED)
    assert "is in temporary files" in row.why
    assert store.tree_hash() == tree


def test_a_failure_older_than_the_reply_is_removed(store: StoreBuilder, essay: str) -> None:
    """A crash left the failure.json; next to a verdict it would say that there is no reply."""
    store.evaluation("v_1", essay, score=None, reply=REPLY_NONE)
    put(store, "v_1", "failure.json", {"kind": "timeout", "message": "no answer", "attempts": 3})
    os.utime(store.root / "gens/evaluation/v_1/failure.json", (1, 1))
    again(store, write=True)
    look = read_evaluation(GensDataLayer.from_root(store.root), "v_1").shown
    assert (look.state, look.reason) == (MemberState.UNSCORED, NO["reason"])


REPARSING = """
import sys
from pathlib import Path
from essay_cohorts.domain import TaskRef
from essay_cohorts.reparsing.reparse import reparse
from essay_cohorts.reparsing.rules import ReparseRequest
from essay_cohorts.settings import Settings
task = TaskRef(dag_id="d", run_id="r", task_id="reparse", map_index=-1, try_number=1)
reparse(Settings(data_root=Path(sys.argv[1])), ReparseRequest(write=True), task)
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("point", [pytest.param(point, id=point) for point in REPLACING_POINTS])
def test_killed_at_a_point_and_started_again(store: StoreBuilder, essay: str, point: str, number: int) -> None:
    """The second `reparse --write` ends in the right state: scores, history and corrections are kept."""
    store.evaluation("v_1", essay, score=3.0, reply=REPLY_6)
    store.evaluation("v_2", essay, score=3.0, reply=REPLY_NONE)
    store.evaluation("v_3", essay, score=9.0, reply=REPLY_6)
    for gen_id in ("v_1", "v_2", "v_3"):
        put(store, gen_id, "parsed_metadata.json", V1 | SIX | {"score": 3.0})
    order = store.root.parent / "crash"
    order.write_text(f"{point} {number}", encoding="ascii")
    died = subprocess.run(
        [sys.executable, "-c", REPARSING, str(store.root)],
        cwd=PROJECT,
        env={**os.environ, **crash_environment(order)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert died.returncode == -signal.SIGKILL, died.stderr[-2000:]
    [by_hand] = again(store).of(Effect.BY_HAND)
    assert by_hand.gen_id == "v_3"
    again(store, write=True)
    old = V1 | SIX | {"score": 3.0}
    history = {"parsed.1.txt": "3.0\n", "parsed_metadata.1.json": old}
    assert of(store, "v_1") == {**history, "parsed.txt": "6.0\n", "parsed_metadata.json": BY_NOW}
    assert of(store, "v_2") == {**history, "parsed_metadata.json": NOW | NO}
    assert of(store, "v_3") == {"parsed.txt": "9.0\n", "parsed_metadata.json": old}
    assert again(store).counts == {Effect.UNCHANGED: 2, Effect.BY_HAND: 1}


def test_two_at_once_replace_each_verdict_once(store: StoreBuilder, essay: str) -> None:
    """Two processes on the same store write one history per evaluation and the right scores, and leave no claim."""
    old = V1 | SIX | {"score": 3.0}
    for number in range(150):
        store.evaluation(f"v_{number}", essay, score=3.0, reply=REPLY_6)
        put(store, f"v_{number}", "parsed_metadata.json", old)
    command = [sys.executable, "-c", REPARSING, str(store.root)]
    for process in [subprocess.Popen(command, cwd=PROJECT) for _ in range(2)]:
        assert process.wait(60) == 0
    again(store, write=True)
    right = {
        "parsed.1.txt": "3.0\n",
        "parsed_metadata.1.json": old,
        "parsed.txt": "6.0\n",
        "parsed_metadata.json": BY_NOW,
    }
    assert all(of(store, f"v_{number}") == right for number in range(150))
    assert not [name for name in store.files() if name.endswith(".tmp")]
    assert claimed_ids(store.root) == []


def test_a_long_reparse_logs_its_progress(
    store: StoreBuilder, essay: str, log_lines: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log has one line per so many replies, and the table is cut."""
    monkeypatch.setattr("essay_cohorts.reparsing.reparse._REPLIES_PER_LINE", 2)
    for number in range(5):
        store.evaluation(f"v_{number}", essay, score=3.0, reply=REPLY_6)
    shown: list[str] = []
    again(store, write=True, shown=shown, max_rows=3)
    assert "and 2 more" in shown[0]
    assert [line for line in log_lines() if "ledger" not in line] == [
        "2 evaluations read",
        "4 evaluations read",
        "2 of 5 written",
        "4 of 5 written",
    ]
