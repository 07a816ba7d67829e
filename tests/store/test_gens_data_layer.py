"""Tests of the gens store: how its own and other programs' files are read, and what is never overwritten."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from essay_cohorts.calls import Prompt
from essay_cohorts.domain import Cell, Generation, ParserRef, Progress, RunRef, Stage, StoredEvaluation
from essay_cohorts.errors import StoreError
from essay_cohorts.store.gens_data_layer import GensDataLayer
from tests.conftest import killed_before
from tests.store_builder import StoreBuilder

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
BAD_IDS = ("../v_1", "..", ".", "", "a/b", ".hidden", "/etc/passwd", "v_1\n", "v_1\x00", "é", "a" * 101, " v_1")
PROMPT = Prompt(text="x")
SEED = {
    "stage": "evaluation",
    "gen_id": "v_1",
    "origin_cohort_id": "novelty_v2",
    "mode": "llm",
    "template_id": "novelty",
    "combo_id": "combo-é",
    "parent_gen_id": "e_1",
    "llm_model_id": "judge-a",
    "replicate": 1,
}


@pytest.fixture
def layer(store: StoreBuilder) -> GensDataLayer:
    """Return the data layer over `store`."""
    return GensDataLayer.from_root(store.root)


def found(layer: GensDataLayer, *essay_ids: str) -> dict[str, StoredEvaluation]:
    """Return the scanned evaluations by gen_id."""
    return {one.gen_id: one for one in layer.scan_evaluations(set(essay_ids)).evaluations}


def files(store: StoreBuilder, gen_id: str) -> dict[str, str]:
    """Return the texts of an evaluation's files by name."""
    folder = store.root / "gens" / "evaluation" / gen_id
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.iterdir())}


# ---------------------------------------------------------------- ids become paths


@pytest.mark.parametrize("gen_id", [pytest.param(gen_id, id=repr(gen_id[:12])) for gen_id in BAD_IDS])
@pytest.mark.parametrize(
    "use",
    [
        pytest.param(lambda layer, gen_id: layer.exists(Stage.ESSAY, gen_id), id="exists"),
        pytest.param(lambda layer, gen_id: layer.evaluation(gen_id).is_parsed(), id="parsed_exists"),
        pytest.param(lambda layer, gen_id: layer.evaluation(gen_id).parsed_at(), id="parsed_at"),
        pytest.param(lambda layer, gen_id: layer.evaluation(gen_id).former_text("raw.1.txt"), id="former_text"),
        pytest.param(lambda layer, gen_id: layer.metadata(Stage.DRAFT, gen_id), id="metadata"),
        pytest.param(lambda layer, gen_id: layer.parsed_text(Stage.ESSAY, gen_id), id="parsed_text"),
        pytest.param(lambda layer, gen_id: layer.evaluation(gen_id).whole_prompt(), id="prompt"),
        pytest.param(lambda layer, gen_id: layer.evaluation(gen_id).reply(), id="reply"),
        pytest.param(lambda layer, gen_id: layer.evaluation(gen_id).complete_reply(), id="complete_reply"),
        pytest.param(lambda layer, gen_id: layer.evaluation(gen_id).stage_seed(SEED), id="stage_seed"),
        pytest.param(
            lambda layer, gen_id: layer.evaluation(gen_id).write_prompt(Prompt(text="x")), id="write_prompt"
        ),
        pytest.param(lambda layer, gen_id: layer.evaluation(gen_id).store_reply("x", {}), id="store_reply"),
        pytest.param(lambda layer, gen_id: layer.evaluation(gen_id).write_verdict({}), id="write_verdict"),
        pytest.param(lambda layer, gen_id: layer.evaluation(gen_id).write_score("1.0\n", {}), id="write_score"),
        pytest.param(lambda layer, gen_id: layer.evaluation(gen_id).write_failure({}), id="write_failure"),
        pytest.param(lambda layer, gen_id: gen_id in layer.occupied(), id="occupied"),
    ],
)
def test_invalid_ids_are_refused_before_a_path_is_joined(
    store: StoreBuilder, layer: GensDataLayer, use: Callable[[GensDataLayer, str], object], gen_id: str
) -> None:
    """Reading or writing under an invalid id is a StoreError, and no file is touched."""
    before = store.tree_hash()
    with pytest.raises(StoreError, match="is not a valid"):
        use(layer, gen_id)
    assert store.tree_hash() == before


