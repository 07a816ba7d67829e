"""The examples of the fuzz tests: there are enough, and what records writes misses none."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fuzz import EXAMPLES, LEAST
from tests.fuzz.write_record import outside, recorded_writes


def test_there_are_enough_examples() -> None:
    """The table's examples are as many as promised, and each of its lines is those of exactly one test."""
    sources = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    assert sum(EXAMPLES.values()) >= LEAST
    assert {name: sources.count(f'@fuzzed("{name}")\n') for name in EXAMPLES} == dict.fromkeys(EXAMPLES, 1)


@pytest.mark.parametrize(
    ("write", "changed"),
    [
        pytest.param(lambda there: (there / "new").write_text("x"), ["new"], id="a new file"),
        pytest.param(lambda there: (there / "file").open("a").close(), ["file"], id="an append"),
        pytest.param(lambda there: os.close(os.open(there / "file", os.O_RDWR)), ["file"], id="a descriptor"),
        pytest.param(lambda there: (there / "new").mkdir(), ["new"], id="a folder"),
        pytest.param(lambda there: (there / "file").rename(there / "new"), ["file", "new"], id="a rename"),
        pytest.param(lambda there: os.link(there / "file", there / "new"), ["file", "new"], id="a link"),
        pytest.param(lambda there: (there / "new").symlink_to("file"), ["new"], id="a symbolic link"),
        pytest.param(lambda there: (there / "file").unlink(), ["file"], id="a removal"),
        pytest.param(lambda there: (there / "folder").rmdir(), ["folder"], id="a folder's removal"),
        pytest.param(lambda there: os.truncate(there / "file", 0), ["file"], id="a truncation"),
        pytest.param(lambda there: (there / "file").chmod(0o600), ["file"], id="a mode"),
        pytest.param(lambda there: os.utime(there / "file"), ["file"], id="a time"),
        pytest.param(lambda there: (there / "file").read_text(), [], id="reading is no write"),
        pytest.param(lambda there: list(there.iterdir()), [], id="listing is no write"),
    ],
)
def test_each_way_to_write_is_recorded(tmp_path: Path, write: Callable[[Path], object], changed: list[str]) -> None:
    """Whatever changes something is recorded with its place, also through a link that leads out of the root."""
    there, root = tmp_path / "there", tmp_path / "root"
    (there / "folder").mkdir(parents=True)
    (there / "file").write_text("x")
    root.mkdir()
    (root / "way").symlink_to(there)
    with recorded_writes() as writes:
        write(root / "way")
    assert outside(root, writes) == [there / name for name in changed]
    assert outside(tmp_path, writes) == []
