"""Importing essays: once, without overwriting a text that was judged, and whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from essay_cohorts.errors import StoreError
from essay_cohorts.importing.essay_sources import SourceEssay
from essay_cohorts.importing.essays import ImportPlan, plan_import, write_essays
from tests.conftest import killed_before
from tests.store_builder import StoreBuilder

ONE = SourceEssay(
    place="e.csv:2",
    essay_id="one",
    title="One",
    text="The first essay.",
    group="a",
    stated=frozenset({"title", "group"}),
)
TWO = SourceEssay(place="e.csv:3", essay_id="two", title="Two", text="The second essay.")


def run_import(root: Path, essays: Sequence[SourceEssay], **options: bool) -> ImportPlan:
    """Import essays that conflict with nothing; return what was done."""
    planned = plan_import(root, essays, **options)
    assert planned.problems == ()
    assert len(list(write_essays(root, planned.value))) == len(planned.value.new) + len(planned.value.updated)
    return planned.value


def test_an_imported_essay_has_its_text_and_its_metadata(store: StoreBuilder) -> None:
    """The text is in parsed.txt; title, group and the other columns are in metadata.json."""
    run_import(store.root, [replace(ONE, columns={"year": 1999, "score": float("nan"), "tags": ["x", {"y": None}]})])
    assert store.read("gens/essay/one/parsed.txt") == ONE.text
    assert store.read("gens/essay/one/metadata.json") == (
        '{\n  "stage": "essay",\n  "gen_id": "one",\n  "origin_cohort_id": "",\n  "mode": "imported",\n'
        '  "parent_gen_id": "",\n  "replicate": 1,\n  "title": "One",\n  "group": "a",\n  "columns": {\n'
        '    "year": 1999,\n    "score": null,\n    "tags": [\n      "x",\n      {\n        "y": null\n      }\n'
        "    ]\n"
        "  }\n}\n"
    )


def test_the_same_import_again_changes_nothing(store: StoreBuilder) -> None:
    """A second import finds every essay unchanged and writes nothing."""
    run_import(store.root, [ONE, TWO])
    tree = store.tree_hash()
    again = run_import(store.root, [TWO, ONE])
    assert (again.new, again.updated, again.essay_ids) == ((), (), ["one", "two"])
    assert store.tree_hash() == tree


def test_a_new_title_or_group_is_taken_over(store: StoreBuilder) -> None:
    """The same text with another description updates metadata.json and keeps what others wrote there."""
    run_import(store.root, [ONE, TWO])
    metadata = store.root / "gens/essay/one/metadata.json"
    metadata.write_text(metadata.read_text().replace('"mode"', '"note": "mine",\n  "mode"'))
    done = run_import(store.root, [replace(ONE, group="b"), TWO])
    assert ([essay.essay_id for essay in done.updated], done.known) == (["one"], (TWO,))
    text = store.read("gens/essay/one/metadata.json")
    assert '"group": "b"' in text
    assert '"note": "mine"' in text


def test_what_a_source_does_not_state_is_not_erased(store: StoreBuilder) -> None:
    """A later source without the column of groups, titles or others leaves them as they are."""
    run_import(store.root, [replace(ONE, columns={"year": 1}, stated=frozenset({"title", "group", "columns"}))])
    before = store.read("gens/essay/one/metadata.json")
    done = run_import(store.root, [replace(ONE, title="x", group="", columns={}, stated=frozenset())])
    assert (len(done.known), store.read("gens/essay/one/metadata.json")) == (1, before)


def test_a_generated_essay_keeps_its_metadata(store: StoreBuilder) -> None:
    """An essay that a writer model made is known by its id and text; its metadata.json is not ours."""
    essay_id = store.essay(1, text="A generated essay.")
    before = store.read(f"gens/essay/{essay_id}/metadata.json")
    done = run_import(store.root, [replace(ONE, essay_id=essay_id, text="A generated essay.")])
    assert (len(done.known), store.read(f"gens/essay/{essay_id}/metadata.json")) == (1, before)


def test_a_changed_text_under_a_known_id_is_refused(store: StoreBuilder) -> None:
    """All conflicts are listed with their places, and the message says what --as-new does."""
    run_import(store.root, [ONE, TWO])
    tree = store.tree_hash()
    changed = [replace(ONE, text="Changed."), replace(TWO, text="Changed too.")]
    problems = plan_import(store.root, changed).problems
    assert [problem.place for problem in problems] == ["e.csv:2", "e.csv:3"]
    assert "the essay one has another text in this data root" in problems[0].finding
    assert "--as-new" in problems[0].next_step
    assert store.tree_hash() == tree


def test_as_new_gives_a_changed_text_a_new_id(store: StoreBuilder) -> None:
    """Only the changed essay gets a new id, always the same one, and the former essay stays."""
    run_import(store.root, [ONE, TWO])
    changed = replace(ONE, text="Changed.")
    done = run_import(store.root, [changed, TWO], as_new=True)
    [new] = done.new
    assert (new.essay_id.startswith("one-"), done.known) == (True, (TWO,))
    assert store.read("gens/essay/one/parsed.txt") == ONE.text
    assert run_import(store.root, [changed, TWO], as_new=True).new == ()


def test_an_id_that_differs_only_by_case_is_refused(store: StoreBuilder) -> None:
    """The gen_ids of evaluations ignore case, so ONE and one would share their scores."""
    run_import(store.root, [ONE])
    [problem] = plan_import(store.root, [replace(ONE, essay_id="ONE", text="Another.")]).problems
    assert "the ids ONE and one, which this data root has, differ only by case." in problem.finding


def test_imported_essays_are_planned_and_have_no_damage(store: StoreBuilder, dag: Any) -> None:
    """A run judges imported essays like generated ones."""
    run_import(store.root, [ONE, TWO])
    planned = dag.plan({"essay_ids": ["one", "two"]})
    assert planned.call == 2 * 2 * 2 * 4


@pytest.mark.slow
def test_killed_at_any_point_an_essay_is_whole_or_missing(tmp_path: Path) -> None:
    """After each kill every essay has its text and its metadata, or does not exist; the next import completes it."""
    point = 1
    while True:
        root = tmp_path / str(point)
        (root / "gens").mkdir(parents=True)
        planned = plan_import(root, [ONE, TWO]).value

        def act(root: Path = root, planned: ImportPlan = planned) -> None:
            list(write_essays(root, planned))

        died = killed_before(point, root, act)
        for essay in (ONE, TWO):
            folder = root / "gens/essay" / essay.essay_id
            if folder.exists():
                assert {path.name for path in folder.iterdir()} == {"metadata.json", "parsed.txt"}
        run_import(root, [ONE, TWO])
        assert (root / "gens/essay/two/parsed.txt").read_text() == TWO.text
        if not died:
            break
        point += 1
    assert point > 5


def test_an_essay_that_another_process_creates_meanwhile(store: StoreBuilder) -> None:
    """The same text is fine; another text is an error, and nothing is overwritten."""
    planned = plan_import(store.root, [ONE]).value
    run_import(store.root, [ONE])
    assert len(list(write_essays(store.root, planned))) == 1
    planned = plan_import(store.root, [TWO]).value
    run_import(store.root, [replace(TWO, text="Other.")])
    with pytest.raises(StoreError, match="Another process created gens/essay/two with another text"):
        list(write_essays(store.root, planned))
    assert store.read("gens/essay/two/parsed.txt") == "Other."
