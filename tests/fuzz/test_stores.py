"""Fuzz tests of data roots: each is planned by the rules or refused, and existing files do not change."""

from __future__ import annotations

import csv
import io
import logging
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from essay_cohorts.backfill import slice_tasks
from essay_cohorts.backfill.summarise import summarise_cohort
from essay_cohorts.errors import BadInput, CohortError
from essay_cohorts.maintenance.verify import find_damage
from essay_cohorts.planning.planned_run import PlannedRun
from essay_cohorts.planning.slices import Slice
from essay_cohorts.store.gens_data_layer import GensDataLayer
from tests.conftest import PlayedDag, task_ref
from tests.fuzz import fuzzed, odd_stores
from tests.fuzz.near_misses import ODD_IDS, is_readable, may_be_an_id, odd_texts, odd_values
from tests.fuzz.odd_files import COHORT, FIRST, RUN_ID, SECOND
from tests.fuzz.odd_stores import OddStore
from tests.fuzz.test_confs import KEYS
from tests.fuzz.test_replies import stated_number
from tests.fuzz.write_record import outside, recorded_writes
from tests.store_builder import StoreBuilder

# The product syncs files, which takes milliseconds on a disk and no time in memory.
IN_MEMORY = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
SUM = ("reused", "scored", "unscored", "failed", "not_run")

