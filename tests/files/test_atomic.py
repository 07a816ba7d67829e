"""Atomic writes: readers see the former file or the whole new one, also after a crash."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from essay_cohorts.errors import StoreError
from essay_cohorts.files.atomic import create_folder_with, json_text, keep_former, make_folder, write_text
from tests.conftest import full_disk, killed_before, torn_after

FORMER, NEW = "the former text\n", "the new text: é, 漢字, \U0001f642\n" * 40


def names(folder: Path) -> list[str]:
    """The names in a folder, hidden ones included."""
    return sorted(path.name for path in folder.iterdir())


def test_write_replaces(tmp_path: Path) -> None:
    """A second write replaces the first; nothing else is left."""
    path = make_folder(tmp_path, tmp_path / "a" / "b") / "file.txt"
    write_text(path, FORMER)
    write_text(path, NEW)
    assert path.read_bytes() == NEW.encode("utf-8")
    assert names(path.parent) == ["file.txt"]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("a\nb\n", id="LF"),
        pytest.param("a\r\nb\rc", id="other line ends"),
        pytest.param("\ufeffa\x00b", id="BOM and NUL"),
    ],
)
def test_what_is_written_is_what_was_given(tmp_path: Path, text: str) -> None:
    """The bytes are the text in UTF-8, line ends and all."""
    write_text(tmp_path / "file.txt", text)
    assert (tmp_path / "file.txt").read_bytes() == text.encode("utf-8")


def test_killed_at_any_point_the_former_or_the_new_file_is_whole(tmp_path: Path) -> None:
    """A process that is killed before any of its file-system calls leaves the former file or the whole new one."""
    seen = set()
    for point in count(1):
        folder = tmp_path / f"point {point}"
        folder.mkdir()
        path = folder / "file.txt"
        path.write_text(FORMER, encoding="utf-8")
        died = killed_before(point, folder, partial(write_text, path, NEW))
        seen.add(path.read_text(encoding="utf-8"))
        if not died:
            break
    assert seen == {FORMER, NEW}
    assert point > 3, "too few file-system calls were seen: the experiment shows nothing"


@pytest.mark.parametrize("size", [pytest.param(size, id=f"{size} bytes") for size in (1, 100, 1000)])
def test_killed_while_it_writes_the_former_file_is_whole(tmp_path: Path, size: int) -> None:
    """A process that dies in the middle of the text leaves the former file as it was."""
    path = tmp_path / "file.txt"
    path.write_text(FORMER, encoding="utf-8")
    assert torn_after(size, lambda: write_text(path, NEW))
    assert path.read_text(encoding="utf-8") == FORMER


def _parent_is_a_file(folder: Path) -> Path:
    (folder / "file.txt").write_text(FORMER, encoding="utf-8")
    return folder / "file.txt" / "below.txt"


def _name_too_long(folder: Path) -> Path:
    return folder / ("n" * 250)


def _target_is_a_folder(folder: Path) -> Path:
    (folder / "taken").mkdir()
    return folder / "taken"


@pytest.mark.parametrize(
    "make_target",
    [
        pytest.param(_parent_is_a_file, id="parent is a file"),
        pytest.param(_name_too_long, id="temporary name too long"),
        pytest.param(_target_is_a_folder, id="target is a folder"),
    ],
)
def test_refused_write_is_a_store_error_and_leaves_nothing(
    tmp_path: Path, make_target: Callable[[Path], Path]
) -> None:
    """A write that the system refuses names the file and the next step, and leaves no temporary file."""
    target = make_target(tmp_path)
    before = names(tmp_path)
    with pytest.raises(StoreError, match="cannot be written") as caught:
        write_text(target, NEW)
    assert str(tmp_path) in str(caught.value)
    assert "clear the run" in str(caught.value)
    assert names(tmp_path) == before


@pytest.mark.parametrize("room", [pytest.param(room, id=f"{room} bytes") for room in (0, 100)])
def test_full_disk_leaves_the_former_file_and_nothing_else(tmp_path: Path, room: int) -> None:
    """When the disk is full the former file stays, and the torn temporary one is removed."""
    path = tmp_path / "file.txt"
    path.write_text(FORMER, encoding="utf-8")
    with full_disk(room), pytest.raises(StoreError, match=r"file\.txt"):
        write_text(path, NEW)
    assert path.read_text(encoding="utf-8") == FORMER
    assert names(tmp_path) == ["file.txt"]


def test_text_that_utf8_cannot_hold(tmp_path: Path) -> None:
    """Half a surrogate pair, which JSON can carry, does not keep the rest of a text from being stored."""
    write_text(tmp_path / "file.txt", "half a pair: \ud83d!")
    assert (tmp_path / "file.txt").read_text(encoding="utf-8") == "half a pair: ?!"
    assert names(tmp_path) == ["file.txt"]


def test_folder_is_created_with_its_file(tmp_path: Path) -> None:
    """A new folder holds its one file, and no other file or folder is left next to it."""
    (tmp_path / "stage").mkdir()
    assert create_folder_with(tmp_path / "stage" / "v_1", {"metadata.json": NEW}) is True
    assert (tmp_path / "stage" / "v_1" / "metadata.json").read_text(encoding="utf-8") == NEW
    assert names(tmp_path / "stage") == ["v_1"]


def test_a_root_that_is_gone_is_not_made(tmp_path: Path) -> None:
    """A disk that is not mounted any more must not be replaced by a folder in its place: StoreError, nothing made."""
    with pytest.raises(StoreError, match=r"The data root .*root is gone\. Check that it is still mounted"):
        make_folder(tmp_path / "root", tmp_path / "root" / "cohorts" / "c")
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "link",
    [
        pytest.param("cohorts", id="the folder of all cohorts"),
        pytest.param("cohorts/c", id="one folder"),
    ],
)
def test_a_link_out_of_the_root_is_not_followed(tmp_path: Path, link: str) -> None:
    """Nothing is made where a symbolic link leads out of the data root: StoreError names the link's target."""
    root, outside = tmp_path / "root", tmp_path / "outside"
    outside.mkdir()
    (root / link).parent.mkdir(parents=True)
    (root / link).symlink_to(outside)
    with pytest.raises(StoreError, match=f"leads out of the data root, to {outside}"):
        make_folder(root, root / "cohorts" / "c" / "runs")
    assert names(outside) == []


