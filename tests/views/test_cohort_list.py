"""The list of cohorts: from manifests alone, the newest first, whatever else is in cohorts/."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from essay_cohorts.domain import RunRef
from essay_cohorts.views.cohort_list import CohortEntry, cohort_of_run, list_cohorts
from tests.conftest import PlayedDag
from tests.store_builder import StoreBuilder


def add(store: StoreBuilder, name: str, manifest: str | None, written_at: int = 0) -> None:
    """Add a cohort with this name; `written_at` is the time of its membership.csv, in s since 1970."""
    path = store.write(f"cohorts/{name}/membership.csv", "stage\n")
    os.utime(path, (written_at, written_at))
    if manifest is not None:
        store.write(f"cohorts/{name}/manifest.json", manifest)


@pytest.fixture
def three(store: StoreBuilder) -> Path:
    """Return the data root of three cohorts."""
    add(store, "Spring", '{"created_at": "2026-03-01T10:00:00Z"}')
    add(store, "winter", '{"created_at": "2026-01-01T10:00:00Z", "directives": ["include-existing-evaluations"]}')
    add(store, "summer.v2", '{"created_at": "2026-07-01T10:00:00Z", "directives": []}')
    return store.root


@pytest.mark.parametrize(
    ("text", "names"),
    [
        pytest.param("", ["summer.v2", "Spring", "winter"], id="all, the newest first"),
        pytest.param(" SPRING ", ["Spring"], id="any case"),
        pytest.param("r", ["summer.v2", "Spring", "winter"], id="a part"),
        pytest.param(".v2", ["summer.v2"], id="no pattern"),
        pytest.param("s.m", [], id="a dot is a dot"),
        pytest.param("autumn", [], id="none"),
    ],
)
def test_cohorts_are_found_by_name(three: Path, text: str, names: list[str]) -> None:
    """The text is searched in ids, and the newest cohort comes first."""
    assert [entry.cohort_id for entry in list_cohorts(three, text)] == names


def test_backfill_mode_is_shown(three: Path) -> None:
    """Only a cohort whose selection has directives includes existing evaluations."""
    assert {one.cohort_id: one.includes_existing for one in list_cohorts(three)} == {
        "summer.v2": False,
        "Spring": False,
        "winter": True,
    }


@pytest.mark.parametrize(
    "manifest",
    [
        pytest.param(None, id="none"),
        pytest.param("{", id="torn"),
        pytest.param("[]", id="a list"),
        pytest.param('{"created_at": 5, "directives": null}', id="odd values"),
        pytest.param('{"created_at": ""}', id="no time"),
    ],
)
def test_without_a_manifest_the_membership_gives_the_age(store: StoreBuilder, manifest: str | None) -> None:
    """A cohort whose manifest has no time is as old as its membership.csv."""
    add(store, "c", manifest, written_at=86_400)
    expected = CohortEntry(cohort_id="c", created_at="1970-01-02T00:00:00+00:00", includes_existing=False)
    assert list_cohorts(store.root) == (expected,)


def test_what_is_no_cohort_is_not_listed(store: StoreBuilder) -> None:
    """A folder without members, or with a name that is not an id, is not a cohort."""
    add(store, "c", "{}")
    add(store, "copy of c", "{}")
    add(store, ".hidden", "{}")
    store.write("cohorts/tried_out/plan.csv", "")
    store.write("cohorts/notes.txt", "")
    assert [entry.cohort_id for entry in list_cohorts(store.root)] == ["c"]


def test_a_data_root_without_cohorts(tmp_path: Path) -> None:
    """A data root in which nothing was planned has no cohorts."""
    assert list_cohorts(tmp_path / "nowhere") == ()


def test_cohorts_as_they_are_planned(store: StoreBuilder, dag: PlayedDag) -> None:
    """A planned cohort is listed with the time of its first planning; a dry run is not listed."""
    store.backfill(store.essay(1))
    dag.plan({"cohort_id": "first"})
    (planned,) = list_cohorts(store.root)
    dag.plan({"cohort_id": "second", "include_existing_evaluations": False}, run_id="run-2")
    dag.plan({"cohort_id": "first", "replicates": 1}, run_id="run-3")
    dag.plan({"cohort_id": "third", "dry_run": True}, run_id="run-4")
    listed = list_cohorts(store.root)
    assert [(one.cohort_id, one.includes_existing) for one in listed] == [("second", False), ("first", True)]
    assert listed[1] == planned


def test_the_cohort_of_a_run_is_found(dag: PlayedDag, store: StoreBuilder) -> None:
    """A run belongs to the cohort that it planned; a dry run without a cohort and an unknown run belong to none."""
    essay = store.essay(1)
    conf = {"essay_ids": [essay], "templates": ["novelty"], "replicates": 1}
    dag.run({**conf, "cohort_id": "one"}, run_id="run-1")
    dag.run({**conf, "cohort_id": "two"}, run_id="run-2")
    dag.plan({**conf, "cohort_id": "three", "dry_run": True}, run_id="run-3")
    found = [cohort_of_run(store.root, RunRef("evaluation_backfill", f"run-{number}")) for number in (1, 2, 3, 4)]
    assert found == ["one", "two", None, None]
    assert cohort_of_run(store.root, RunRef("other", "run-1")) is None