# ---------------------------------------------------------------- what exists


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(None, False, id="no file"),
        pytest.param("", False, id="empty: a torn write of an older program"),
        pytest.param("7.0\n", True, id="a score"),
        pytest.param("x", True, id="anything else"),
    ],
)
def test_parsed_exists(store: StoreBuilder, layer: GensDataLayer, content: str | None, expected: bool) -> None:
    """An evaluation is parsed if its parsed.txt is not empty, whatever other files it has."""
    if content is not None:
        store.write("gens/evaluation/x_1/parsed.txt", content)
    assert layer.evaluation("x_1").is_parsed() is expected


@pytest.mark.parametrize(
    ("content", "time"),
    [
        pytest.param(None, None, id="no file"),
        pytest.param("", None, id="empty"),
        pytest.param("7.0\n", 4_000_000_000_123_456_789, id="to the nanosecond"),
    ],
)
def test_when_a_score_was_written(
    store: StoreBuilder, layer: GensDataLayer, content: str | None, time: int | None
) -> None:
    """The time of a score is the time of its parsed.txt; an empty file counts as missing."""
    if content is not None:
        path = store.write("gens/evaluation/v_1/parsed.txt", content)
        os.utime(path, ns=(time or 5, time or 5))
    assert layer.evaluation("v_1").parsed_at() == time
    assert layer.evaluation("v_1").is_parsed() is (time is not None)


def test_a_copied_score_has_the_time_of_its_copying(store: StoreBuilder, layer: GensDataLayer) -> None:
    """A copied parsed.txt keeps its old modification time, so the time of the copying counts."""
    path = store.write("gens/evaluation/v_1/parsed.txt", "7.0\n")
    os.utime(path, ns=(5, 5))
    assert layer.evaluation("v_1").parsed_at() == path.stat().st_ctime_ns


@pytest.mark.parametrize(
    ("content", "text"),
    [
        pytest.param("SCORE: 7\r\n", "SCORE: 7\r\n", id="as it is"),
        pytest.param(b"Caf\xe9", "Caf\ufffd", id="bytes that are not text"),
        pytest.param("", "", id="empty"),
        pytest.param(None, None, id="missing"),
    ],
)
def test_a_former_file(
    store: StoreBuilder, layer: GensDataLayer, content: str | bytes | None, text: str | None
) -> None:
    """A former file is read by its name; a missing file gives None."""
    if content is not None:
        store.write("gens/evaluation/v_1/raw.1.txt", content)
    assert layer.evaluation("v_1").former_text("raw.1.txt") == text


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, id=repr(name))
        for name in ("../v_2/raw.txt", "a/../../v_2/raw.txt", "/etc/passwd", "./raw.txt", ".", "raw.txt/")
    ],
)
def test_a_former_file_is_never_outside_of_its_folder(store: StoreBuilder, layer: GensDataLayer, name: str) -> None:
    """A path is not accepted as the name of a former file."""
    store.write("gens/evaluation/v_2/raw.txt", "another's")
    store.write("gens/evaluation/v_1/raw.txt", "its own")
    with pytest.raises(StoreError, match="is not a file of v_1"):
        layer.evaluation("v_1").former_text(name)


@pytest.mark.parametrize("name", [pytest.param(name, id=repr(name)) for name in ("", "..")])
def test_a_folder_is_not_a_former_file(store: StoreBuilder, layer: GensDataLayer, name: str) -> None:
    """The name of a folder gives None."""
    store.write("gens/evaluation/v_1/raw.txt", "its own")
    assert layer.evaluation("v_1").former_text(name) is None