confs = st.fixed_dictionaries(
    {"cohort_id": st.just(COHORT)},
    optional={
        "include_existing_evaluations": st.booleans(),
        "replicates": st.integers(1, 3),
        "retry_unscored": st.booleans(),
        "dry_run": st.sampled_from([False, False, True]),
        "templates": st.just(["novelty"]),
    },
)


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Turn logging off, because keeping the messages of thousands of examples takes longer than the examples."""
    caplog.set_level(logging.CRITICAL, logger="essay_cohorts")


@contextmanager
def built(odd: OddStore) -> Iterator[StoreBuilder]:
    """Write the store, and files and an evaluation outside its data root."""
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        store = StoreBuilder.sample(Path(folder) / "data", replicates=odd.replicates)
        store.models("judge-a")
        odd_stores.build_evaluation(StoreBuilder(Path(folder) / "beside"), odd_stores.BESIDE)
        odd.build(store)
        yield store


def plan(store: StoreBuilder, conf: dict[str, Any], run_id: str = RUN_ID) -> PlannedRun | None:
    """Plan, and return None if planning was refused; check the error, and that no write is outside the root."""
    before = store.tree_hash()
    planned = None
    with recorded_writes() as writes:
        try:
            planned = PlayedDag(root=store.root, base_url="").plan(conf, run_id=run_id)
        except CohortError as error:
            assert is_readable(str(error))
            refused = isinstance(error, BadInput)
    assert outside(store.root, writes) == []
    if planned is None and refused:
        assert writes == []
        assert store.tree_hash() == before
    return planned


def evaluations_of(membership: str) -> list[dict[str, str]]:
    """Return the rows of stage evaluation; a cell may have any length."""
    former = csv.field_size_limit(len(membership) + 1)
    try:
        rows = list(csv.DictReader(io.StringIO(membership, newline="")))
    finally:
        csv.field_size_limit(former)
    return [row for row in rows if row["stage"] == "evaluation"]


@fuzzed("stores")
@given(odd_stores.odd_stores(), confs)
@example(odd_stores.linked("gens/evaluation/v_1/metadata.json", "metadata.json"), {"cohort_id": COHORT}).via(
    "a link to itself where metadata belongs"
)
@example(odd_stores.linked("gens/evaluation/v_1", "v_1"), {"cohort_id": COHORT}).via("a link to itself as a folder")
@example(odd_stores.of_combo("x" * 200_000), {"cohort_id": COHORT}).via("a combo_id longer than csv reads unasked")
def test_a_store_is_planned_by_the_rules_or_refused(odd: OddStore, conf: dict[str, Any]) -> None:
    """Each cell gets k members, planning again gives the same ones, and no file of a generation is rewritten."""
    with built(odd) as store:
        existed = store.files("gens")
        planned = plan(store, conf)
        if planned is None or planned.dry_run:
            assert store.files("gens") == existed
            return
        members = store.read(f"cohorts/{COHORT}/membership.csv")
        rows = evaluations_of(members)
        cells = Counter((row["parent_gen_id"], row["template_id"], row["llm_model_id"]) for row in rows)
        assert set(cells.values()) <= {planned.replicates}
        assert len(rows) == planned.planned > 0
        assert len({row["gen_id"] for row in rows}) == len(rows)
        for row in rows:
            assert may_be_an_id(row["gen_id"])
            assert (store.root / "gens/evaluation" / row["gen_id"] / "metadata.json").is_file()
        assert unchanged(store, existed)
        if not odd.links:
            work_through(store, planned)
        existed = store.files("gens")
        again = plan(store, conf, run_id="run-2")
        assert again is not None
        assert (again.planned, again.joined, again.left) == (planned.planned, 0, 0)
        assert store.read(f"cohorts/{COHORT}/membership.csv") == members
        assert unchanged(store, existed)


def unchanged(store: StoreBuilder, existed: dict[str, bytes]) -> bool:
    """Return True if every file of a generation that existed is unchanged."""
    now = store.files("gens")
    return {name: now.get(name) for name in existed} == existed


def work_through(store: StoreBuilder, planned: PlannedRun) -> None:
    """Run the steps after planning except the calls, and check that nothing outside the root is written."""
    settings = PlayedDag(root=store.root, base_url="").settings
    with recorded_writes() as writes:
        for part in (Slice(**part) for part in slice_tasks.cut_into_slices(settings, planned)):
            slice_tasks.check_parsed(settings, planned, part)
            slice_tasks.write_prompts(settings, planned, part)
            slice_tasks.parse_replies(settings, planned, part, task_ref(RUN_ID, "evaluation.evaluation_parsed", 1))
    assert outside(store.root, writes) == []


@fuzzed("records")
@given(odd_stores.stores_with_odd_records(), st.booleans(), st.booleans())
@example(odd_stores.begun_with({"failure.json": {"attempts": "x"}}), True, False).via("attempts not a number")
@example(odd_stores.begun_with({"failure.json": {"message": "\ud800"}}), True, False).via("half a pair as message")
@example(odd_stores.begun_with({"raw_metadata.json": {"cost_usd": 10**400}}), True, False).via("no float's cost")
@example(odd_stores.begun_with({"raw_metadata.json": {"cost_usd": float("nan")}}), True, False).via("NaN as cost")
def test_records_of_others_are_worked_with(odd: OddStore, backfill: bool, retry: bool) -> None:
    """Stored replies get the score that they state or none, and every member is accounted for."""
    with built(odd) as store:
        for damage in find_damage(GensDataLayer.from_root(store.root)):
            assert is_readable(str(damage))
        kept = {"changed_inputs": "keep"}  # an odd record may name another prompt
        conf = {"essay_ids": [FIRST], "templates": ["novelty"], "retry_unscored": retry, **kept}
        planned = plan(store, {**conf, "cohort_id": COHORT, "include_existing_evaluations": backfill})
        assert planned is not None
        scored = {name: content for name, content in store.files("gens").items() if name.endswith("/parsed.txt")}
        work_through(store, planned)
        settings = PlayedDag(root=store.root, base_url="").settings
        with recorded_writes() as writes:
            summary = summarise_cohort(settings, planned, task_ref(RUN_ID, "summarise_cohort", 1).run)
        assert outside(store.root, writes) == []
        assert is_readable(summary.message)
        assert summary.totals.planned == sum(getattr(summary.totals, outcome) for outcome in SUM)
        now = store.files("gens")
        assert scored.keys() <= now.keys()
        for name, content in now.items():
            if name.endswith("/parsed.txt") and content != scored.get(name):
                assert not scored.get(name)
                reply = now[name.replace("parsed.txt", "raw.txt")].decode("utf-8", errors="replace")
                assert float(content) == abs(float(stated_number(reply) or "nan"))


triggers = st.builds(
    lambda near, odd: {**near, **odd},
    st.fixed_dictionaries(
        {},
        optional={
            "cohort_id": st.sampled_from(["c", "C.1", *ODD_IDS]),
            "essay_ids": st.lists(st.sampled_from([FIRST, FIRST, SECOND, "d_draft1", *ODD_IDS]), max_size=2),
            "templates": st.lists(st.sampled_from(["novelty", "coherence", *ODD_IDS]), min_size=1, max_size=2),
            "models": st.lists(
                st.sampled_from(["judge-a", "judge-a", "judge-b", "", "../judge-a"]), min_size=1, max_size=2
            ),
            "replicates": st.sampled_from([1, 1, 2, 0, 1001, "1", True]),
            "batch_size": st.sampled_from([1, None, 0]),
            "dry_run": st.sampled_from([False, True, None, 0]),
        },
    ),
    st.dictionaries(st.one_of(st.sampled_from(KEYS), odd_texts(12)), odd_values, max_size=1),
)


@fuzzed("triggers")
@given(triggers, st.sampled_from([RUN_ID, "manual__2026-11-22T00:00:00+00:00", "../../x", "/etc/x", "a|b", "ü", ""]))
@example({"cohort_id": "../../x"}, RUN_ID).via("a cohort id that is a path")
@example({"essay_ids": ["../../secret"], "templates": ["../../../secret"]}, RUN_ID).via("ids that are paths")
def test_no_trigger_writes_outside_its_cohort(conf: dict[str, Any], run_id: str) -> None:
    """Whatever a trigger asks for, only its cohort's folder and new evaluations are written, or nothing at all."""
    with built(OddStore()) as store:
        existed, tree = store.files("gens"), store.tree_hash()
        with recorded_writes() as writes:
            try:
                planned = PlayedDag(root=store.root, base_url="").plan(conf, run_id=run_id)
            except BadInput as error:
                assert is_readable(str(error))
                planned = None
        if planned is None:
            assert writes == []
            assert store.tree_hash() == tree
            return
        assert may_be_an_id(planned.cohort_id)
        root = Path(os.path.realpath(store.root))
        # The turn to plan is in the ledger.
        places = (root / "cohorts" / planned.cohort_id, root / "gens/evaluation", root / ".ledger")
        parents = {root, root / "cohorts", root / "gens"}
        assert [path for path in writes if path not in parents and not any(map(path.is_relative_to, places))] == []
        assert unchanged(store, existed)
