"""Concurrent planners: in backfill mode they share the new evaluations, without backfill mode they never do."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest

from essay_cohorts.backfill.plan_cohort import plan_cohort
from essay_cohorts.domain import Stage
from essay_cohorts.errors import BadInput, StoreError
from essay_cohorts.ledger.ledger import Ledger
from essay_cohorts.settings import Settings
from essay_cohorts.store.gens_data_layer import GensDataLayer
from tests.conftest import PlayedDag, task_ref
from tests.store_builder import StoreBuilder

K = 4
ONE_CELL: dict[str, Any] = {"templates": ["novelty"], "models": ["judge-a"], "replicates": K}


def at_once(actions: Sequence[Callable[[], object]]) -> list[int]:
    """Run each action in a process of its own, start all at the same moment, and return their exit statuses."""
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
    except BaseException:  # noqa: BLE001  (the child process must never continue with the code of the test)
        traceback.print_exc()
    finally:
        os._exit(1)


def turn(store: StoreBuilder) -> AbstractContextManager[None]:
    """Return the turn to plan in a store."""
    return Ledger.of(Settings(data_root=store.root)).planning_turn("a test")


def members(store: StoreBuilder, cohort: str) -> list[str]:
    """Return the evaluations in a cohort's membership.csv."""
    return [row["gen_id"] for row in store.rows(f"cohorts/{cohort}/membership.csv") if row["stage"] == "evaluation"]


def planner(
    store: StoreBuilder, cohort: str, essay: str, *, include: bool, ledger_url: str = ""
) -> Callable[[], object]:
    """Return an action that plans one cohort of one cell, as a DagRun of its own."""
    conf = {**ONE_CELL, "cohort_id": cohort, "essay_ids": [essay], "include_existing_evaluations": include}
    dag = PlayedDag(root=store.root, base_url="", ledger=ledger_url)
    return lambda: dag.plan(conf, run_id=f"run of {cohort}")


def stored(store: StoreBuilder) -> set[str]:
    """Return the evaluations in the store."""
    return set(GensDataLayer.from_root(store.root).folder_names(Stage.EVALUATION))


COHORTS = [f"c{number}" for number in range(20)]


def test_twenty_planners_in_backfill_mode_share_the_same_evaluations(store: StoreBuilder, ledger_url: str) -> None:
    """All memberships have the same k ids, and the store has no more than these k."""
    essay = store.essay(1)
    planners = [planner(store, cohort, essay, include=True, ledger_url=ledger_url) for cohort in COHORTS]
    assert at_once(planners) == [0] * 20
    listed = {tuple(members(store, cohort)) for cohort in COHORTS}
    assert len(listed) == 1
    assert stored(store) == set(listed.pop())
    assert len(stored(store)) == K


def test_twenty_planners_without_the_directive_share_none(store: StoreBuilder, ledger_url: str) -> None:
    """Each cohort has k evaluations of its own, and no id is in two cohorts."""
    essay = store.essay(1)
    planners = [planner(store, cohort, essay, include=False, ledger_url=ledger_url) for cohort in COHORTS]
    assert at_once(planners) == [0] * 20
    listed = [gen_id for cohort in COHORTS for gen_id in members(store, cohort)]
    assert len(listed) == len(set(listed)) == 20 * K
    assert stored(store) == set(listed)


def test_planners_with_and_without_the_directive(store: StoreBuilder) -> None:
    """Cohorts without the directive have k evaluations of their own; cohorts with it share where possible."""
    essay = store.essay(1)
    actions = [planner(store, cohort, essay, include=number % 2 == 0) for number, cohort in enumerate(COHORTS)]
    assert at_once(actions) == [0] * 20
    own = [gen_id for cohort in COHORTS[1::2] for gen_id in members(store, cohort)]
    assert len(own) == len(set(own)) == 10 * K
    assert {len(members(store, cohort)) for cohort in COHORTS[::2]} == {K}
    assert len(stored(store)) <= 11 * K


def test_planners_of_one_cohort(store: StoreBuilder) -> None:
    """A cohort that eight runs plan at the same moment has k members per cell, whichever run was first."""
    essay = store.essay(1)
    assert at_once([planner(store, "c", essay, include=False) for _ in range(8)]) == [0] * 8
    assert stored(store) == set(members(store, "c"))
    assert len(stored(store)) == K