def test_a_generation_exists_only_in_its_stage(store: StoreBuilder, layer: GensDataLayer) -> None:
    """An id exists only in its own stage, even if its folder is empty."""
    (store.root / "gens" / "essay" / "e_1").mkdir(parents=True)
    assert layer.exists(Stage.ESSAY, "e_1")
    assert not layer.exists(Stage.DRAFT, "e_1")
    assert not layer.exists(Stage.ESSAY, "e_2")


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        pytest.param(
            {"parent_gen_id": "d_1", "combo_id": "c", "template_id": "t", "llm_model_id": "w", "replicate": 2},
            Generation(
                gen_id="e_1", parent_gen_id="d_1", combo_id="c", template_id="t", llm_model_id="w", replicate=2
            ),
            id="all there",
        ),
        pytest.param(
            {"parent_gen_id": "d_1", "essay_template": "old"},
            Generation(
                gen_id="e_1", parent_gen_id="d_1", combo_id="", template_id="old", llm_model_id="", replicate=1
            ),
            id="an older store",
        ),
        pytest.param(
            {"parent_gen_id": 7, "replicate": "x"},
            Generation(gen_id="e_1", parent_gen_id="", combo_id="", template_id="", llm_model_id="", replicate=1),
            id="other types",
        ),
    ],
)
def test_a_source_generation(
    store: StoreBuilder, layer: GensDataLayer, metadata: dict[str, Any], expected: Generation
) -> None:
    """Missing or invalid fields of an essay's metadata are empty; a missing replicate is 1."""
    store.json("gens/essay/e_1/metadata.json", metadata)
    assert layer.generation(Stage.ESSAY, "e_1") == expected


def test_a_source_generation_without_metadata(layer: GensDataLayer) -> None:
    """A draft that does not exist has no metadata."""
    assert layer.generation(Stage.DRAFT, "d_1") is None


# ---------------------------------------------------------------- the scan


def test_scan_finds_exactly_the_selected_essays_evaluations(store: StoreBuilder, layer: GensDataLayer) -> None:
    """The scan finds all evaluations of the selected essays and no others, whatever their template, model and id."""
    first, second, other = (store.essay(n) for n in (1, 2, 3))
    store.evaluation("v_a", first)
    store.evaluation("43ftibqi56628az1", first, template="coherence", model="judge-b", replicate=3)
    store.evaluation("v_c", second, score=None)
    store.evaluation("v_d", other)
    store.evaluation("v_e", first.upper())
    assert set(found(layer, first, second)) == {"v_a", "43ftibqi56628az1", "v_c"}
    assert found(layer) == {}


def test_scan_of_a_store_without_evaluations(layer: GensDataLayer) -> None:
    """A new store without evaluations gives an empty scan without a warning."""
    assert layer.scan_evaluations({"e_1"}).evaluations == ()
    assert layer.scan_evaluations({"e_1"}).warnings == ()


def test_a_store_of_another_program(store: StoreBuilder, layer: GensDataLayer) -> None:
    """Another program's evaluation with `input.txt`, `evaluation_template` and no replicate is read like our own."""
    essay = store.essay(1)
    store.json(
        "gens/evaluation/43ftibqi56628az1/metadata.json",
        {"parent_gen_id": essay, "evaluation_template": "novelty", "llm_model_id": "judge-a"},
    )
    store.write("gens/evaluation/43ftibqi56628az1/input.txt", "the prompt")
    store.write("gens/evaluation/43ftibqi56628az1/raw.txt", "SCORE: 7")
    store.write("gens/evaluation/43ftibqi56628az1/parsed.txt", "7.0\n")
    assert found(layer, essay) == {
        "43ftibqi56628az1": StoredEvaluation(
            gen_id="43ftibqi56628az1",
            cell=Cell(essay, "novelty", "judge-a"),
            replicate=1,
            origin_cohort_id="",
            progress=Progress.PARSED,
        )
    }
    assert layer.evaluation("43ftibqi56628az1").whole_prompt() == Prompt(text="the prompt")


def test_template_id_wins_over_its_former_name(store: StoreBuilder, layer: GensDataLayer) -> None:
    """`template_id` takes precedence over the former name `evaluation_template`."""
    store.evaluation("v_1", "e_1", template="new", more={"evaluation_template": "old"})
    assert found(layer, "e_1")["v_1"].cell.template_id == "new"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(1, 1, id="1"),
        pytest.param(12, 12, id="12"),
        pytest.param("3", 3, id="digits as text"),
        pytest.param(0, None, id="0"),
        pytest.param(-1, None, id="negative"),
        pytest.param(1.5, None, id="a fraction"),
        pytest.param(True, None, id="a boolean"),
        pytest.param(None, None, id="null"),
        pytest.param("x", None, id="a word"),
        pytest.param("²", None, id="a superscript digit"),
        pytest.param([1], None, id="a list"),
        pytest.param(
            "9" * 5000,
            None,
            id="5,000 digits",
        ),
    ],
)
def test_replicate(store: StoreBuilder, layer: GensDataLayer, value: object, expected: int | None) -> None:
    """A replicate is a whole number from 1; any other value gives a warning, and the evaluation is left out."""
    store.evaluation("v_1", "e_1", more={"replicate": value})
    scan = layer.scan_evaluations({"e_1"})
    assert [one.replicate for one in scan.evaluations] == ([] if expected is None else [expected])
    assert len(scan.warnings) == (expected is None)


