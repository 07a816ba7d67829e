"""Tests that the fuzz tests have enough examples, and that the recorder of writes misses none."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fuzz import EXAMPLES, LEAST
from tests.fuzz.write_record import outside, recorded_writes


def test_there_are_enough_examples() -> None:
    """The table has at least LEAST examples, and each of its names belongs to exactly one test."""
    sources = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    assert sum(EXAMPLES.values()) >= LEAST
    assert {name: sources.count(f'@fuzzed("{name}")\n') for name in EXAMPLES} == dict.fromkeys(EXAMPLES, 1)


@pytest.mark.parametrize(
    ("write", "changed"),
    [
        pytest.param(lambda outer: (outer / "new").write_text("x"), ["new"], id="a new file"),
        pytest.param(lambda outer: (outer / "file").open("a").close(), ["file"], id="an append"),
        pytest.param(lambda outer: os.close(os.open(outer / "file", os.O_RDWR)), ["file"], id="a descriptor"),
        pytest.param(lambda outer: (outer / "new").mkdir(), ["new"], id="a folder"),
        pytest.param(lambda outer: (outer / "file").rename(outer / "new"), ["file", "new"], id="a rename"),
        pytest.param(lambda outer: os.link(outer / "file", outer / "new"), ["file", "new"], id="a link"),
        pytest.param(lambda outer: (outer / "new").symlink_to("file"), ["new"], id="a symbolic link"),
        pytest.param(lambda outer: (outer / "file").unlink(), ["file"], id="a removal"),
        pytest.param(lambda outer: (outer / "folder").rmdir(), ["folder"], id="a folder's removal"),
        pytest.param(lambda outer: os.truncate(outer / "file", 0), ["file"], id="a truncation"),
        pytest.param(lambda outer: (outer / "file").chmod(0o600), ["file"], id="a mode"),
        pytest.param(lambda outer: os.utime(outer / "file"), ["file"], id="a time"),
        pytest.param(lambda outer: (outer / "file").read_text(), [], id="reading is not a write"),
        pytest.param(lambda outer: list(outer.iterdir()), [], id="listing is not a write"),
    ],
)
def test_each_way_to_write_is_recorded(tmp_path: Path, write: Callable[[Path], object], changed: list[str]) -> None:
    """Each way to change a file is recorded with its real place, also through a link out of the root."""
    outer, root = tmp_path / "outer", tmp_path / "root"
    (outer / "folder").mkdir(parents=True)
    (outer / "file").write_text("x")
    root.mkdir()
    (root / "way").symlink_to(outer)
    with recorded_writes() as writes:
        write(root / "way")
    assert outside(root, writes) == [outer / name for name in changed]
    assert outside(tmp_path, writes) == []
