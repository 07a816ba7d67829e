"""Tests of finding the evaluations of some essays: the results are the same with and without an index."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from essay_cohorts.store.scan import FoundFolders, find_folders, folder_names, sum_of_names

COUNT = 60
ESSAYS = 6


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of COUNT evaluations of ESSAYS essays."""
    made = tmp_path / "gens" / "evaluation"
    for number in range(COUNT):
        add(made, number)
    return made


def add(folder: Path, number: int, essay: str | None = None) -> None:
    """Add evaluation `number` of an essay."""
    (folder / f"v_{number}").mkdir(parents=True)
    write_metadata(folder, f"v_{number}", essay or f"e_{number % ESSAYS}")


def write_metadata(folder: Path, name: str, essay: Any) -> None:
    """Write the metadata.json of an evaluation of an essay."""
    cell = {"parent_gen_id": essay, "template_id": "t", "llm_model_id": "m", "replicate": 1}
    (folder / name / "metadata.json").write_text(json.dumps(cell))


def index_of(folder: Path) -> dict[str, str]:
    """Return an index that knows the folder as it is now."""
    return find_folders(folder).changes.essays


def same(folder: Path, index: dict[str, str], *essay_ids: str) -> FoundFolders:
    """Return what the search by an index finds, after checking that a search without it finds the same."""
    found, plain = find_folders(folder, essay_ids, index, by_index=True), find_folders(folder, essay_ids)
    assert sorted(found.selected) == sorted(plain.selected)
    assert sorted(found.unusable) == sorted(plain.unusable)
    assert found.names == plain.names == sum_of_names(folder_names(folder))
    return found


def caught_up(index: dict[str, str], found: FoundFolders) -> dict[str, str]:
    """Return the index after the changes that a search found."""
    new = {**index, **found.changes.essays}
    return {name: essay for name, essay in new.items() if name not in found.changes.gone}


def test_the_index_finds_what_reading_every_folder_finds(folder: Path) -> None:
    """With a complete index no metadata.json is read, and nothing has to change."""
    index = index_of(folder)
    for path in folder.glob("*/metadata.json"):
        path.unlink()
    found = find_folders(folder, {"e_0", "e_5"}, index, by_index=True)
    assert sorted(found.selected) == sorted(name for name, essay in index.items() if essay in ("e_0", "e_5"))
    assert (found.by_index, found.unusable) == (True, [])
    assert (found.changes.essays, found.changes.gone) == ({}, set())


def test_without_a_folder_there_are_no_evaluations(tmp_path: Path) -> None:
    """A store without evaluations gives an empty result, and an index of it forgets everything."""
    found = same(tmp_path / "gens/evaluation", {"v_1": "e_1"}, "e_1")
    assert (found.selected, found.by_index, found.changes.gone) == ([], False, {"v_1"})


def change_store(folder: Path, change: str) -> None:
    """Change the store as another program would."""
    match change:
        case "one more":
            add(folder, COUNT, "e_1")
        case "one less":
            shutil.rmtree(folder / "v_1")
        case "one for another":
            shutil.rmtree(folder / "v_1")
            add(folder, COUNT, "e_1")
        case "one is no folder any more":
            shutil.rmtree(folder / "v_1")
            (folder / "v_1").write_text("")
        case "nearly all gone":
            for number in range(10, COUNT):
                shutil.rmtree(folder / f"v_{number}")
        case _:
            add_unusable(folder, change)


def add_unusable(folder: Path, kind: str) -> None:
    """Add folders that hold no evaluation of an essay."""
    match kind:
        case "a name that is no UTF-8":
            Path(os.fsdecode(os.fsencode(folder) + b"/v_\xff")).mkdir()
        case "an essay that is no id":
            (folder / "v_x").mkdir()
            write_metadata(folder, "v_x", "no\0id")
        case _:
            for name in ("v_x", "no id", "v_y"):
                (folder / name).mkdir()
            (folder / "v_y" / "metadata.json").write_text("{")


@pytest.mark.parametrize(
    ("change", "new", "gone"),
    [
        ("one more", {f"v_{COUNT}": "e_1"}, set()),
        ("one less", {}, {"v_1"}),
        ("one for another", {f"v_{COUNT}": "e_1"}, {"v_1"}),
        ("one is no folder any more", {}, {"v_1"}),
        ("nearly all gone", {}, {f"v_{number}" for number in range(10, COUNT)}),
        ("a name that is no UTF-8", {}, set()),
        ("an essay that is no id", {}, {"v_x"}),
        ("unusable", {}, set()),
    ],
)
def test_a_change_behind_the_index_is_seen(folder: Path, change: str, new: dict[str, str], gone: set[str]) -> None:
    """The next search finds what changed, and the one after it has nothing more to change."""
    index = index_of(folder)
    change_store(folder, change)
    found = same(folder, index, "e_1", "e_5")
    assert (found.changes.essays, found.changes.gone) == (new, gone)
    again = same(folder, caught_up(index, found), "e_1", "e_5")
    assert again.changes.essays == {}
    assert again.changes.gone <= gone


def test_an_unusable_folder_is_read_again_each_time(folder: Path) -> None:
    """A folder without metadata.json is not in the index, so it is found as soon as metadata.json exists."""
    index = index_of(folder)
    (folder / "v_late").mkdir()
    assert same(folder, index, "e_1").unusable == ["v_late"]
    write_metadata(folder, "v_late", "e_1")
    found = same(folder, index, "e_1")
    assert "v_late" in found.selected
    assert found.changes.essays == {"v_late": "e_1"}


@pytest.mark.parametrize(
    ("essay", "new", "gone"),
    [
        pytest.param("e_2", {"v_1": "e_2"}, set(), id="another essay"),
        pytest.param("no\0id", {}, {"v_1"}, id="no essay"),
        pytest.param(None, {}, {"v_1"}, id="nothing"),
    ],
)
def test_an_edited_metadata_json_is_seen_by_who_reads_the_store(
    folder: Path, essay: str | None, new: dict[str, str], gone: set[str]
) -> None:
    """The index does not see the edit; who reads every folder sees it, and what the index must change."""
    index = index_of(folder)
    write_metadata(folder, "v_1", essay)
    assert "v_1" in find_folders(folder, {"e_1"}, index, by_index=True).selected
    found = find_folders(folder, {"e_2"}, index)
    assert ("v_1" in found.selected) is (essay == "e_2")
    assert (found.by_index, found.changes.essays, found.changes.gone) == (False, new, gone)


names = st.sets(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=4), max_size=8)


@given(before=names, after=names)
def test_sums_differ_where_names_do(
    tmp_path_factory: pytest.TempPathFactory, before: set[str], after: set[str]
) -> None:
    """The sum tells whether a folder was added or removed, and does not depend on the order."""
    sums = []
    for each in (before, after, sorted(before, reverse=True)):
        made = tmp_path_factory.mktemp("names")
        for name in each:
            (made / name).mkdir()
        sums.append(sum_of_names(folder_names(made)))
    assert sums[0] == sums[2]
    assert (sums[0] == sums[1]) is (before == after)


@pytest.mark.parametrize("name", [".v_1.tmp", "file"])
def test_what_is_no_evaluation_has_no_part_in_the_sum(folder: Path, name: str) -> None:
    """Files and the unfinished folders of a crash are left out."""
    before = sum_of_names(folder_names(folder))
    if name == "file":
        (folder / name).touch()
    else:
        (folder / name).mkdir()
    assert sum_of_names(folder_names(folder)) == before
