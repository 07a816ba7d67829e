"""Finding the evaluations of some essays: with an index and without one, the same ones are found."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from essay_cohorts.store import index as evaluation_index
from essay_cohorts.store.index import OLDEST_S, NameSums, folder_names
from essay_cohorts.store.scan import FoundFolders, find_folders
from tests.conftest import PlayedDag, full_disk
from tests.store_builder import StoreBuilder

COUNT = 2_400


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of COUNT evaluations of 300 essays: enough for an index."""
    folder = tmp_path_factory.mktemp("large") / "gens" / "evaluation"
    for number in range(COUNT):
        add(folder, number)
    return folder


@pytest.fixture
def folder(large: Path, tmp_path: Path) -> Path:
    """A copy of `large` with an index."""
    copy = tmp_path / "gens" / "evaluation"
    shutil.copytree(large, copy)
    find(copy)
    return copy


def add(folder: Path, number: int, essay: str | None = None) -> None:
    """Evaluation `number`, of an essay."""
    cell = {"parent_gen_id": essay or f"e_{number % 300}", "template_id": "t", "llm_model_id": "m", "replicate": 1}
    (folder / f"v_{number}").mkdir(parents=True)
    (folder / f"v_{number}" / "metadata.json").write_text(json.dumps(cell))


def index_of(folder: Path) -> Path:
    """Where the index of a folder is."""
    return folder.parent.parent / ".index" / "evaluations.sqlite"


def find(folder: Path, *essay_ids: str) -> FoundFolders:
    """What is found by the index."""
    return find_folders(folder, set(essay_ids), index_of(folder))


def same(folder: Path, *essay_ids: str) -> FoundFolders:
    """What is found by the index, once it is what is found without it."""
    found, plain = find(folder, *essay_ids), find_folders(folder, set(essay_ids))
    assert sorted(found.selected) == sorted(plain.selected)
    assert sorted(found.unusable) == sorted(plain.unusable)
    assert found.names == plain.names == NameSums.of(folder).total
    return found


def test_an_index_tells_what_reading_all_tells(folder: Path) -> None:
    """The second look is made by the index, and finds what the first one found."""
    found = same(folder, "e_0", "e_299")
    assert found.by_index
    assert len(found.selected) == 2 * COUNT // 300


def test_a_small_store_keeps_no_index(tmp_path: Path) -> None:
    """Reading a few files takes less time than an index saves."""
    add(tmp_path / "gens/evaluation", 1)
    assert not same(tmp_path / "gens/evaluation", "e_1").by_index
    assert list(tmp_path.iterdir()) == [tmp_path / "gens"]


def test_a_store_that_has_become_small_loses_its_index(folder: Path) -> None:
    """What is left behind by a store that shrank would be out of date for ever."""
    for number in range(10, COUNT):
        shutil.rmtree(folder / f"v_{number}")
    same(folder, "e_1")
    assert not index_of(folder).exists()


def test_no_folder_is_no_evaluation(tmp_path: Path) -> None:
    """A store without evaluations has none, with an index and without."""
    assert same(tmp_path / "gens/evaluation", "e_1").selected == []


def behind_its_back(folder: Path, change: str) -> None:
    """Changes the store as another program would."""
    match change:
        case "one more":
            add(folder, COUNT, "e_7")
        case "one less":
            shutil.rmtree(folder / "v_7")
        case "one for another":
            shutil.rmtree(folder / "v_7")
            add(folder, COUNT, "e_7")
        case "one is no folder any more":
            shutil.rmtree(folder / "v_7")
            (folder / "v_7").write_text("")
        case "many more":
            for number in range(COUNT, COUNT + 1_100):
                add(folder, number)
        case "nearly all gone":
            for number in range(300, COUNT):
                shutil.rmtree(folder / f"v_{number}")
        case _:
            add_unusable(folder, change)


def add_unusable(folder: Path, kind: str) -> None:
    """Adds folders that hold no evaluation."""
    if kind == "a name that is no UTF-8":
        Path(os.fsdecode(os.fsencode(folder) + b"/v_\xff")).mkdir()
        return
    assert kind == "unusable"
    for name in ("v_x", "no id", "v_y"):
        (folder / name).mkdir()
    (folder / "v_y" / "metadata.json").write_text("{")


@pytest.mark.parametrize(
    "change",
    [
        "one more",
        "one less",
        "one for another",
        "one is no folder any more",
        "many more",
        "nearly all gone",
        "unusable",
        "a name that is no UTF-8",
    ],
)
def test_a_change_behind_the_index_is_seen(folder: Path, change: str) -> None:
    """Whatever came or went since the index was written, the next look finds it, and the one after it too."""
    behind_its_back(folder, change)
    same(folder, "e_7", "e_1", "e_299")
    same(folder, "e_7", "e_1", "e_299")


