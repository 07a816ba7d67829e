"""Replies of the offline judge count for nothing in a data root that accepts only real scores."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from essay_cohorts.cli.app import app_of
from essay_cohorts.domain import Outcome, Stage
from essay_cohorts.provenance import MADE_UP_BANNER, MADE_UP_REASON, OFFLINE_OK, says_made_up
from essay_cohorts.selecting.aggregated_scores import AGGREGATED, aggregate_scores, read_aggregated
from essay_cohorts.settings import read_settings
from essay_cohorts.store.gens_data_layer import GensDataLayer
from essay_cohorts.views.snapshot import read_snapshot
from tests.conftest import PlayedDag
from tests.judge_server import JudgeServer
from tests.store_builder import StoreBuilder

CONF: dict[str, Any] = {"cohort_id": "c", "templates": ["novelty"], "models": ["judge-a"], "replicates": 3}


def run(store: StoreBuilder, *words: str) -> Any:
    """Run a command on this data root."""
    return CliRunner().invoke(app_of(), [*words, "--data-root", str(store.root)])


@pytest.fixture
def practised(store: StoreBuilder, dag: PlayedDag) -> StoreBuilder:
    """Return a store of two essays, judged three times each by the offline judge; then OFFLINE_OK was deleted."""
    essays = [store.essay(number) for number in (1, 2)]
    store.backfill(*essays)
    dag.run(CONF, run_id="practice")
    aggregate_scores(store.root)
    (store.root / OFFLINE_OK).unlink()
    return store


@pytest.mark.parametrize(
    ("name", "made_up"),
    [
        pytest.param("offline-judge-not-a-model/judge-a", True, id="the offline judge"),
        pytest.param(" Offline-Judge", True, id="its case does not matter"),
        pytest.param("***-judge-not-a-model/judge-a", True, id="as version 0.1.0 masked it"),
        pytest.param("gpt-5", False, id="a model"),
        pytest.param("my-offline-judge", False, id="another place"),
        pytest.param("", False, id="not recorded"),
    ],
)
def test_a_reply_says_that_it_is_made_up(name: str, made_up: bool) -> None:
    """The name that the server gave its model decides."""
    assert says_made_up(name) is made_up


def test_it_is_not_reused(practised: StoreBuilder, dag: PlayedDag, log_lines: Any) -> None:
    """The plan mints new replicates; it does not use the numbers of the made-up ones, and it names the command."""
    former = set(GensDataLayer.from_root(practised.root).folder_names(Stage.EVALUATION))
    planned = dag.plan({**CONF, "dry_run": True}, run_id="real")
    assert (planned.reuse, planned.parse, planned.call) == (0, 0, 6)
    warning = "6 evaluations of the offline judge are made up, not reused and not counted"
    assert any(warning in line and "cohorts set-aside" in line for line in log_lines())
    dag.plan(CONF, run_id="real")
    rows = [row for row in practised.rows("cohorts/c/membership.csv") if row["stage"] == "evaluation"]
    assert not former & {row["gen_id"] for row in rows}


def test_real_ones_beside_it_are_reused(practised: StoreBuilder, dag: PlayedDag) -> None:
    """Only evaluations that are missing beside the real ones are called."""
    practised.evaluation("v_real", "e_essay1", replicate=9, score=5.0)
    practised.json("gens/evaluation/v_real/raw_metadata.json", {"response_model": "gpt-5"})
    planned = dag.plan({**CONF, "dry_run": True}, run_id="real")
    assert (planned.reuse, planned.call) == (1, 5)


def test_it_is_not_counted(practised: StoreBuilder) -> None:
    """The page, `status`, the aggregated scores and the statistics ignore it, although scores.csv is older."""
    settings = read_settings({"DD_DATA_ROOT": str(practised.root)})
    snapshot = read_snapshot(settings, "c")
    assert snapshot.counts == {Outcome.NOT_RUN: 6}
    assert snapshot.missing == 6
    assert {(row.score, row.reason) for row in snapshot.rows} == {(None, MADE_UP_REASON)}
    status = run(practised, "status", "c")
    assert status.exit_code == 1
    assert "0 of 6 evaluations have a score: " in status.stdout
    assert "made up" in status.stdout
    rows = read_aggregated(practised.root / AGGREGATED, made_up_counts=False)
    assert {(row.score, row.error) for row in rows} == {(None, f"made_up: {MADE_UP_REASON}")}
    statistics = json.loads(run(practised, "statistics", "--json").stdout)
    assert [each["scored"] for each in statistics["means"]] == [0, 0]
    done = aggregate_scores(practised.root)
    assert (done.scored, done.errors, done.taken_over) == (0, {"made_up": 6}, 0)


def test_a_refused_reply_of_it_is_not_scored_later(practised: StoreBuilder, dag: PlayedDag) -> None:
    """A made-up reply that waits to be scored is not scored either."""
    for row in practised.rows("cohorts/c/scores.csv"):
        (practised.root / "gens/evaluation" / row["gen_id"] / "parsed.txt").unlink()
    planned = dag.plan({**CONF, "dry_run": True}, run_id="real")
    assert (planned.parse, planned.call) == (0, 6)
    assert read_snapshot(read_settings({"DD_DATA_ROOT": str(practised.root)}), "c").counts == {Outcome.NOT_RUN: 6}


def test_verify_names_it(practised: StoreBuilder) -> None:
    """A made-up evaluation is not damage."""
    done = run(practised, "verify")
    assert done.exit_code == 0
    assert "6 evaluations of the offline judge are made up" in done.stdout
    assert len(json.loads(run(practised, "verify", "--json").stdout)["made_up"]) == 6


def test_it_is_set_aside(practised: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer) -> None:
    """It is shown first and moved with --write; its cohort then has the same ids, and real judges are called."""
    before = {name.removeprefix("gens/"): text for name, text in practised.files("gens/evaluation").items()}
    members = practised.read("cohorts/c/membership.csv")
    tree = practised.tree_hash()
    shown = run(practised, "set-aside")
    assert shown.exit_code == 0
    assert practised.tree_hash() == tree
    assert "6 made up. Nothing was moved; add --write" in shown.stdout
    done = run(practised, "set-aside", "--write")
    assert done.exit_code == 0
    assert "6 moved to set_aside/evaluation" in done.stdout
    assert not practised.files("gens/evaluation")
    after = {name.removeprefix("set_aside/"): text for name, text in practised.files("set_aside").items()}
    assert after == before
    assert dag.plan(CONF, run_id="real").call == 6
    assert practised.read("cohorts/c/membership.csv") == members
    assert "No evaluation here is made up." in run(practised, "set-aside").stdout


def test_it_is_set_aside_twice(practised: StoreBuilder, dag: PlayedDag) -> None:
    """An evaluation that was set aside before under the same id stays."""
    run(practised, "set-aside", "--write")
    practised.write(OFFLINE_OK, "")
    dag.run(CONF, run_id="more practice")
    (practised.root / OFFLINE_OK).unlink()
    assert "6 moved" in run(practised, "set-aside", "--write").stdout
    names = sorted(path.name for path in (practised.root / "set_aside/evaluation").iterdir())
    assert len(names) == 12
    assert [name for name in names if name.endswith(".2")] == names[1::2]


def test_where_it_counts_nothing_is_set_aside(store: StoreBuilder, dag: PlayedDag) -> None:
    """Nothing is set aside, and every command says beside its output that made-up scores count here."""
    store.backfill(store.essay(1))
    dag.run(CONF, run_id="practice")
    refused = run(store, "set-aside", "--write")
    assert "made-up scores count in this data root" in str(refused.exception)
    status = run(store, "status", "c")
    assert status.stderr == f"{MADE_UP_BANNER}\n"
    assert "made up" not in status.stdout
    assert MADE_UP_BANNER in store.read("cohorts/c/report.html")


def test_a_real_root_has_no_banner(practised: StoreBuilder) -> None:
    """Neither the commands nor the report, once it is written again, show the banner."""
    assert run(practised, "status", "c").stderr == ""