def _write_metadata(content: str | bytes) -> Callable[[StoreBuilder], object]:
    return lambda store: store.write("gens/evaluation/v_1/metadata.json", content)


def _without(key: str) -> Callable[[StoreBuilder], object]:
    return lambda store: store.json("gens/evaluation/v_1/metadata.json", {k: v for k, v in SEED.items() if k != key})


def _with(key: str, value: object) -> Callable[[StoreBuilder], object]:
    return lambda store: store.json("gens/evaluation/v_1/metadata.json", {**SEED, key: value})


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda store: (store.root / "gens/evaluation/v_1").mkdir(parents=True), id="no metadata"),
        pytest.param(_write_metadata(""), id="empty"),
        pytest.param(_write_metadata("{"), id="torn"),
        pytest.param(_write_metadata("[]"), id="a list"),
        pytest.param(_write_metadata("null"), id="null"),
        pytest.param(_write_metadata(b"\xff\xfe\x00"), id="not UTF-8"),
        pytest.param(
            _write_metadata('{"parent_gen_id": "e_1", "replicate": ' + "9" * 5000 + "}"), id="a huge number"
        ),
        pytest.param(_without("parent_gen_id"), id="no parent"),
        pytest.param(_without("template_id"), id="no template"),
        pytest.param(_without("llm_model_id"), id="no model"),
        pytest.param(_with("template_id", ""), id="empty template"),
        pytest.param(_with("llm_model_id", 5), id="a number as model"),
        pytest.param(
            lambda store: (store.root / "gens/evaluation/v_1/metadata.json").mkdir(parents=True),
            id="a folder",
        ),
        pytest.param(
            _write_metadata("[" * 100_000),
            id="nested too deep",
        ),
    ],
)
def test_broken_metadata(store: StoreBuilder, layer: GensDataLayer, damage: Callable[[StoreBuilder], object]) -> None:
    """A folder with unusable metadata is left out with a warning, and its id is still occupied."""
    damage(store)
    store.evaluation("v_2", "e_1")
    scan = layer.scan_evaluations({"e_1"})
    assert [one.gen_id for one in scan.evaluations] == ["v_2"]
    [warning] = scan.warnings
    assert warning.startswith("gens/evaluation/v_1:")
    assert "v_1" in layer.occupied()


def test_folder_names_that_are_not_ids(store: StoreBuilder, layer: GensDataLayer) -> None:
    """A folder with an invalid name gives a warning and is not read; hidden folders and files are ignored."""
    for name in ("-x", "a b", "é"):
        store.json(f"gens/evaluation/{name}/metadata.json", {**SEED, "gen_id": name})
    store.json("gens/evaluation/.v_9.abc.tmp/metadata.json", SEED)
    store.write("gens/evaluation/README", "about")
    scan = layer.scan_evaluations({"e_1"})
    assert scan.evaluations == ()
    assert [warning.split(":")[0] for warning in scan.warnings] == [
        "gens/evaluation/-x",
        "gens/evaluation/a b",
        "gens/evaluation/é",
    ]


def test_a_file_occupies_its_name(store: StoreBuilder, layer: GensDataLayer) -> None:
    """A file in the place of an evaluation's folder also occupies the gen_id."""
    store.write("gens/evaluation/v_1", "a stray file")
    assert "v_1" in layer.occupied()


