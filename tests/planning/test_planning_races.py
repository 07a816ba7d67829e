"""Planners side by side: in backfill mode they share what is missing, without it they never share."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from essay_cohorts.domain import Stage
from essay_cohorts.errors import BadInput, StoreError
from essay_cohorts.leases.planning_lock import LEASE, planning_lock
from essay_cohorts.store.gens_data_layer import GensDataLayer
from tests.conftest import PlayedDag
from tests.store_builder import StoreBuilder

K = 4
ONE_CELL: dict[str, Any] = {"templates": ["novelty"], "models": ["judge-a"], "replicates": K}


def at_once(actions: Sequence[Callable[[], object]]) -> list[int]:
    """Runs each action in a process of its own, all let go at the same moment; returns their exit statuses."""
    gate, opens = os.pipe()
    children = [_child(action, gate, opens) for action in actions]
    os.close(gate)
    os.close(opens)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def _child(action: Callable[[], object], gate: int, opens: int) -> int:
    child = os.fork()
    if child:
        return child
    try:
        os.close(opens)
        os.read(gate, 1)
        action()
        os._exit(0)
    except BaseException:  # noqa: BLE001  (nothing of the child may return into the test)
        traceback.print_exc()
    finally:
        os._exit(1)


def members(store: StoreBuilder, cohort: str) -> list[str]:
    """The evaluations of a cohort, by its membership.csv."""
    return [row["gen_id"] for row in store.rows(f"cohorts/{cohort}/membership.csv") if row["stage"] == "evaluation"]


def planner(store: StoreBuilder, cohort: str, essay: str, *, include: bool) -> Callable[[], object]:
    """Plans one cohort of one cell, as a DagRun of its own."""
    conf = {**ONE_CELL, "cohort_id": cohort, "essay_ids": [essay], "include_existing_evaluations": include}
    dag = PlayedDag(root=store.root, base_url="")
    return lambda: dag.plan(conf, run_id=f"run of {cohort}")


def held(store: StoreBuilder) -> set[str]:
    """The evaluations in the store."""
    return set(GensDataLayer.from_root(store.root).folder_names(Stage.EVALUATION))


COHORTS = [f"c{number}" for number in range(20)]


def test_twenty_planners_in_backfill_mode_share_the_same_evaluations(store: StoreBuilder) -> None:
    """All memberships list the same k ids, and the cell holds k."""
    essay = store.essay(1)
    assert at_once([planner(store, cohort, essay, include=True) for cohort in COHORTS]) == [0] * 20
    listed = {tuple(members(store, cohort)) for cohort in COHORTS}
    assert len(listed) == 1
    assert held(store) == set(listed.pop())
    assert len(held(store)) == K


def test_twenty_planners_without_the_directive_share_none(store: StoreBuilder) -> None:
    """Each cohort has k of its own, and no id is in two of them."""
    essay = store.essay(1)
    assert at_once([planner(store, cohort, essay, include=False) for cohort in COHORTS]) == [0] * 20
    listed = [gen_id for cohort in COHORTS for gen_id in members(store, cohort)]
    assert len(listed) == len(set(listed)) == 20 * K
    assert held(store) == set(listed)


def test_planners_with_and_without_the_directive(store: StoreBuilder) -> None:
    """Those without it have k of their own each; those with it take k of what there is, and add nothing needless."""
    essay = store.essay(1)
    actions = [planner(store, cohort, essay, include=number % 2 == 0) for number, cohort in enumerate(COHORTS)]
    assert at_once(actions) == [0] * 20
    own = [gen_id for cohort in COHORTS[1::2] for gen_id in members(store, cohort)]
    assert len(own) == len(set(own)) == 10 * K
    assert {len(members(store, cohort)) for cohort in COHORTS[::2]} == {K}
    assert len(held(store)) <= 11 * K


def test_planners_of_one_cohort(store: StoreBuilder) -> None:
    """One cohort planned by eight runs at once has k members a cell, whoever came first."""
    essay = store.essay(1)
    assert at_once([planner(store, "c", essay, include=False) for _ in range(8)]) == [0] * 8
    assert held(store) == set(members(store, "c"))
    assert len(held(store)) == K


def test_a_planner_that_was_killed_does_not_hold_up_the_next(store: StoreBuilder) -> None:
    """The turn of a process that died while it had it is taken over."""

    def die() -> None:
        with planning_lock(store.root):
            os.kill(os.getpid(), signal.SIGKILL)

    assert at_once([die]) == [-signal.SIGKILL]
    assert (store.root / LEASE).exists()
    assert at_once([planner(store, "c", store.essay(1), include=True)]) == [0]
    assert not (store.root / LEASE).exists()


def test_a_dry_run_waits_for_nobody(store: StoreBuilder) -> None:
    """A dry run is planned while another planning has the turn."""
    essay = store.essay(1)
    with planning_lock(store.root):
        planned = PlayedDag(root=store.root, base_url="").plan({**ONE_CELL, "essay_ids": [essay], "dry_run": True})
    assert planned.call == K


def test_bad_input_is_told_while_another_plans(store: StoreBuilder) -> None:
    """A mistake in the inputs is found without waiting for the turn, and nothing is written."""
    store.essay(1)
    with planning_lock(store.root):
        tree = store.tree_hash()
        with pytest.raises(BadInput, match="e_nowhere"):
            PlayedDag(root=store.root, base_url="").plan({**ONE_CELL, "essay_ids": ["e_nowhere"]})
        assert store.tree_hash() == tree


@contextmanager
def blind_to_each_other(store: StoreBuilder) -> Iterator[None]:
    """Within the block the turn is lost as soon as somebody has it, as on a file system that cannot hold it."""
    child = os.fork()
    if not child:
        while True:
            (store.root / LEASE).unlink(missing_ok=True)
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


STOPPED = 3


def or_stopped(action: Callable[[], object]) -> Callable[[], object]:
    """The action; its process ends with the status STOPPED when it finds that another planner was in its way."""

    def tried() -> None:
        try:
            action()
        except StoreError:
            os._exit(STOPPED)

    return tried


def test_without_the_turn_an_id_is_refused_rather_than_shared(store: StoreBuilder) -> None:
    """The second line of defence: a planner that finds another in its way stops, and succeeds later."""
    essay = store.essay(1)
    planners = {cohort: planner(store, cohort, essay, include=False) for cohort in COHORTS}
    with blind_to_each_other(store):
        statuses = at_once([or_stopped(action) for action in planners.values()])
    assert set(statuses) <= {0, STOPPED}
    stopped = [cohort for cohort, status in zip(COHORTS, statuses, strict=True) if status == STOPPED]
    assert at_once([planners[cohort] for cohort in stopped]) == [0] * len(stopped)
    listed = [gen_id for cohort in COHORTS for gen_id in members(store, cohort)]
    assert len(listed) == len(set(listed)) == len(COHORTS) * K


def test_a_number_that_another_cohort_took_is_refused(store: StoreBuilder) -> None:
    """A seed that is there already is shared in backfill mode and refused without."""
    layer = GensDataLayer.from_root(store.root)
    seed = {
        "parent_gen_id": "e_1",
        "template_id": "novelty",
        "llm_model_id": "judge-a",
        "replicate": 1,
        "origin_cohort_id": "first",
    }
    layer.evaluation("v_1").seed(seed, shared=False)
    layer.evaluation("v_1").seed({**seed, "origin_cohort_id": "second"}, shared=True)
    with pytest.raises(StoreError, match="was taken by another evaluation while this cohort was planned"):
        layer.evaluation("v_1").seed({**seed, "origin_cohort_id": "second"}, shared=False)
