"""Tests of finding the evaluations of some essays: the results are the same with and without an index."""

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
from essay_cohorts.store.index import MAX_AGE_S, NameSums, folder_names
from essay_cohorts.store.scan import FoundFolders, find_folders
from tests.conftest import PlayedDag, full_disk
from tests.store_builder import StoreBuilder

COUNT = 2_400


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of COUNT evaluations of 300 essays, which is enough for an index."""
    folder = tmp_path_factory.mktemp("large") / "gens" / "evaluation"
    for number in range(COUNT):
        add(folder, number)
    return folder


@pytest.fixture
def folder(large: Path, tmp_path: Path) -> Path:
    """Return a copy of `large` with an index."""
    copy = tmp_path / "gens" / "evaluation"
    shutil.copytree(large, copy)
    find(copy)
    return copy


def add(folder: Path, number: int, essay: str | None = None) -> None:
    """Add evaluation `number` of an essay."""
    cell = {"parent_gen_id": essay or f"e_{number % 300}", "template_id": "t", "llm_model_id": "m", "replicate": 1}
    (folder / f"v_{number}").mkdir(parents=True)
    (folder / f"v_{number}" / "metadata.json").write_text(json.dumps(cell))


def index_of(folder: Path) -> Path:
    """Return the path of a folder's index."""
    return folder.parent.parent / ".index" / "evaluations.sqlite"


def find(folder: Path, *essay_ids: str) -> FoundFolders:
    """Return what the search with an index finds."""
    return find_folders(folder, set(essay_ids), index_of(folder))


def same(folder: Path, *essay_ids: str) -> FoundFolders:
    """Return what the search with an index finds, after checking that a search without it finds the same."""
    found, plain = find(folder, *essay_ids), find_folders(folder, set(essay_ids))
    assert sorted(found.selected) == sorted(plain.selected)
    assert sorted(found.unusable) == sorted(plain.unusable)
    assert found.names == plain.names == NameSums.of_folder(folder).total
    return found


def test_the_index_finds_what_reading_every_folder_finds(folder: Path) -> None:
    """The second search uses the index and finds the same as reading every folder."""
    found = same(folder, "e_0", "e_299")
    assert found.by_index
    assert len(found.selected) == 2 * COUNT // 300


def test_a_small_store_keeps_no_index(tmp_path: Path) -> None:
    """A small store has no index, because reading a few files is faster."""
    add(tmp_path / "gens/evaluation", 1)
    assert not same(tmp_path / "gens/evaluation", "e_1").by_index
    assert list(tmp_path.iterdir()) == [tmp_path / "gens"]


def test_a_store_that_has_become_small_loses_its_index(folder: Path) -> None:
    """A store that shrank loses its index, which would otherwise stay out of date for ever."""
    for number in range(10, COUNT):
        shutil.rmtree(folder / f"v_{number}")
    same(folder, "e_1")
    assert not index_of(folder).exists()


def test_without_a_folder_there_are_no_evaluations(tmp_path: Path) -> None:
    """A store without evaluations gives an empty result, with and without an index."""
    assert same(tmp_path / "gens/evaluation", "e_1").selected == []


def change_store(folder: Path, change: str) -> None:
    """Change the store as another program would."""
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
    """Add folders that hold no evaluation."""
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
    """Changes after the index was written are found by the next search and by the one after it."""
    change_store(folder, change)
    same(folder, "e_7", "e_1", "e_299")
    same(folder, "e_7", "e_1", "e_299")


def test_an_unusable_folder_is_read_again_each_time(folder: Path) -> None:
    """A folder without metadata.json is not in the index, so it is found as soon as metadata.json exists."""
    (folder / "v_late").mkdir()
    assert "v_late" in find(folder, "e_1").unusable
    (folder / "v_late" / "metadata.json").write_text((folder / "v_1" / "metadata.json").read_text())
    found = find(folder, "e_1")
    assert "v_late" in found.selected
    assert found.by_index


def test_many_changes_are_written_into_the_index(folder: Path) -> None:
    """One new evaluation does not change the index; a thousand new ones replace it."""
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
        assert index.sums.differing_buckets(NameSums.of_folder(folder)) == set()


def test_an_old_index_is_made_again(folder: Path) -> None:
    """The index is made again after an hour, so a metadata.json that was edited in place is found then."""
    metadata = folder / "v_1" / "metadata.json"
    metadata.write_text(metadata.read_text().replace("e_1", "e_2"))
    assert "v_1" not in find(folder, "e_2").selected
    past = time.time() - MAX_AGE_S - 1
    os.utime(index_of(folder), (past, past))
    assert "v_1" in same(folder, "e_2").selected


def test_an_updated_index_keeps_its_age(folder: Path) -> None:
    """Replacing the index keeps its age, because copied entries are as old as before."""
    past = time.time() - MAX_AGE_S / 2
    os.utime(index_of(folder), (past, past))
    for number in range(COUNT, COUNT + 1_001):
        add(folder, number)
    assert find(folder).by_index
    with evaluation_index.EvaluationIndex.opened(index_of(folder)) as index:
        assert index is not None
        assert index.total == COUNT + 1_001
        assert abs(index.made_at - past) < 1