@pytest.mark.parametrize(
    ("build", "progress", "refused_by", "refusal"),
    [
        pytest.param({}, Progress.PARSED, None, "", id="parsed"),
        pytest.param({"score": None}, Progress.NO_REPLY, None, "", id="only metadata"),
        pytest.param({"score": None, "reply": "SCORE: 5"}, Progress.REPLIED, None, "", id="a reply"),
        pytest.param({"score": None, "reply": ""}, Progress.REPLIED, None, "", id="an empty reply is a reply"),
        pytest.param(
            {"score": None, "reply": "hm", "refused": "no score"},
            Progress.REPLIED,
            ParserRef("in_last_line", "2"),
            "no score",
            id="refused",
        ),
    ],
)
def test_progress(
    store: StoreBuilder,
    layer: GensDataLayer,
    build: dict[str, Any],
    progress: Progress,
    refused_by: ParserRef | None,
    refusal: str,
) -> None:
    """The progress of an evaluation, the refusing parser and the reason are read from its files."""
    store.evaluation("v_1", "e_1", **build)
    one = found(layer, "e_1")["v_1"]
    assert (one.progress, one.refused_by, one.refusal) == (progress, refused_by, refusal)


def test_the_run_that_bought_a_refused_reply(store: StoreBuilder, layer: GensDataLayer) -> None:
    """The scan returns the DagRun that paid for the reply."""
    store.evaluation("v_1", "e_1", score=None, reply="hm", refused="no score")
    store.json("gens/evaluation/v_1/raw_metadata.json", {"dag_id": "d", "run_id": "r"})
    assert found(layer, "e_1")["v_1"].reply_run == RunRef("d", "r")


def test_an_empty_parsed_txt_is_missing_and_warned_about(store: StoreBuilder, layer: GensDataLayer) -> None:
    """An empty parsed.txt, torn by an older program, counts as missing and gives a warning."""
    store.evaluation("v_1", "e_1", score=None, reply="SCORE: 5")
    store.write("gens/evaluation/v_1/parsed.txt", "")
    scan = layer.scan_evaluations({"e_1"})
    assert [one.progress for one in scan.evaluations] == [Progress.REPLIED]
    assert scan.warnings == ("gens/evaluation/v_1: its parsed.txt is empty; treated as missing.",)


def test_a_whole_reply_in_temporary_files_counts_as_a_reply(store: StoreBuilder, layer: GensDataLayer) -> None:
    """The scan finds a complete reply in a crash's temporary files, so that the reply is not paid for twice."""
    store.evaluation("v_1", "e_1", score=None)
    folder = store.root / "gens" / "evaluation" / "v_1"
    point = 1
    while killed_before(point, folder, lambda: layer.evaluation("v_1").store_reply("SCORE: 5\n", {})):
        if layer.evaluation("v_1").has_pending_reply():
            break
        point += 1
    assert not layer.evaluation("v_1").has_reply()
    assert found(layer, "e_1")["v_1"].progress is Progress.REPLIED


# ---------------------------------------------------------------- texts


def test_prompt_txt_wins_over_input_txt(store: StoreBuilder, layer: GensDataLayer) -> None:
    """prompt.txt takes precedence over input.txt, even if prompt.txt is empty."""
    assert layer.evaluation("v_1").whole_prompt() is None
    store.write("gens/evaluation/v_1/input.txt", "old")
    assert layer.evaluation("v_1").whole_prompt() == Prompt(text="old")
    store.write("gens/evaluation/v_1/prompt.txt", "")
    assert layer.evaluation("v_1").whole_prompt() == Prompt(text="")


def test_write_prompt(store: StoreBuilder, layer: GensDataLayer) -> None:
    """A prompt is written to prompt.txt byte for byte, and an existing input.txt is not changed."""
    store.write("gens/evaluation/v_1/input.txt", "old")
    layer.evaluation("v_1").write_prompt(Prompt(text="new\r\né\n"))
    assert (store.root / "gens/evaluation/v_1/prompt.txt").read_bytes() == "new\r\né\n".encode()
    assert store.read("gens/evaluation/v_1/input.txt") == "old"


@pytest.mark.parametrize("name", [pytest.param(name, id=name) for name in ("prompt.txt", "input.txt")])
def test_the_same_prompt_is_not_written_again(store: StoreBuilder, layer: GensDataLayer, name: str) -> None:
    """A prompt that already exists under either name is not written again."""
    store.write(f"gens/evaluation/v_1/{name}", "the prompt")
    before = store.tree_hash()
    layer.evaluation("v_1").write_prompt(Prompt(text="the prompt"))
    assert store.tree_hash() == before