def test_a_killed_planner_does_not_block_the_next_one(store: StoreBuilder) -> None:
    """The next planner takes over the turn of a process that died."""

    def die() -> None:
        with turn(store):
            os.kill(os.getpid(), signal.SIGKILL)

    assert at_once([die]) == [-signal.SIGKILL]
    assert at_once([planner(store, "c", store.essay(1), include=True)]) == [0]


def test_a_dry_run_does_not_wait_for_its_turn(store: StoreBuilder) -> None:
    """A dry run can be planned while another planner has the turn."""
    essay = store.essay(1)
    with turn(store):
        planned = PlayedDag(root=store.root, base_url="").plan({**ONE_CELL, "essay_ids": [essay], "dry_run": True})
    assert planned.call == K


def test_a_plan_made_again_in_its_turn_is_checked_again(store: StoreBuilder) -> None:
    """Another run adds evaluations before the turn is taken: the new plan is checked like the first one."""
    essay = store.essay(1)
    conf = {**ONE_CELL, "cohort_id": "c", "essay_ids": [essay], "include_existing_evaluations": True}
    checks: list[int] = []

    def check_connections(connection_ids: Collection[str]) -> None:
        if not checks:
            planner(store, "other", essay, include=True)()
        checks.append(len(stored(store)))

    settings = PlayedDag(root=store.root, base_url="").settings
    planned = plan_cohort(settings, conf, task_ref("run-1", "plan_cohort", 1), check_connections)
    assert checks == [K, K]
    assert (planned.call, set(members(store, "c"))) == (K, stored(store))


def test_bad_input_is_reported_while_another_run_plans(store: StoreBuilder) -> None:
    """A mistake in the inputs is reported without waiting for the turn, and nothing is written."""
    store.essay(1)
    with turn(store):
        tree = store.tree_hash()
        with pytest.raises(BadInput, match="e_nowhere"):
            PlayedDag(root=store.root, base_url="").plan({**ONE_CELL, "essay_ids": ["e_nowhere"]})
        assert store.tree_hash() == tree


STOPPED = 3


def or_stopped(action: Callable[[], object]) -> Callable[[], object]:
    """Return the action; its process exits with STOPPED when the action finds that another planner interfered."""

    def try_action() -> None:
        try:
            action()
        except StoreError:
            os._exit(STOPPED)

    return try_action


def test_without_turns_an_id_is_refused_and_not_shared(store: StoreBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if everybody has the turn at once, no id is shared: a planner that finds another planner's seed stops.

    When it plans again later, it succeeds.
    """
    essay = store.essay(1)
    planners = {cohort: planner(store, cohort, essay, include=False) for cohort in COHORTS}
    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "planning_turn", lambda *_: nullcontext())
        statuses = at_once([or_stopped(action) for action in planners.values()])
    assert set(statuses) <= {0, STOPPED}
    stopped = [cohort for cohort, status in zip(COHORTS, statuses, strict=True) if status == STOPPED]
    assert at_once([planners[cohort] for cohort in stopped]) == [0] * len(stopped)
    listed = [gen_id for cohort in COHORTS for gen_id in members(store, cohort)]
    assert len(listed) == len(set(listed)) == len(COHORTS) * K


def test_a_seed_of_another_cohort_is_refused_without_backfill_mode(store: StoreBuilder) -> None:
    """A seed that exists already is shared in backfill mode, and refused without backfill mode."""
    layer = GensDataLayer.from_root(store.root)
    seed = {
        "parent_gen_id": "e_1",
        "template_id": "novelty",
        "llm_model_id": "judge-a",
        "replicate": 1,
        "origin_cohort_id": "first",
    }
    evaluation, second = layer.evaluation("v_1"), {**seed, "origin_cohort_id": "second"}
    evaluation.place_seed(evaluation.stage_seed(seed), seed, shared=False)
    evaluation.place_seed(evaluation.stage_seed(second), second, shared=True)
    with pytest.raises(StoreError, match="was taken by another evaluation while this cohort was planned"):
        evaluation.place_seed(evaluation.stage_seed(second), second, shared=False)