def test_a_link_inside_the_root_is_followed(tmp_path: Path) -> None:
    """A symbolic link to another folder of the same data root is as good as a folder."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "cohorts").symlink_to(tmp_path / "elsewhere")
    make_folder(tmp_path, tmp_path / "cohorts" / "c")
    assert names(tmp_path / "elsewhere") == ["c"]


def test_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    """A folder with any file in it is not touched, and the answer is False."""
    (tmp_path / "v_1").mkdir()
    (tmp_path / "v_1" / "raw.txt").write_text(FORMER, encoding="utf-8")
    assert create_folder_with(tmp_path / "v_1", {"metadata.json": NEW}) is False
    assert names(tmp_path) == ["v_1"]
    assert names(tmp_path / "v_1") == ["raw.txt"]


def test_empty_folder_is_filled(tmp_path: Path) -> None:
    """An empty folder, as an older program left it when it was stopped, gets the file."""
    (tmp_path / "v_1").mkdir()
    assert create_folder_with(tmp_path / "v_1", {"metadata.json": NEW}) is True
    assert names(tmp_path / "v_1") == ["metadata.json"]


def test_a_file_in_the_folders_place_is_a_store_error(tmp_path: Path) -> None:
    """A file with the folder's name is not overwritten: StoreError, and nothing is left next to it."""
    (tmp_path / "v_1").write_text(FORMER, encoding="utf-8")
    with pytest.raises(StoreError, match="v_1"):
        create_folder_with(tmp_path / "v_1", {"metadata.json": NEW})
    assert (tmp_path / "v_1").read_text(encoding="utf-8") == FORMER
    assert names(tmp_path) == ["v_1"]


def test_full_disk_creates_no_folder(tmp_path: Path) -> None:
    """When the disk is full there is no folder, and no temporary one either."""
    with full_disk(100), pytest.raises(StoreError):
        create_folder_with(tmp_path / "v_1", {"metadata.json": NEW})
    assert names(tmp_path) == []