def test_a_system_message_goes_with_its_prompt(store: StoreBuilder, layer: GensDataLayer) -> None:
    """Prompt and system message are replaced together. If a reply exists, the former texts are kept."""
    store.evaluation("v_1", "e_1", score=None)
    folder = store.root / "gens/evaluation/v_1"
    layer.evaluation("v_1").write_prompt(Prompt(text="user", system="system"))
    assert layer.evaluation("v_1").whole_prompt() == Prompt(text="user", system="system")
    assert layer.evaluation("v_1").is_untouched()
    before = store.tree_hash()
    layer.evaluation("v_1").write_prompt(Prompt(text="user", system="system"))
    assert store.tree_hash() == before
    store.write("gens/evaluation/v_1/raw.txt", "SCORE: 3")
    assert layer.evaluation("v_1").is_clean_reply()
    layer.evaluation("v_1").write_prompt(Prompt(text="user"))
    assert layer.evaluation("v_1").whole_prompt() == Prompt(text="user")
    kept = {path.name: path.read_text() for path in folder.iterdir() if "prompt" in path.name}
    assert kept == {"prompt.txt": "user", "prompt.1.txt": "user", "system_prompt.1.txt": "system"}


def test_no_prompt_is_left_when_the_system_message_cannot_be_written(
    store: StoreBuilder, layer: GensDataLayer
) -> None:
    """After a failed write there is no prompt, so that no call combines a new text with a former one."""
    store.evaluation("v_1", "e_1", score=None)
    layer.evaluation("v_1").write_prompt(Prompt(text="former"))
    store.write("gens/evaluation/v_1/system_prompt.txt/x", "in the way")
    with pytest.raises(StoreError):
        layer.evaluation("v_1").write_prompt(Prompt(text="new", system="system"))
    assert layer.evaluation("v_1").whole_prompt() is None


def test_a_dropped_prompt_is_dropped_whole(store: StoreBuilder, layer: GensDataLayer) -> None:
    """Dropping a prompt removes its system message too."""
    store.evaluation("v_1", "e_1", score=None)
    layer.evaluation("v_1").write_prompt(Prompt(text="user", system="system"))
    layer.evaluation("v_1").drop_prompt()
    assert layer.evaluation("v_1").file_names() == {"metadata.json"}


@pytest.mark.parametrize(
    ("record", "finish_reason"),
    [
        pytest.param({"finish_reason": "stop", "truncated": False}, "stop", id="whole"),
        pytest.param({"truncated": True}, "length", id="marked"),
        pytest.param({"finish_reason": "length"}, "length", id="another program's store"),
        pytest.param({"finish_reason": "content_filter"}, "content_filter", id="filtered"),
        pytest.param(None, "", id="no record"),
    ],
)
def test_reply(store: StoreBuilder, layer: GensDataLayer, record: dict[str, Any] | None, finish_reason: str) -> None:
    """A stored reply has its text and its finish reason."""
    store.evaluation("v_1", "e_1", score=None, reply="the reply")
    if record is not None:
        store.json("gens/evaluation/v_1/raw_metadata.json", record)
    reply = layer.evaluation("v_1").reply()
    assert reply is not None
    assert (reply.text, reply.finish_reason) == ("the reply", finish_reason)


def test_no_reply(store: StoreBuilder, layer: GensDataLayer) -> None:
    """Without raw.txt there is no reply; missing or damaged records are empty."""
    store.evaluation("v_1", "e_1", score=None)
    store.write("gens/evaluation/v_1/raw_metadata.json", "{")
    assert layer.evaluation("v_1").reply() is None
    evaluation = layer.evaluation("v_1")
    assert not (evaluation.reply_record())
    assert not (evaluation.verdict_record())
    assert not (evaluation.failure_record())


# ---------------------------------------------------------------- seeds


def seed(layer: GensDataLayer, metadata: dict[str, Any]) -> None:
    """Stage and place the seed of v_1."""
    layer.evaluation("v_1").place_seed(layer.evaluation("v_1").stage_seed(metadata), metadata)


def test_seed_is_as_the_format_says(store: StoreBuilder, layer: GensDataLayer) -> None:
    """A seeded folder holds only metadata.json, which equals the golden file byte for byte."""
    seed(layer, SEED)
    assert list(files(store, "v_1")) == ["metadata.json"]
    assert (store.root / "gens/evaluation/v_1/metadata.json").read_bytes() == (
        GOLDEN / "gens_data_layer_metadata.json"
    ).read_bytes()


