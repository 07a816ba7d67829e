"""Everything that the folder of one evaluation holds, however damaged the folder is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from essay_cohorts.domain import Cell, TaskRef
from essay_cohorts.errors import BadInput
from essay_cohorts.ids import evaluation_gen_id
from essay_cohorts.records import FailureRecord, ReplyRecord, VerdictRecord, task_of
from essay_cohorts.store.gens_data_layer import GensDataLayer
from essay_cohorts.views.evaluation_history import EvaluationRecord, FormerFile, read_evaluation
from essay_cohorts.views.evaluation_state import MemberState, ShownState
from tests.conftest import DAG_ID, PlayedDag, task_ref
from tests.judge_server import JudgeServer
from tests.store_builder import StoreBuilder

FOLDER = "gens/evaluation/v_1"
MADE_BY: dict[str, Any] = {
    "dag_id": DAG_ID,
    "run_id": "run-1",
    "task_id": "evaluation.evaluation_raw",
    "map_index": 3,
    "try_number": 2,
}
MAKER = task_ref("run-1", "evaluation.evaluation_raw", 2, 3)
JSON_FILES = ("metadata.json", "raw_metadata.json", "parsed_metadata.json", "failure.json", "call.json")
TEXT_FILES = ("prompt.txt", "input.txt", "raw.txt", "parsed.txt", "raw.1.txt", "parsed_metadata.1.json")


@pytest.fixture
def scored(store: StoreBuilder) -> StoreBuilder:
    """Return a store with an essay and its scored evaluation v_1."""
    store.evaluation("v_1", store.essay(1), replicate=2, reply="Fine.\nSCORE: 6.5\n", score=6.5)
    return store


def read(store: StoreBuilder, gen_id: str = "v_1") -> EvaluationRecord:
    """Return the record as it is now."""
    return read_evaluation(GensDataLayer.from_root(store.root), gen_id)


def test_a_scored_evaluation(scored: StoreBuilder) -> None:
    """The record has prompt, reply, score and essay."""
    scored.write(f"{FOLDER}/prompt.txt", "Judge this.")
    scored.json(f"{FOLDER}/raw_metadata.json", MADE_BY)
    scored.json(f"{FOLDER}/parsed_metadata.json", {"parser_name": "in_last_line", "success": True})
    record = read(scored)
    assert (record.gen_id, record.cell) == ("v_1", Cell("e_essay1", "novelty", "judge-a"))
    assert (record.replicate, record.origin_cohort_id) == (2, "old")
    assert record.shown == ShownState(state=MemberState.SCORED, score=6.5)
    assert (record.prompt, record.reply) == ("Judge this.", "Fine.\nSCORE: 6.5\n")
    assert record.essay == "Essay number 1.\n\nTides and ledgers.\n"
    assert record.reply_lines == ["Fine.", "SCORE: 6.5", ""]
    assert record.deciding_line == 1
    assert record.maker == MAKER
    assert (record.failure, record.former) == (FailureRecord(), ())
    assert record.verdict.fields["success"] is True
    assert record.metadata["mode"] == "llm"


def test_a_system_message(scored: StoreBuilder) -> None:
    """The system message is shown beside the prompt; a former one is among the former files."""
    scored.write(f"{FOLDER}/prompt.txt", "Judge this.")
    assert read(scored).system_prompt == ""
    scored.write(f"{FOLDER}/system_prompt.txt", "Be strict.")
    scored.write(f"{FOLDER}/system_prompt.1.txt", "Be kind.")
    record = read(scored)
    assert (record.prompt, record.system_prompt) == ("Judge this.", "Be strict.")
    assert record.former == (FormerFile(name="system_prompt.1.txt", number=1, text="Be kind."),)


def test_a_seed(store: StoreBuilder) -> None:
    """For an evaluation that was never called, what is missing is None or empty."""
    store.evaluation("v_1", "e_gone", score=None)
    record = read(store)
    assert (record.prompt, record.reply, record.essay) == (None, None, None)
    assert (record.reply_lines, record.deciding_line, record.maker) == ([""], None, None)
    assert (record.reply_record, record.verdict, record.failure) == (ReplyRecord(), VerdictRecord(), FailureRecord())
    assert record.former == ()
    assert record.shown.state is MemberState.NO_REPLY


def test_an_evaluation_as_a_run_leaves_it(store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer) -> None:
    """A refused reply called again with another prompt: the former reply, verdict and prompt are listed."""
    conf = {"cohort_id": "c", "templates": ["novelty"], "models": ["judge-a"], "essay_ids": [store.essay(1)]}
    gen_id = evaluation_gen_id("e_essay1", "novelty", "judge-a", 1)
    judge_server.faults({"fault": "reply", "content": "First.\nNo score."})
    dag.run({**conf, "replicates": 1})
    first = read(store, gen_id)
    assert (first.reply, first.deciding_line, first.former) == ("First.\nNo score.", None, ())
    store.write("1_raw/templates/evaluation/novelty.txt", "Anew: {{ response }}")
    judge_server.faults({"fault": "reply", "content": "Second.\n**SCORE: 8**\n"})
    dag.run({**conf, "replicates": 1, "retry_unscored": True}, run_id="run-2")
    record = read(store, gen_id)
    assert (record.shown.score, record.reply, record.deciding_line) == (8.0, "Second.\n**SCORE: 8**\n", 1)
    assert record.maker == task_ref("run-2", "evaluation.evaluation_raw", 1, 0)
    former = {file.name: file.text for file in record.former}
    assert list(former) == ["parsed_metadata.1.json", "prompt.1.txt", "raw.1.txt", "raw_metadata.1.json"]
    assert former["raw.1.txt"] == "First.\nNo score."
    assert former["prompt.1.txt"] == first.prompt != record.prompt
    assert task_of(json.loads(former["raw_metadata.1.json"])) == first.maker


def test_former_files_come_latest_first(scored: StoreBuilder) -> None:
    """Files are ordered by number, not by text; other files of the folder are not listed."""
    for name in ("raw.2.txt", "raw.10.txt", "prompt.2.txt", "parsed.1.txt"):
        scored.write(f"{FOLDER}/{name}", name)
    for name in ("raw.txt.1", "raw.x.txt", "notes.1.txt", "raw.1.txt~", "Raw.1.txt", ".raw.1.txt.a.tmp", "raw.².txt"):
        scored.write(f"{FOLDER}/{name}", "no")
    assert read(scored).former == tuple(
        FormerFile(name=name, number=number, text=name)
        for name, number in (("raw.10.txt", 10), ("prompt.2.txt", 2), ("raw.2.txt", 2), ("parsed.1.txt", 1))
    )


@pytest.mark.parametrize(
    "gen_id",
    [
        pytest.param(gen_id, id=repr(gen_id[:12]))
        for gen_id in ("", "..", ".", "../essay/e_essay1", "a/b", "/etc", "v 1", "v_1\n", "v_1\x00", "é", "v" * 101)
    ],
)
def test_what_cannot_be_an_id_is_refused(scored: StoreBuilder, gen_id: str) -> None:
    """A name that is not an id never becomes a path."""
    with pytest.raises(BadInput, match="is not a valid id"):
        read(scored, gen_id)


def test_a_missing_evaluation(scored: StoreBuilder) -> None:
    """The error names the evaluation; a file in place of its folder is not an evaluation."""
    scored.write("gens/evaluation/v_file", "")
    for gen_id in ("v_2", "v_file"):
        with pytest.raises(BadInput, match=f"no evaluation {gen_id}"):
            read(scored, gen_id)


@pytest.mark.parametrize(
    ("record", "verdict", "line"),
    [
        pytest.param({}, {}, 1, id="no record at all"),
        pytest.param({}, {"parser_name": "in_last_line"}, 1, id="by its parser"),
        pytest.param({}, {"parser_name": 5}, 1, id="a name that is no text"),
        pytest.param({}, {"parser_name": "in_first_line"}, None, id="a parser that is gone"),
        pytest.param({"truncated": True}, {}, None, id="cut off"),
        pytest.param({"finish_reason": "length"}, {}, None, id="cut off, as others write it"),
    ],
)
def test_which_line_decided(
    scored: StoreBuilder, record: dict[str, Any], verdict: dict[str, Any], line: int | None
) -> None:
    """The deciding line is the line that the reply's own parser reads; a truncated reply has none."""
    scored.json(f"{FOLDER}/raw_metadata.json", record)
    scored.json(f"{FOLDER}/parsed_metadata.json", verdict)
    assert read(scored).deciding_line == line


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, MAKER, id="whole"),
        pytest.param({"dag_id": None}, None, id="no DAG"),
        pytest.param({"run_id": ""}, None, id="no run"),
        pytest.param({"task_id": 5}, None, id="a task that is no text"),
        pytest.param({"map_index": None}, task_ref("run-1", MAKER.task_id, 2, -1), id="not mapped"),
        pytest.param({"map_index": 0}, task_ref("run-1", MAKER.task_id, 2, 0), id="the first"),
        pytest.param({"map_index": True}, task_ref("run-1", MAKER.task_id, 2, -1), id="true is no index"),
        pytest.param({"map_index": -7}, task_ref("run-1", MAKER.task_id, 2, -1), id="below -1"),
        pytest.param({"map_index": 3.0}, task_ref("run-1", MAKER.task_id, 2, -1), id="a float"),
        pytest.param({"map_index": "3"}, task_ref("run-1", MAKER.task_id, 2, -1), id="a text"),
        pytest.param({"try_number": None}, task_ref("run-1", MAKER.task_id, 1, 3), id="no try"),
        pytest.param({"try_number": True}, task_ref("run-1", MAKER.task_id, 1, 3), id="true is no number"),
        pytest.param({"try_number": 0}, task_ref("run-1", MAKER.task_id, 1, 3), id="tries begin at 1"),
    ],
)
def test_the_task_of_a_record(changes: dict[str, Any], expected: TaskRef | None) -> None:
    """A try is named by DAG, run and task; invalid values of other fields are ignored."""
    record = {key: value for key, value in {**MADE_BY, **changes}.items() if value is not None}
    assert task_of(record) == expected


