"""Evaluations of a changed template, essay or model: refused by default, kept or asked again on request."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from typer.testing import CliRunner

from essay_cohorts.cli.app import app_of
from essay_cohorts.errors import BadInput
from essay_cohorts.settings import read_settings
from essay_cohorts.views.snapshot import read_snapshot
from tests.conftest import PlayedDag
from tests.judge_server import JudgeServer
from tests.store_builder import StoreBuilder

CONF: dict[str, Any] = {"cohort_id": "c", "templates": ["novelty"], "models": ["judge-a"], "replicates": 2}
TEMPLATE = "1_raw/templates/evaluation/novelty.txt"


@pytest.fixture
def judged(store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer) -> StoreBuilder:
    """Return a store with two essays, judged twice each."""
    store.backfill(store.essay(1), store.essay(2))
    assert dag.run(CONF, run_id="first").summary.complete
    judge_server.reset()
    return store


def edit_template(store: StoreBuilder) -> None:
    """Change the prompts of all essays."""
    store.write(TEMPLATE, store.read(TEMPLATE) + "Be strict.\n")


def edit_essay(store: StoreBuilder) -> None:
    """Change the prompts of one essay."""
    store.write("gens/essay/e_essay1/parsed.txt", "Essay number 1. Another text.")


def change_model(store: StoreBuilder) -> None:
    """Change the model of a judge, but not its id."""
    models = store.read("1_raw/llm_models.csv")
    store.write("1_raw/llm_models.csv", models.replace("example/judge-a", "example/judge-a-2"))


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        pytest.param(edit_template, ["4 existing", "novelty 4", "e_essay1 2, e_essay2 2"], id="a template"),
        pytest.param(edit_essay, ["2 existing", "novelty 2", "e_essay1 2"], id="an essay"),
        pytest.param(change_model, ["4 existing", "novelty 4"], id="a model"),
    ],
)
def test_changed_inputs_are_refused(judged: StoreBuilder, dag: PlayedDag, edit: Any, expected: list[str]) -> None:
    """By default planning fails with counts by template and essay and with the options, and writes nothing."""
    edit(judged)
    before = judged.tree_hash()
    with pytest.raises(BadInput) as caught:
        dag.plan(CONF, run_id="second")
    message = str(caught.value)
    assert all(words in message for words in [*expected, "a new id", '"keep"', '"ask_again"'])
    assert judged.tree_hash() == before


def test_changed_inputs_are_kept(judged: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer) -> None:
    """With `keep` the evaluations are reused and counted, and nothing is called."""
    edit_template(judged)
    run = dag.run({**CONF, "changed_inputs": "keep"}, run_id="second")
    assert (run.planned.edited, run.planned.reuse, judge_server.calls()) == (4, 4, 0)
    assert run.summary.complete


def test_changed_inputs_are_asked_again(judged: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer) -> None:
    """With `ask_again` new replicates are minted once, next to the former ones; the next run reuses them."""
    edit_template(judged)
    former = {row["gen_id"] for row in judged.rows("cohorts/c/membership.csv") if row["stage"] == "evaluation"}
    run = dag.run({**CONF, "changed_inputs": "ask_again"}, run_id="second")
    rows = [row for row in judged.rows("cohorts/c/membership.csv") if row["stage"] == "evaluation"]
    assert (run.planned.call, run.planned.left, judge_server.calls()) == (4, 4, 4)
    assert not former & {row["gen_id"] for row in rows}
    assert {row["replicate"] for row in rows} == {"3", "4"}
    assert all((judged.root / "gens/evaluation" / gen_id / "parsed.txt").exists() for gen_id in former)
    again = dag.run({**CONF, "changed_inputs": "ask_again"}, run_id="third")
    assert (again.planned.reuse, again.planned.call, judge_server.calls()) == (4, 0, 4)


def test_other_settings_are_warned_about_and_not_refused(
    judged: StoreBuilder, dag: PlayedDag, log_lines: Any, judge_server: JudgeServer
) -> None:
    """Another temperature or limit gives only a warning: the scores are reused."""
    set_temperature(judged)
    assert dag.run(CONF, run_id="second").planned.reuse == 4
    assert any("4 existing evaluations were made with other settings than today's" in line for line in log_lines())
    assert judge_server.calls() == 0


def set_temperature(store: StoreBuilder) -> None:
    """Change the temperature of a judge, but not its id."""
    header, row = store.read("1_raw/llm_models.csv").splitlines()[:2]
    store.write("1_raw/llm_models.csv", f"{header},temperature\n{row},0.5\n")


@pytest.mark.parametrize(
    ("edit", "mixes", "column", "other_settings"),
    [
        pytest.param(edit_template, "several prompts", "prompt_sha256", {}, id="a template"),
        pytest.param(change_model, "2 settings, 2 versions of the model", "settings", {"judge-a": 4}, id="a model"),
        pytest.param(set_temperature, "2 settings", "settings", {"judge-a": 4}, id="a temperature"),
    ],
)
def test_what_is_mixed_is_marked(
    judged: StoreBuilder, dag: PlayedDag, edit: Any, mixes: str, column: str, other_settings: dict[str, int]
) -> None:
    """A mix of old and new evaluations is marked in scores.csv, the cell, the report, the statistics and `verify`."""
    edit(judged)
    done = dag.run({**CONF, "replicates": 3, "changed_inputs": "keep"}, run_id="second")
    assert (done.planned.reuse, done.planned.call) == (4, 2)
    rows = [row for row in judged.rows("cohorts/c/scores.csv") if row["parent_gen_id"] == "e_essay1"]
    assert sorted(Counter(row[column] for row in rows).values()) == [1, 2]
    assert list(rows[0])[-3:] == ["system_fingerprint", "score_min", "score_max"]
    snapshot = read_snapshot(dag.settings, "c")
    assert {snapshot.mixed.cell(cell.cell) for cell in snapshot.cells} == {mixes}
    assert f"≠ {mixes}" in judged.read("cohorts/c/report.html")
    statistics = CliRunner().invoke(app_of(), ["statistics", "--cohort", "c", "--data-root", str(judged.root)]).stdout
    assert f"≠ novelty by judge-a: mixes {mixes}" in statistics
    verified = CliRunner().invoke(app_of(), ["verify", "--json", "--data-root", str(judged.root)]).stdout
    assert json.loads(verified)["other_settings"] == other_settings


def test_evaluations_without_a_record_are_not_refused(store: StoreBuilder, dag: PlayedDag) -> None:
    """Evaluations of older stores, without a prompt or a record, are reused."""
    essay = store.essay(1)
    store.evaluation("v_1", essay, replicate=1)
    store.evaluation("v_2", essay, replicate=2)
    store.backfill(essay)
    assert dag.plan(CONF).reuse == 2


def test_a_stored_prompt_is_compared_too(store: StoreBuilder, dag: PlayedDag) -> None:
    """If no record has the prompt's hash, the stored prompt itself is compared."""
    essay = store.essay(1)
    store.evaluation("v_1", essay)
    store.write("gens/evaluation/v_1/input.txt", "Another prompt.")
    store.backfill(essay)
    with pytest.raises(BadInput, match="1 existing evaluation was made with another prompt"):
        dag.plan(CONF)


def test_a_deployment_may_set_the_default(tmp_path: Any) -> None:
    """DD_CHANGED_INPUTS is the default for a conf without the key; the error for an invalid value names the value."""
    given = {"DD_DATA_ROOT": str(tmp_path)}
    assert read_settings(given).changed_inputs == "refuse"
    assert read_settings({**given, "DD_CHANGED_INPUTS": "keep"}).changed_inputs == "keep"
    with pytest.raises(BadInput, match=r"DD_CHANGED_INPUTS: 'kept' is not valid\. Write one of: refuse, keep"):
        read_settings({**given, "DD_CHANGED_INPUTS": "kept"})
