"""Tests of the numbers of former files: files with one number belong together, also after a crash."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from essay_cohorts.store import reply_files, verdict_files
from tests.conftest import killed_before

Step = Callable[[Path], None]
_KEPT = re.compile(r"(raw|raw_metadata|parsed|parsed_metadata)\.(\d+)\.\w+")


def reply(name: str) -> Step:
    """Return a step that stores a reply, or completes it after a crash; a repeated call gets a different text."""
    attempts = count(1)

    def store(folder: Path) -> None:
        reply_files.complete(folder)
        if not any(path.read_text().endswith(f"reply {name}") for path in folder.glob("raw*.txt")):
            reply_files.store(folder, f"{os.getpid()}.{next(attempts)}: reply {name}", {"reply": name})

    return store


def verdict(name: str, score: str | None = None, *, version: int = 1) -> Step:
    """Return a step that writes the first verdict on a reply."""
    record = {"reply": name, "parser_version": version, "success": score is not None}

    def write(folder: Path) -> None:
        verdict_files.write_record(folder, record)
        if score is not None:
            verdict_files.write_score(folder, score)

    return write


def reparse(name: str, score: str | None = None, *, changes: bool = False) -> Step:
    """Return a step that writes a newer verdict on the same reply."""
    record = {"reply": name, "parser_version": 2, "success": score is not None}
    return lambda folder: verdict_files.replace(folder, record, score, result_changes=changes)


RETRIES_AROUND_A_REPARSE = [
    reply("A"),
    verdict("A"),
    reparse("A"),
    reply("B"),
    verdict("B"),
    reply("C"),
    verdict("C", "7 of C"),
]
LATE_AFTER_A_RETRY = [
    reply("A"),
    verdict("A"),
    verdict("A", version=2),
    reply("B"),
    verdict("B", "5 of B"),
    reply("late"),
    reparse("B", changes=True),
    reply("C"),
    verdict("C"),
    reply("D"),
]
LATE_AFTER_A_REPARSE = [
    reply("A"),
    verdict("A", "5 of A"),
    reparse("A", "6 of A", changes=True),
    reply("late"),
]


def kept(folder: Path) -> dict[int, dict[str, str]]:
    """Return the former files by number and kind, each with the name of its reply."""
    found: dict[int, dict[str, str]] = {}
    for path in folder.iterdir():
        if match := _KEPT.fullmatch(path.name):
            text = path.read_text()
            about = json.loads(text)["reply"] if path.suffix == ".json" else text.split()[-1]
            found.setdefault(int(match[2]), {})[match[1]] = about
    return dict(sorted(found.items()))


def all_about(name: str, *kinds: str) -> dict[str, str]:
    """Return these kinds of files, all for one reply."""
    return dict.fromkeys(kinds, name)


REPLY = ("raw", "raw_metadata")
MIXES = [
    pytest.param(
        RETRIES_AROUND_A_REPARSE,
        {
            1: all_about("A", "parsed_metadata"),
            2: all_about("A", *REPLY, "parsed_metadata"),
            3: all_about("B", *REPLY, "parsed_metadata"),
        },
        id="retries around a reparse",
    ),
    pytest.param(
        LATE_AFTER_A_RETRY,
        {
            1: all_about("A", "parsed_metadata"),
            2: all_about("A", *REPLY, "parsed_metadata"),
            3: all_about("late", *REPLY),
            4: all_about("B", "parsed", "parsed_metadata"),
            5: all_about("B", *REPLY, "parsed_metadata"),
            6: all_about("C", *REPLY, "parsed_metadata"),
        },
        id="a late reply between two retries",
    ),
    pytest.param(
        LATE_AFTER_A_REPARSE,
        {1: all_about("A", "parsed", "parsed_metadata"), 2: all_about("late", *REPLY)},
        id="a late reply after a reparse",
    ),
]


@pytest.mark.parametrize(("steps", "history"), MIXES)
def test_a_number_stands_for_one_replacement(
    tmp_path: Path, steps: list[Step], history: dict[int, dict[str, str]]
) -> None:
    """Replies and verdicts share their numbers: each number is used once, and its files belong to one reply."""
    for step in steps:
        step(tmp_path)
    assert kept(tmp_path) == history


@pytest.mark.slow
@pytest.mark.parametrize(("steps", "history"), MIXES)
def test_killed_at_any_point_of_any_step_a_number_stands_for_one_reply(
    tmp_path: Path, steps: list[Step], history: dict[int, dict[str, str]]
) -> None:
    """Repeating a killed step and the later steps gives the same history, except for the record of a late reply."""
    before, deaths = tmp_path / "before", 0
    before.mkdir()
    for position, step in enumerate(steps):
        for point in count(1):
            folder = shutil.copytree(before, tmp_path / f"step {position}, killed before call {point}")
            if not killed_before(point, folder, partial(step, folder)):
                break
            deaths += 1
            for again in steps[position:]:
                again(folder)
            assert without_late_record(kept(folder)) == without_late_record(history), folder
        step(before)
    assert deaths > 20, "too few crashes were seen: the experiment shows nothing"


def without_late_record(history: dict[int, dict[str, str]]) -> dict[int, dict[str, str]]:
    """Return the history without the metadata of a late reply, which a crash may leave in a temporary file."""
    return {
        number: {kind: about for kind, about in kinds.items() if (kind, about) != ("raw_metadata", "late")}
        for number, kinds in history.items()
    }


@pytest.mark.parametrize("missing", [pytest.param(name, id=name) for name in ("raw.txt", "raw_metadata.json")])
def test_killed_while_an_incomplete_reply_is_kept(tmp_path: Path, missing: str) -> None:
    """The remaining files of a reply that lost one file are kept under one number too."""
    start = tmp_path / "start"
    start.mkdir()
    for step in RETRIES_AROUND_A_REPARSE[:3]:
        step(start)
    (start / missing).unlink()
    for point in count(1):
        folder = shutil.copytree(start, tmp_path / f"killed before call {point}")
        died = killed_before(point, folder, partial(reply("B"), folder))
        reply("B")(folder)
        remaining = {"raw", "raw_metadata", "parsed_metadata"} - {Path(missing).stem}
        assert kept(folder) == {1: all_about("A", "parsed_metadata"), 2: all_about("A", *remaining)}
        if not died:
            assert point > 5, "too few file-system calls were seen: the experiment shows nothing"
            return