def test_without_a_reply_the_failure_names_the_task(store: StoreBuilder) -> None:
    """Without a reply, the task is that of the failure; with a reply, that of the reply."""
    store.evaluation("v_1", store.essay(1), score=None)
    store.json(f"{FOLDER}/failure.json", {**MADE_BY, "attempts": 3, "message": "no"})
    assert read(store).maker == MAKER
    store.json(f"{FOLDER}/raw_metadata.json", {**MADE_BY, "run_id": "run-0"})
    assert read(store).maker == task_ref("run-0", MAKER.task_id, 2, 3)


# ---------------------------------------------------------------- damage


@pytest.mark.parametrize("name", [pytest.param(name, id=name) for name in JSON_FILES + TEXT_FILES])
@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{", id="torn"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b"\xff\x00\xfe", id="no text"),
        pytest.param(b'{"parent_gen_id": "../../x", "message": "\\ud800", "attempts": 1e999}', id="odd values"),
        pytest.param(None, id="a folder"),
    ],
)
def test_damaged_files_are_shown_as_they_are(scored: StoreBuilder, name: str, content: bytes | None) -> None:
    """Whatever one file is, the other files are still shown."""
    path = scored.root / FOLDER / name
    if content is None:
        path.unlink(missing_ok=True)
        path.mkdir()
    else:
        scored.write(f"{FOLDER}/{name}", content)
    record = read(scored)
    assert record.gen_id == "v_1"
    assert (record.reply == "Fine.\nSCORE: 6.5\n") is (name != "raw.txt")
    assert (record.shown.score == 6.5) is (name != "parsed.txt")
    assert (record.cell is not None) is (name != "metadata.json")
    assert len(record.former) == ("1" in name)


