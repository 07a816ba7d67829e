"""Tests of replacing a verdict: both verdicts are kept, no crash loses one, and no person's edit is lost."""

from __future__ import annotations

import json
import os
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from essay_cohorts.errors import StoreError
from essay_cohorts.files.atomic import kept_number
from essay_cohorts.store import verdict_files
from tests.conftest import full_disk, killed_before

OLD: dict[str, Any] = {"parser_name": "p", "parser_version": "0", "success": True, "score": 7.0, "reason": ""}
NEW: dict[str, Any] = OLD | {"parser_version": "1", "score": 5.0}
NEWER: dict[str, Any] = OLD | {"parser_version": "2", "score": 4.0}
REFUSED: dict[str, Any] = NEW | {"success": False, "score": None, "reason": "no score line"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return an evaluation with the verdict OLD."""
    put(tmp_path, "parsed_metadata.json", OLD)
    (tmp_path / "parsed.txt").write_text("7.0\n")
    return tmp_path


def put(folder: Path, name: str, record: dict[str, Any]) -> None:
    (folder / name).write_text(json.dumps(record))


def held(folder: Path) -> dict[str, Any]:
    """Return the content of every file by name."""
    texts = {path.name: path.read_text() for path in folder.iterdir()}
    return {name: json.loads(text) if name.endswith(".json") else text for name, text in texts.items()}


@pytest.mark.parametrize(
    ("record", "score", "left"),
    [
        pytest.param(NEW, "5.0\n", {"parsed.txt": "5.0\n"}, id="another score"),
        pytest.param(REFUSED, None, {}, id="refused: parsed.txt is removed"),
    ],
)
def test_the_former_verdict_is_kept_under_one_number(
    folder: Path, record: dict[str, Any], score: str | None, left: dict[str, str]
) -> None:
    """Both files of a former verdict get the same number, and each replacement gets the next number."""
    verdict_files.replace(folder, record, score, result_changes=True)
    former = {"parsed.1.txt": "7.0\n", "parsed_metadata.1.json": OLD}
    assert held(folder) == {**former, **left, "parsed_metadata.json": record}
    verdict_files.replace(folder, NEWER, "4.0\n", result_changes=True)
    second = {"parsed_metadata.2.json": record} | ({"parsed.2.txt": left["parsed.txt"]} if left else {})
    assert held(folder) == {**former, **second, "parsed_metadata.json": NEWER, "parsed.txt": "4.0\n"}


def test_a_renewed_verdict_leaves_the_score_untouched(folder: Path) -> None:
    """If the result stays the same, only the metadata is replaced and kept; parsed.txt is not touched."""
    before = (folder / "parsed.txt").stat()
    verdict_files.replace(folder, OLD | {"parser_version": "1"}, "7.0\n", result_changes=False)
    assert sorted(held(folder)) == ["parsed.txt", "parsed_metadata.1.json", "parsed_metadata.json"]
    assert (folder / "parsed.txt").stat() == before


@pytest.mark.parametrize(
    "taken",
    [pytest.param(n, id=n) for n in ("raw.1.txt", "raw_metadata.1.json", "parsed.1.txt", "parsed_metadata.1.json")],
)
def test_a_number_stands_for_one_replacement(folder: Path, taken: str) -> None:
    """A number that any former file has is not used again."""
    put(folder, taken, {})
    verdict_files.replace(folder, NEW, "5.0\n", result_changes=True)
    assert {"parsed.2.txt", "parsed_metadata.2.json"} <= set(held(folder))


def test_an_empty_parsed_is_not_worth_keeping(folder: Path) -> None:
    """An empty parsed.txt is not kept, because it is a torn write of an older program."""
    (folder / "parsed.txt").write_text("")
    verdict_files.replace(folder, REFUSED, None, result_changes=False)
    assert sorted(held(folder)) == ["parsed_metadata.1.json", "parsed_metadata.json"]


TARGETS = [pytest.param(NEW, "5.0\n", id="scored"), pytest.param(REFUSED, None, id="refused")]


@pytest.mark.parametrize(("record", "score"), TARGETS)
def test_killed_before_any_file_system_call_and_done_again(
    tmp_path: Path, record: dict[str, Any], score: str | None
) -> None:
    """Repeating a killed replacement gives the same files as one without a crash, wherever the first was killed."""
    whole, point = tmp_path / "whole", 1
    whole.mkdir()
    put(whole, "parsed_metadata.json", OLD)
    (whole / "parsed.txt").write_text("7.0\n")
    start = shutil.copytree(whole, tmp_path / "start")
    verdict_files.replace(whole, record, score, result_changes=True)
    while True:
        folder = shutil.copytree(start, tmp_path / f"n{point}")
        again = partial(verdict_files.replace, folder, record, score, result_changes=True)
        if not killed_before(point, folder, again):
            break
        found = held_without_temporary(folder)
        assert OLD in found.values()
        assert "7.0\n" in found.values()
        half = found.get("parsed.txt") == "7.0\n" and found["parsed_metadata.json"] == record
        if half:
            assert verdict_files.half_replaced(folder) == OLD
        again()
        assert held_without_temporary(folder) == held(whole)
        assert kept_number(folder / "parsed.txt") is None
        point += 1
    assert point > 4


def held_without_temporary(folder: Path) -> dict[str, Any]:
    for left in folder.glob(".*.tmp"):
        left.unlink()
    return held(folder)


def half_done(folder: Path) -> None:
    """Make the state between the two renames of a replacement by NEW."""
    os.link(folder / "parsed_metadata.json", folder / "parsed_metadata.1.json")
    os.link(folder / "parsed.txt", folder / "parsed.1.txt")
    (folder / "parsed_metadata.json").unlink()
    put(folder, "parsed_metadata.json", NEW)


def test_after_a_crash_yet_another_verdict_keeps_all_of_them(folder: Path) -> None:
    """The half-written verdict is kept under its own number, and the score stays with the record of its verdict."""
    half_done(folder)
    verdict_files.replace(folder, NEWER, "4.0\n", result_changes=True)
    assert held(folder) == {
        "parsed_metadata.1.json": OLD,
        "parsed.1.txt": "7.0\n",
        "parsed_metadata.2.json": NEW,
        "parsed_metadata.json": NEWER,
        "parsed.txt": "4.0\n",
    }


def test_after_a_crash_back_to_the_former_verdict(folder: Path) -> None:
    """The score becomes a separate file again, so that an edit of it does not change the kept score."""
    half_done(folder)
    verdict_files.replace(folder, OLD, "7.0\n", result_changes=False)
    assert held(folder)["parsed_metadata.2.json"] == NEW
    (folder / "parsed.txt").write_text("3\n")
    assert held(folder)["parsed.1.txt"] == "7.0\n"
    assert verdict_files.half_replaced(folder) is None


def test_a_person_s_file_is_not_taken_for_a_crash(folder: Path) -> None:
    """A new file with the kept score, or a file that a backup links to, is not seen as an unfinished replacement."""
    verdict_files.replace(folder, NEW, "5.0\n", result_changes=True)
    (folder / "parsed.txt").write_text("7.0\n")
    assert verdict_files.half_replaced(folder) is None
    os.link(folder / "parsed.txt", folder / "parsed.backup.txt")
    assert verdict_files.half_replaced(folder) is None
    assert verdict_files.half_replaced(folder / "nowhere") is None


def test_a_disk_that_refuses_leaves_what_stands(folder: Path) -> None:
    """If the disk refuses the write, an error names the file and both former files are unchanged."""
    with full_disk(3), pytest.raises(StoreError, match="parsed_metadata"):
        verdict_files.replace(folder, NEW, "5.0\n", result_changes=True)
    assert (held(folder)["parsed_metadata.json"], held(folder)["parsed.txt"]) == (OLD, "7.0\n")