def test_killed_at_any_point_the_folder_is_absent_or_whole(tmp_path: Path) -> None:
    """A process that is killed while it makes a folder leaves no folder, or one with the whole file."""
    whole = []
    for point in count(1):
        parent = tmp_path / f"point {point}"
        parent.mkdir()
        folder = parent / "v_1"
        died = killed_before(point, parent, partial(create_folder_with, folder, {"metadata.json": NEW}))
        whole.append(folder.exists())
        assert not folder.exists() or (folder / "metadata.json").read_text(encoding="utf-8") == NEW
        if not died:
            break
    assert whole[0] is False
    assert whole[-1] is True
    assert point > 2, "too few file-system calls were seen: the experiment shows nothing"


def test_of_racing_processes_one_creates_the_folder(tmp_path: Path) -> None:
    """Of processes that create the same folders at the same time exactly one gets True for each."""
    rounds, racers = 40, 3
    (tmp_path / "race").mkdir()
    gate_read, gate_write = os.pipe()
    children = [_racer(tmp_path, number, rounds, gate_read, gate_write) for number in range(racers)]
    os.close(gate_read)
    os.close(gate_write)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * racers
    for turn in range(rounds):
        winners = [n for n in range(racers) if (tmp_path / f"won by {n}" / str(turn)).exists()]
        text = (tmp_path / "race" / f"v_{turn}" / "metadata.json").read_text(encoding="utf-8")
        assert [text] == [f"by {winner}" for winner in winners]
    assert not [name for name in names(tmp_path / "race") if name.startswith(".")]


def _racer(root: Path, number: int, rounds: int, gate_read: int, gate_write: int) -> int:
    """A child that starts when the parent closes the gate, and notes which folders it made."""
    child = os.fork()
    if child:
        return child
    try:
        won = root / f"won by {number}"
        won.mkdir()
        os.close(gate_write)
        os.read(gate_read, 1)
        for turn in range(rounds):
            if create_folder_with(root / "race" / f"v_{turn}", {"metadata.json": f"by {number}"}):
                (won / str(turn)).touch()
        os._exit(0)
    finally:
        os._exit(1)


def test_former_files_are_numbered_and_never_overwritten(tmp_path: Path) -> None:
    """Each replaced file is kept under the smallest free number from 1 upward."""
    path = tmp_path / "raw.txt"
    (tmp_path / "raw.2.txt").write_text("somebody's", encoding="utf-8")
    for text in ("first", "second", "third"):
        path.write_text(text, encoding="utf-8")
        keep_former(path)
        assert not path.exists()
    kept = {name: (tmp_path / name).read_text(encoding="utf-8") for name in names(tmp_path)}
    assert kept == {"raw.1.txt": "first", "raw.2.txt": "somebody's", "raw.3.txt": "second", "raw.4.txt": "third"}


def test_the_first_number_can_be_given(tmp_path: Path) -> None:
    """Files that belong together can be kept under one number."""
    (tmp_path / "raw.txt").write_text("x", encoding="utf-8")
    keep_former(tmp_path / "raw.txt", 7)
    assert names(tmp_path) == ["raw.7.txt"]


def test_nothing_to_keep_is_fine(tmp_path: Path) -> None:
    """A file that is not there needs no keeping."""
    keep_former(tmp_path / "raw.txt")
    assert names(tmp_path) == []


def test_killed_while_keeping_a_former_file_it_is_kept_once(tmp_path: Path) -> None:
    """Keeping a file is finished, not begun again, after a crash in the middle of it."""
    for point in count(1):
        folder = tmp_path / f"point {point}"
        folder.mkdir()
        path = folder / "raw.txt"
        path.write_text(FORMER, encoding="utf-8")
        died = killed_before(point, folder, partial(keep_former, path))
        keep_former(path)
        assert names(folder) == ["raw.1.txt"], f"killed before call {point}"
        if not died:
            break


def test_json_is_as_the_store_has_it() -> None:
    """JSON has an indent of 2, real letters instead of escapes, the given order and a final newline."""
    assert json_text({"b": 1, "a": ["é", None]}) == '{\n  "b": 1,\n  "a": [\n    "é",\n    null\n  ]\n}\n'
