"""Fuzz tests of an evaluation's files: each is read exactly, or a warning names the folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from essay_cohorts.domain import Progress, Stage
from essay_cohorts.maintenance.verify import find_damage
from essay_cohorts.store.gens_data_layer import GensDataLayer
from tests.fuzz import fuzzed
from tests.fuzz.near_misses import is_readable
from tests.fuzz.odd_files import ONE_WRONG_FIELD, evaluation_files, evaluation_metadata
from tests.fuzz.write_record import recorded_writes

FOLDER = "gens/evaluation/v_1"
NAMES = {name: contents for name, contents in evaluation_files("v_1").items() if not name.endswith(".tmp")}
METADATA = f"{FOLDER}/metadata.json"
RECORDS = {name: contents for name, contents in NAMES.items() if name != METADATA}


one_wrong_field = st.sampled_from(
    [{METADATA: json.dumps(evaluation_metadata("v_1")).encode(), **wrong} for wrong in ONE_WRONG_FIELD]
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a data root with the folder of one evaluation."""
    (tmp_path / FOLDER).mkdir(parents=True)
    return tmp_path


@fuzzed("metadata")
@given(st.one_of(st.fixed_dictionaries({METADATA: NAMES[METADATA]}, optional=RECORDS), one_wrong_field))
@example({METADATA: json.dumps({**evaluation_metadata("v_1"), "gen_id": "\ud800"}).encode()}).via(
    "a half pair as gen_id"
)
@example({METADATA: json.dumps({**evaluation_metadata("v_1"), "replicate": 10**4_000}).encode()}).via("endless")
@example({METADATA: b'{"replicate":' + b"9" * 5_000 + b"}"}).via("a number longer than Python reads")
def test_an_evaluation_is_what_its_metadata_says(root: Path, contents: dict[str, bytes]) -> None:
    """The evaluation has the cell and the number that its metadata names, or a warning says that it has none."""
    for name in NAMES:
        (root / name).unlink(missing_ok=True)
        if name in contents:
            (root / name).write_bytes(contents[name])
    store = GensDataLayer.from_root(root)
    with recorded_writes() as writes:
        scan = store.scan_evaluations(Everything())
        damage = [str(problem) for problem in find_damage(store)]
        evaluation = store.evaluation("v_1")
        reply, runs = evaluation.reply(), evaluation.reply_runs()
        records = (
            evaluation.reply_record(),
            evaluation.verdict_record(),
            evaluation.failure_record(),
        )
        as_source = store.generation(Stage.EVALUATION, "v_1")
    assert writes == []
    assert all(map(is_readable, [*scan.warnings, *damage]))
    assert all(isinstance(fields, dict) for fields in (records[0].fields, records[1].fields, records[2].fields))
    assert all(is_text(word) for run in runs for word in run)
    assert (reply is None) == (f"{FOLDER}/raw.txt" not in contents)
    metadata = json_object(contents[METADATA])
    assert (as_source is None) == (metadata is None)
    cell = cell_named_by(metadata or {})
    number = number_named_by(metadata or {})
    if cell is None or number is None:
        assert scan.evaluations == ()
        assert [FOLDER in warning for warning in scan.warnings] == [True]
        return
    [found] = scan.evaluations
    assert (tuple(found.cell), found.replicate) == (cell, number)
    assert all(map(is_text, [*found.cell, found.origin_cohort_id, found.refusal, *(found.refused_by or ())]))
    assert (found.progress is Progress.PARSED) == bool(contents.get(f"{FOLDER}/parsed.txt"))


class Everything(frozenset[str]):
    """A set that contains every text, so that the scan leaves out no essay."""

    def __contains__(self, essay_id: object) -> bool:
        return True


def json_object(content: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def cell_named_by(metadata: dict[str, Any]) -> tuple[str, ...] | None:
    """Return essay, template and model; in an older store the template's key is `evaluation_template`."""
    template = (
        metadata.get("template_id") if stored(metadata.get("template_id")) else metadata.get("evaluation_template")
    )
    words = tuple(stored(word) for word in (metadata.get("parent_gen_id"), template, metadata.get("llm_model_id")))
    return words if all(words) else None


def number_named_by(metadata: dict[str, Any]) -> int | None:
    """Return the replicate, which may be a number or digits as text; without the key, in an older store, it is 1."""
    value = metadata.get("replicate", 1)
    if isinstance(value, str) and 0 < len(value) < 10 and set(value) <= set("0123456789"):
        value = int(value)
    return value if type(value) is int and value >= 1 else None


def stored(value: Any) -> str:
    """Return the text as a file returns it: question marks replace what UTF-8 cannot hold."""
    return (
        "".join("?" if "\ud800" <= letter <= "\udfff" else letter for letter in value)
        if isinstance(value, str)
        else ""
    )


def is_text(word: Any) -> bool:
    return isinstance(word, str) and word == stored(word)