def damaged(index: Path, damage: str) -> None:
    """Damage an index file."""
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
def test_a_damaged_index_is_made_again(folder: Path, damage: str) -> None:
    """A damaged index is made again, and if it cannot be written the search works without it."""
    damaged(index_of(folder), damage)
    same(folder, "e_1")
    same(folder, "e_1")


def test_a_full_disk_costs_only_the_index(large: Path, tmp_path: Path) -> None:
    """If the index cannot be written, the search still finds everything and leaves no file."""
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
    """If the index folder is a link out of the data root, no index is used and nothing is written there."""
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
    """A temporary file is removed after an hour; a newer one may belong to a living writer."""
    old, young = (index_of(folder).with_name(f".evaluations.sqlite.{name}.tmp") for name in ("old", "young"))
    old.touch()
    young.touch()
    os.utime(old, (0, 0))
    index_of(folder).unlink()
    find(folder)
    assert not old.exists()
    assert young.exists()


def test_two_concurrent_writers_leave_a_complete_index(folder: Path) -> None:
    """The writer that finishes last wins, and a reader of the former index can finish reading it."""
    with evaluation_index.EvaluationIndex.opened(index_of(folder)) as index:
        assert index is not None
        first, second = (evaluation_index.IndexWriter.based_on(index, set()) for _ in range(2))
        second.finish()
        first.finish()
        assert len(list(index.entries_of(["e_1"]))) == COUNT // 300
    assert same(folder, "e_1").by_index


@settings(max_examples=200, deadline=None)
@given(st.sets(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=6)), st.data())
def test_sums_differ_where_names_do(names: set[str], data: st.DataObject) -> None:
    """Adding or removing a name changes the sum of its bucket and of no other."""
    changed = data.draw(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=6))
    before, after = NameSums(), NameSums()
    for name in names:
        before.add(name)
    for name in sorted(names ^ {changed}):
        after.add(name)
    assert before.differing_buckets(after) == {evaluation_index.bucket_of(changed)}


@pytest.mark.parametrize("name", ["v_1", ".v_1.tmp", "file"])
def test_sums_and_names_agree_on_what_a_folder_is(tmp_path: Path, name: str) -> None:
    """Both leave out files and the unfinished folders of a crash."""
    (tmp_path / "v_0").mkdir()
    if name == "file":
        (tmp_path / name).touch()
    else:
        (tmp_path / name).mkdir()
    sums = NameSums()
    for one in folder_names(tmp_path):
        sums.add(one)
    assert sums.differing_buckets(NameSums.of_folder(tmp_path)) == set()


@pytest.fixture
def indexed(monkeypatch: pytest.MonkeyPatch, store: StoreBuilder) -> Callable[[str], StoreBuilder]:
    """Return a builder of a store whose index hides every evaluation of e_essay1's cell."""
    monkeypatch.setattr(evaluation_index, "MIN_ENTRIES", 1)

    def build(essay: str) -> StoreBuilder:
        store.evaluation("v_old", "e_other")
        store.evaluation("v_kept", essay)
        PlayedDag(root=store.root, base_url="").plan({"cohort_id": "before", "essay_ids": [essay], "dry_run": True})
        with sqlite3.connect(store.root / ".index" / "evaluations.sqlite") as connection:
            connection.execute("UPDATE evaluation SET essay = 'e_other'")
        return store

    return build


def shown_and_planned(store: StoreBuilder, essay: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the (reused, called) counts of one cell in a dry run and in the run after it."""
    dag = PlayedDag(root=store.root, base_url="")
    conf = {"cohort_id": "c", "essay_ids": [essay], "include_existing_evaluations": True, "replicates": 1}
    conf |= {"templates": ["novelty"], "models": ["judge-a"]}
    shown = dag.plan({**conf, "dry_run": True})
    planned = dag.plan(conf, run_id="run-2")
    return (shown.reuse, shown.call), (planned.reuse, planned.call)


def test_what_is_paid_for_is_not_decided_by_the_index(
    indexed: Callable[[str], StoreBuilder], store: StoreBuilder
) -> None:
    """A stale index gives a wrong plan in a dry run, but a run reads the store and pays for no call."""
    essay = store.essay(1)
    indexed(essay)
    shown, planned = shown_and_planned(store, essay)
    assert shown == (0, 1)
    assert planned == (1, 0)


def test_an_unfinished_evaluation_is_not_called_for_by_the_index(
    indexed: Callable[[str], StoreBuilder], store: StoreBuilder
) -> None:
    """If the index has a seed but not a score, the run finds the score and does not call for the seed."""
    essay = store.essay(1)
    indexed(essay)
    store.evaluation("v_seed", essay, replicate=2, score=None)
    shown, planned = shown_and_planned(store, essay)
    assert shown == (0, 1)
    assert planned == (1, 0)


def test_a_read_only_data_root_is_planned_without_an_index(folder: Path) -> None:
    """If no index can be written, every folder is read each time."""
    index_of(folder).unlink()
    index_of(folder).parent.rmdir()
    (folder.parent.parent / ".index").write_text("in the way")
    assert not same(folder, "e_1").by_index