def test_the_same_seed_twice_changes_nothing(store: StoreBuilder, layer: GensDataLayer) -> None:
    """Seeding an existing evaluation again, as planning after a crash does, changes nothing."""
    seed(layer, SEED)
    before = store.tree_hash()
    seed(layer, {**SEED, "origin_cohort_id": "another", "combo_id": "changed"})
    assert store.tree_hash() == before


def test_what_a_dead_planner_left_is_cleared_and_nothing_else(
    store: StoreBuilder, layer: GensDataLayer, tmp_path: Path
) -> None:
    """Unfinished seeds are removed; a hidden evaluation, a link and a folder with other files are kept."""
    store.evaluation("v_1", "e_1")
    store.write("gens/evaluation/.v_torn.0123456789ab.tmp/metadata.json", "{")
    (store.root / "gens/evaluation/.v_empty.0123456789ab.tmp").mkdir()
    kept = {
        store.write("gens/evaluation/.v_hidden/metadata.json", "{}"),
        store.write("gens/evaluation/.v_full.0123456789ab.tmp/metadata.json", "{}"),
        store.write("gens/evaluation/.v_full.0123456789ab.tmp/raw.txt", "paid for"),
    }
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/metadata.json").write_text("{}")
    link = store.root / "gens/evaluation/.v_link.0123456789ab.tmp"
    link.symlink_to(tmp_path / "outside")
    layer.drop_unfinished_seeds()
    assert all(path.exists() for path in (*kept, link / "metadata.json"))
    assert {path.name for path in (store.root / "gens/evaluation").iterdir()} == {
        "v_1",
        ".v_hidden",
        ".v_full.0123456789ab.tmp",
        ".v_link.0123456789ab.tmp",
    }


@pytest.mark.parametrize(
    "present",
    [
        *(
            pytest.param(json.dumps({**SEED, key: value}), id=f"another {key}")
            for key, value in (
                ("parent_gen_id", "e_2"),
                ("template_id", "coherence"),
                ("llm_model_id", "judge-b"),
                ("replicate", 2),
            )
        ),
        pytest.param("{", id="unreadable"),
    ],
)
def test_a_seed_never_replaces_another_generation(store: StoreBuilder, layer: GensDataLayer, present: str) -> None:
    """A folder with another evaluation is not changed: a StoreError names the folder and the next step."""
    store.write("gens/evaluation/v_1/metadata.json", present)
    before = store.tree_hash()
    with pytest.raises(StoreError, match="gens/evaluation/v_1 was taken by another evaluation") as caught:
        seed(layer, SEED)
    assert "trigger the run again" in str(caught.value)
    assert store.tree_hash() == before


def test_a_staged_seed_is_no_evaluation_yet(store: StoreBuilder, layer: GensDataLayer) -> None:
    """A staged seed is a temporary folder, which the next planner removes when nobody gives it its name."""
    layer.evaluation("v_1").stage_seed(SEED)
    assert layer.folder_names(Stage.EVALUATION) == []
    layer.drop_unfinished_seeds()
    assert list((store.root / "gens/evaluation").iterdir()) == []


def test_flush_of_a_store_without_evaluations(layer: GensDataLayer) -> None:
    """`flush` raises no error in a store without evaluations."""
    layer.flush()


def test_flush_of_a_missing_root_is_one_clear_error(tmp_path: Path) -> None:
    """When the data root is gone, `flush` says what to check."""
    with pytest.raises(StoreError, match="Check that the data root is still mounted"):
        GensDataLayer.from_root(tmp_path / "gone").flush()


# ---------------------------------------------------------------- verdicts and failures

REFUSAL = {"parser_name": "in_last_line", "parser_version": "1", "success": False, "score": None, "reason": "none"}
SCORED = {"parser_name": "in_last_line", "parser_version": "2", "success": True, "score": 7.0, "reason": ""}


def write_verdict(layer: GensDataLayer, record: dict[str, Any], score: str | None) -> None:
    """Write the verdict of v_1, and its score unless that is None."""
    layer.evaluation("v_1").write_verdict(record)
    if score is not None:
        layer.evaluation("v_1").write_score(score, record)


