"""The index of evaluations in both databases, and how planning and `cohorts reindex` keep it up."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from sqlalchemy.engine import make_url

from essay_cohorts.domain import RunRef
from essay_cohorts.ledger import evaluation_index
from essay_cohorts.ledger.evaluation_index import known_essays
from essay_cohorts.ledger.ledger import Ledger
from essay_cohorts.planning.prepare import prepare
from essay_cohorts.settings import Settings
from tests.cli.command import run_command
from tests.conftest import PlayedDag
from tests.store_builder import StoreBuilder

CONF = {"include_existing_evaluations": True, "replicates": 1, "templates": ["novelty"], "models": ["judge-a"]}


def test_what_is_recorded_is_known(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are added, corrected and removed, in as many transactions as they need."""
    monkeypatch.setattr(evaluation_index, "_ROWS", 3)
    essays = {f"v_{number}": f"e_{number % 2}" for number in range(8)}
    ledger.index.update(essays)
    ledger.index.update({"v_1": "e_9", "v_8": "e_0"}, {"v_0", "v_2", "v_3", "v_4", "never known"})
    left = {name: essay for name, essay in essays.items() if name in ("v_5", "v_6", "v_7")}
    assert ledger.index.essays() == {**left, "v_1": "e_9", "v_8": "e_0"}


def test_a_data_root_without_a_ledger_has_no_index(store: StoreBuilder) -> None:
    """Planning by the index then reads every folder, and makes no ledger."""
    essay = store.essay(1)
    store.evaluation("v_old", essay)
    settings = Settings(data_root=store.root)
    prepared = prepare(settings, {**CONF, "cohort_id": "c", "essay_ids": [essay]}, RunRef("d", "r"), by_index=True)
    assert (prepared.by_index, prepared.index_changes.essays) == (False, {"v_old": essay})
    assert not (store.root / ".ledger").exists()


def test_a_run_keeps_the_index_up(store: StoreBuilder, dag: PlayedDag) -> None:
    """A run records what it found and what it creates; a dry run and a plan write nothing."""
    essay, other = store.essay(1), store.essay(2)
    store.evaluation("v_old", essay)
    for conf in ({"cohort_id": "dry", "dry_run": True}, {"cohort_id": "c"}):
        assert known_essays(store.root) == {}
        dag.plan({**CONF, **conf, "essay_ids": [essay, other]}, run_id=f"run-{conf['cohort_id']}")
    known = known_essays(store.root)
    assert sorted(known.values()) == [essay, other]
    assert known["v_old"] == essay
    assert set(known) == {path.name for path in (store.root / "gens/evaluation").iterdir()}


@pytest.fixture
def stale(store: StoreBuilder, dag: PlayedDag) -> str:
    """Return an essay whose evaluation belongs to another essay by the index."""
    essay = store.essay(1)
    store.evaluation("v_old", "e_other")
    store.evaluation("v_kept", essay)
    Ledger.of(dag.settings).index.update({"v_old": "e_other", "v_kept": "e_other", "v_gone": essay})
    return essay


def shown_and_planned(dag: PlayedDag, essay: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the (reused, called) counts of one cell in a dry run and in the run after it."""
    conf = {**CONF, "cohort_id": "c", "essay_ids": [essay]}
    shown = dag.plan({**conf, "dry_run": True})
    planned = dag.plan(conf, run_id="run-2")
    return (shown.reuse, shown.call), (planned.reuse, planned.call)


@pytest.mark.parametrize("has_seed", [False, True], ids=["nothing else", "a seed of the same cell"])
def test_what_is_paid_for_is_not_decided_by_the_index(
    stale: str, store: StoreBuilder, dag: PlayedDag, has_seed: bool
) -> None:
    """A stale index gives a wrong plan in a dry run; a run reads the store, pays for no call and mends the index."""
    if has_seed:
        store.evaluation("v_seed", stale, replicate=2, score=None)
    assert shown_and_planned(dag, stale) == ((0, 1), (1, 0))
    seeds = {"v_seed": stale} if has_seed else {}
    assert known_essays(store.root) == {"v_old": "e_other", "v_kept": stale, **seeds}


@pytest.mark.parametrize("ledger_url", ["postgresql"], indirect=True)
def test_without_the_ledger_a_plan_reads_the_store(
    store: StoreBuilder, dag: PlayedDag, ledger_url: str, log_lines: Callable[[], list[str]]
) -> None:
    """A plan that writes nothing waits for no database: it warns, and finds what the store has."""
    essay = store.essay(1)
    store.evaluation("v_old", essay)
    dag.ledger = ledger_url
    conf = {**CONF, "cohort_id": "c", "essay_ids": [essay]}
    assert dag.plan(conf).reuse == 1
    dag.ledger = str(make_url(ledger_url).set(port=1))
    assert dag.plan({**conf, "dry_run": True}, run_id="run-2").reuse == 1
    assert any(line.startswith("Every metadata.json is read") for line in log_lines())


def test_a_problem_of_the_index_is_no_problem_of_the_run(stale: str, store: StoreBuilder, dag: PlayedDag) -> None:
    """A plan by the index that is refused is made again by the store."""
    conf = {**CONF, "cohort_id": "c", "essay_ids": [stale], "max_cost_usd": 1.0}
    planned = dag.plan(conf)  # by the index there is a call, and judge-a has no price
    assert (planned.reuse, planned.call) == (1, 0)


def test_a_refused_reply_does_not_hide_a_score(stale: str, store: StoreBuilder, dag: PlayedDag) -> None:
    """By the index the cell has a refused reply only; the run takes the score."""
    store.evaluation("v_refused", stale, replicate=2, score=None, reply="no", refused="no score line")
    planned = dag.plan({**CONF, "cohort_id": "c", "essay_ids": [stale]})
    assert (planned.reuse, planned.unscored) == (1, 0)


def test_reindex_reads_the_store(stale: str, store: StoreBuilder) -> None:
    """The command tells what it changed; the second one has nothing to change."""
    (store.root / "gens/evaluation" / "v_bare").mkdir()
    store.evaluation("v_new", stale, replicate=3)
    done = run_command("reindex", "--data-root", store.root)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "The index has 3 evaluations: 1 added, 1 corrected, 1 removed.",
        "1 folder has no usable metadata.json. `cohorts verify` names the damage.",
    ]
    assert known_essays(store.root) == {"v_old": "e_other", "v_kept": stale, "v_new": stale}
    again = run_command("reindex", "--json", "--data-root", store.root)
    assert json.loads(again.stdout) == {"indexed": 3, "added": 0, "corrected": 0, "removed": 0, "unusable": 1}