def test_an_unusable_folder_is_read_again_each_time(folder: Path) -> None:
    """A folder whose metadata.json comes later is found as soon as it is there: it was never in the index."""
    (folder / "v_late").mkdir()
    assert "v_late" in find(folder, "e_1").unusable
    (folder / "v_late" / "metadata.json").write_text((folder / "v_1" / "metadata.json").read_text())
    found = find(folder, "e_1")
    assert "v_late" in found.selected
    assert found.by_index


def test_many_changes_are_written_into_the_index(folder: Path) -> None:
    """After a thousand new ones the index is replaced, and knows them; after one it stays as it is."""
    before = index_of(folder).stat().st_ino, index_of(folder).read_bytes()
    add(folder, COUNT)
    find(folder)
    assert (index_of(folder).stat().st_ino, index_of(folder).read_bytes()) == before
    for number in range(COUNT + 1, COUNT + 1_001):
        add(folder, number)
    find(folder)
    with evaluation_index.EvaluationIndex.opened(index_of(folder)) as index:
        assert index is not None
        assert index.total == COUNT + 1_001
        assert index.sums.differing(NameSums.of(folder)) == set()


def test_an_old_index_is_made_anew(folder: Path) -> None:
    """A metadata.json that was edited in place is seen within the hour."""
    metadata = folder / "v_1" / "metadata.json"
    metadata.write_text(metadata.read_text().replace("e_1", "e_2"))
    assert "v_1" not in find(folder, "e_2").selected
    past = time.time() - OLDEST_S - 1
    os.utime(index_of(folder), (past, past))
    assert "v_1" in same(folder, "e_2").selected


def test_an_index_that_is_kept_up_does_not_grow_young(folder: Path) -> None:
    """What was read long ago and only copied is as old as before: an edit is seen within the hour all the same."""
    past = time.time() - OLDEST_S / 2
    os.utime(index_of(folder), (past, past))
    for number in range(COUNT, COUNT + 1_001):
        add(folder, number)
    assert find(folder).by_index
    with evaluation_index.EvaluationIndex.opened(index_of(folder)) as index:
        assert index is not None
        assert index.total == COUNT + 1_001
        assert abs(index.made_at - past) < 1


def damaged(index: Path, damage: str) -> None:
    """Damages an index file."""
    match damage:
        case "empty":
            index.write_bytes(b"")
        case "no database":
            index.write_bytes(b"not a database, though long enough to be taken for one" * 100)
        case "cut off":
            index.write_bytes(index.read_bytes()[:20_000])
        case "overwritten":
            content = index.read_bytes()
            index.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
        case "another form":
            with sqlite3.connect(index) as connection:
                connection.execute("UPDATE sums SET form = form + 1")
        case "no sums":
            with sqlite3.connect(index) as connection:
                connection.execute("DELETE FROM sums")
        case "a folder":
            index.unlink()
            index.mkdir()


@pytest.mark.parametrize(
    "damage", ["empty", "no database", "cut off", "overwritten", "another form", "no sums", "a folder"]
)
def test_a_damaged_index_is_no_trouble(folder: Path, damage: str) -> None:
    """What cannot be read is rebuilt, and what cannot be written is done without."""
    damaged(index_of(folder), damage)
    same(folder, "e_1")
    same(folder, "e_1")


def test_a_full_disk_costs_only_the_index(large: Path, tmp_path: Path) -> None:
    """When the index cannot be written, all is found all the same, and nothing is left behind."""
    folder = tmp_path / "gens" / "evaluation"
    shutil.copytree(large, folder)
    with full_disk(8_192):
        found = find(folder, "e_1")
    assert len(found.selected) == COUNT // 300
    assert list(index_of(folder).parent.iterdir()) == []


@pytest.mark.parametrize("known", [False, True], ids=["none before", "one before"])
def test_no_index_is_written_through_a_link(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, known: bool
) -> None:
    """A link that leads out of the data root: the store does without an index, and nothing is written there."""
    outside = tmp_path_factory.mktemp("outside")
    place = index_of(folder).parent
    if known:
        shutil.copy(index_of(folder), outside)
        for number in range(COUNT, COUNT + 1_001):
            add(folder, number)
    shutil.rmtree(place)
    place.symlink_to(outside)
    before = {path.name: path.read_bytes() for path in outside.iterdir()}
    same(folder, "e_1")
    assert {path.name: path.read_bytes() for path in outside.iterdir()} == before