def test_a_former_file_that_leads_nowhere(scored: StoreBuilder) -> None:
    """A former file that is a broken link is listed without a text."""
    (scored.root / FOLDER / "raw.1.txt").symlink_to("gone")
    assert read(scored).former == (FormerFile(name="raw.1.txt", number=1, text=""),)


def test_an_invalid_essay_id_is_not_looked_up(scored: StoreBuilder) -> None:
    """A parent that is not an id never becomes a path, even if such a file exists."""
    scored.write("gens/secret/parsed.txt", "secret")
    scored.evaluation("v_2", "../secret")
    record = read(scored, "v_2")
    assert (record.cell, record.essay) == (Cell("../secret", "novelty", "judge-a"), None)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["e_1", DAG_ID]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
keys = st.sampled_from(
    [
        *(*MADE_BY, "parent_gen_id", "template_id", "llm_model_id", "replicate", "origin_cohort_id", "truncated"),
        *("finish_reason", "parser_name", "success", "reason", "kind", "message", "attempts", "caller"),
    ]
)


@settings(deadline=None, max_examples=100)
@given(st.dictionaries(st.sampled_from(JSON_FILES), st.dictionaries(keys, values)), st.none() | st.text(max_size=30))
def test_no_values_make_reading_fail(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, dict[str, Any]], reply: str | None
) -> None:
    """Whatever JSON the files hold, there is a record, and a deciding line is one of the reply's lines."""
    store = StoreBuilder(Path(tmp_path_factory.mktemp("data")))
    store.write(f"{FOLDER}/notes", "")
    for name, record in files.items():
        store.write(f"{FOLDER}/{name}", json.dumps(record))
    if reply is not None:
        store.write(f"{FOLDER}/raw.txt", reply)
    found = read(store)
    assert found.reply == reply
    assert found.deciding_line is None or "score" in found.reply_lines[found.deciding_line].lower()
    maker = found.maker
    assert maker is None or (maker.map_index >= -1 and maker.try_number >= 1 and maker.run.run_id)