def test_a_score_is_written_last(store: StoreBuilder, layer: GensDataLayer) -> None:
    """parsed.txt is written after the verdict, so a kill never leaves parsed.txt without its verdict."""
    store.evaluation("v_1", "e_1", score=None, reply="SCORE: 7")
    folder = store.root / "gens" / "evaluation" / "v_1"
    point = 1
    while killed_before(point, folder, lambda: write_verdict(layer, SCORED, "7.0\n")):
        assert "parsed_metadata.json" in files(store, "v_1") or "parsed.txt" not in files(store, "v_1")
        point += 1
    assert files(store, "v_1")["parsed.txt"] == "7.0\n"
    assert json.loads(files(store, "v_1")["parsed_metadata.json"]) == SCORED


def test_a_score_of_another_verdict_is_not_written(store: StoreBuilder, layer: GensDataLayer) -> None:
    """When another process wrote another verdict meanwhile, the score of this one is not put beside it."""
    store.evaluation("v_1", "e_1", score=None, reply="SCORE: 7")
    layer.evaluation("v_1").write_verdict({**SCORED, "score": 6.0})
    layer.evaluation("v_1").write_score("7.0\n", SCORED)
    assert "parsed.txt" not in files(store, "v_1")


def test_a_verdict_that_utf8_cannot_store_gets_its_score(store: StoreBuilder, layer: GensDataLayer) -> None:
    """A reason with a lone surrogate, which the file holds replaced, does not keep the score out."""
    store.evaluation("v_1", "e_1", score=None, reply="SCORE: 7")
    write_verdict(layer, {**SCORED, "reason": "\ud800"}, "7.0\n")
    assert files(store, "v_1")["parsed.txt"] == "7.0\n"


def test_a_refusal_writes_no_score(store: StoreBuilder, layer: GensDataLayer) -> None:
    """A refused reply gets a verdict and no parsed.txt."""
    store.evaluation("v_1", "e_1", score=None, reply="hm")
    write_verdict(layer, REFUSAL, None)
    assert "parsed.txt" not in files(store, "v_1")
    assert layer.evaluation("v_1").verdict_record().fields == REFUSAL


def test_a_score_that_exists_stays(store: StoreBuilder, layer: GensDataLayer) -> None:
    """Writing a verdict changes neither an existing score nor its verdict."""
    store.evaluation("v_1", "e_1", score=6.0)
    before = store.tree_hash()
    write_verdict(layer, SCORED, "7.0\n")
    assert store.tree_hash() == before


def test_former_verdicts_are_kept(store: StoreBuilder, layer: GensDataLayer) -> None:
    """A different verdict on the same reply keeps the former one; an equal verdict changes nothing."""
    store.evaluation("v_1", "e_1", score=None, reply="hm")
    write_verdict(layer, REFUSAL, None)
    before = store.tree_hash()
    write_verdict(layer, REFUSAL, None)
    assert store.tree_hash() == before
    write_verdict(layer, {**REFUSAL, "reason": "another"}, None)
    write_verdict(layer, SCORED, "7.0\n")
    kept = files(store, "v_1")
    assert json.loads(kept["parsed_metadata.1.json"]) == REFUSAL
    assert json.loads(kept["parsed_metadata.2.json"])["reason"] == "another"
    assert json.loads(kept["parsed_metadata.json"]) == SCORED
    assert kept["parsed.txt"] == "7.0\n"


def test_an_empty_parsed_txt_is_replaced(store: StoreBuilder, layer: GensDataLayer) -> None:
    """An empty parsed.txt is replaced by the score."""
    store.evaluation("v_1", "e_1", score=None, reply="SCORE: 7")
    store.write("gens/evaluation/v_1/parsed.txt", "")
    write_verdict(layer, SCORED, "7.0\n")
    assert files(store, "v_1")["parsed.txt"] == "7.0\n"


def test_a_failure_is_replaced_by_the_next_and_removed_by_a_reply(store: StoreBuilder, layer: GensDataLayer) -> None:
    """failure.json describes only the last call, and a stored reply removes it."""
    store.evaluation("v_1", "e_1", score=None)
    layer.evaluation("v_1").write_failure({"kind": "timeout"})
    layer.evaluation("v_1").write_failure({"kind": "http_500"})
    assert layer.evaluation("v_1").failure_record().fields == {"kind": "http_500"}
    layer.evaluation("v_1").store_reply("SCORE: 5\n", {"model": "m"})
    assert sorted(files(store, "v_1")) == ["metadata.json", "raw.txt", "raw_metadata.json"]