def test_what_a_dead_writer_left_is_removed(folder: Path) -> None:
    """A temporary file goes once it is an hour old; a younger one may be somebody's."""
    old, young = (index_of(folder).with_name(f".evaluations.sqlite.{name}.tmp") for name in ("old", "young"))
    old.touch()
    young.touch()
    os.utime(old, (0, 0))
    index_of(folder).unlink()
    find(folder)
    assert not old.exists()
    assert young.exists()


def test_two_that_write_at_once_leave_a_whole_index(folder: Path) -> None:
    """The writer that finishes later stands, and who had the former index open reads it to its end."""
    with evaluation_index.EvaluationIndex.opened(index_of(folder)) as index:
        assert index is not None
        first, second = (evaluation_index.IndexWriter.after(index, set()) for _ in range(2))
        second.finish()
        first.finish()
        assert len(list(index.entries_of(["e_1"]))) == COUNT // 300
    assert same(folder, "e_1").by_index


@settings(max_examples=200, deadline=None)
@given(st.sets(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=6)), st.data())
def test_sums_differ_where_names_do(names: set[str], data: st.DataObject) -> None:
    """A name more or less changes the sum of its own bucket and of no other."""
    changed = data.draw(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=6))
    before, after = NameSums(), NameSums()
    for name in names:
        before.add(name)
    for name in sorted(names ^ {changed}):
        after.add(name)
    assert before.differing(after) == {evaluation_index.bucket_of(changed)}


@pytest.mark.parametrize("name", ["v_1", ".v_1.tmp", "file"])
def test_sums_and_names_agree_on_what_a_folder_is(tmp_path: Path, name: str) -> None:
    """Both leave out files and what a crash left unfinished."""
    (tmp_path / "v_0").mkdir()
    if name == "file":
        (tmp_path / name).touch()
    else:
        (tmp_path / name).mkdir()
    sums = NameSums()
    for one in folder_names(tmp_path):
        sums.add(one)
    assert sums.differing(NameSums.of(tmp_path)) == set()


@pytest.fixture
def indexed(monkeypatch: pytest.MonkeyPatch, store: StoreBuilder) -> Callable[[str], StoreBuilder]:
    """A store with an index that knows of nothing in e_essay1's cell, whatever there is."""
    monkeypatch.setattr(evaluation_index, "LEAST", 1)

    def build(essay: str) -> StoreBuilder:
        store.evaluation("v_old", "e_other")
        store.evaluation("v_kept", essay)
        PlayedDag(root=store.root, base_url="").plan({"cohort_id": "before", "essay_ids": [essay], "dry_run": True})
        with sqlite3.connect(store.root / ".index" / "evaluations.sqlite") as connection:
            connection.execute("UPDATE evaluation SET essay = 'e_other'")
        return store

    return build


def shown_and_planned(store: StoreBuilder, essay: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """How many of one cell are reused and called for, by a dry run and by a run after it."""
    dag = PlayedDag(root=store.root, base_url="")
    conf = {"cohort_id": "c", "essay_ids": [essay], "include_existing_evaluations": True, "replicates": 1}
    conf |= {"templates": ["novelty"], "models": ["judge-a"]}
    shown = dag.plan({**conf, "dry_run": True})
    planned = dag.plan(conf, run_id="run-2")
    return (shown.reuse, shown.call), (planned.reuse, planned.call)


def test_what_is_paid_for_is_not_decided_by_the_index(
    indexed: Callable[[str], StoreBuilder], store: StoreBuilder
) -> None:
    """An index that hides an evaluation shows a wrong plan in a dry run, and costs no call in a run."""
    essay = store.essay(1)
    indexed(essay)
    shown, planned = shown_and_planned(store, essay)
    assert shown == (0, 1)
    assert planned == (1, 0)


def test_an_unfinished_evaluation_is_not_called_for_by_the_index(
    indexed: Callable[[str], StoreBuilder], store: StoreBuilder
) -> None:
    """The index knows a seed and hides a score: the run finds the score, and the seed is not called for."""
    essay = store.essay(1)
    indexed(essay)
    store.evaluation("v_seed", essay, replicate=2, score=None)
    shown, planned = shown_and_planned(store, essay)
    assert shown == (0, 1)
    assert planned == (1, 0)


def test_a_read_only_data_root_is_planned_without_an_index(folder: Path) -> None:
    """Where nothing can be written, all is read each time."""
    index_of(folder).unlink()
    index_of(folder).parent.rmdir()
    (folder.parent.parent / ".index").write_text("in the way")
    assert not same(folder, "e_1").by_index
