"""The command `reparse`: its table, its JSON, its messages and its exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.command import FinishedCommand, run_command
from tests.store_builder import StoreBuilder


@pytest.fixture
def filled(store: StoreBuilder) -> StoreBuilder:
    """Return a store with a misread reply, a corrected score, a reply of a deleted template and one to be renewed."""
    essay = store.essay(1)
    store.evaluation("v_1", essay, score=3.0, reply="SCORE: 6")
    store.evaluation("v_2", essay, score=9.0, reply="SCORE: 6", template="coherence")
    store.evaluation("v_3", essay, template="gone")
    store.evaluation("v_4", essay)
    for gen_id, score in (("v_1", 3.0), ("v_2", 6.0)):
        verdict = {
            "parser_name": "in_last_line",
            "parser_version": "0",
            "success": True,
            "score": score,
            "reason": "",
        }
        store.json(f"gens/evaluation/{gen_id}/parsed_metadata.json", verdict)
    return store


def run(store: StoreBuilder, *options: str) -> FinishedCommand:
    """Run `reparse` over the store."""
    return run_command("reparse", *options, "--data-root", store.root)


def test_it_shows_first_and_writes_with_write(filled: StoreBuilder) -> None:
    """The command prints changes, skipped evaluations with reasons, and totals, and writes only with --write."""
    tree = filled.tree_hash()
    done = run(filled)
    assert done.returncode == 0, done.stderr
    assert "v_1     e_essay1  novelty   judge-a  3.0     6.0    in_last_line 2" in done.stdout
    assert "Corrected by hand, and kept" in done.stdout
    assert "v_2     e_essay1  coherence  judge-a  9.0     6.0    in_last_line 2" in done.stdout
    assert "Skipped: v_3: the template gone is not in 1_raw/evaluation_templates.csv" in done.stdout
    assert "Nothing was written. Add --write" in done.stdout
    assert filled.tree_hash() == tree

    written = run(filled, "--write")
    assert written.returncode == 0
    assert "LLM calls: 0.\nWritten." in written.stdout
    assert "Next: cohorts aggregate" in written.stdout
    assert filled.read("gens/evaluation/v_1/parsed.txt") == "6.0\n"
    assert filled.read("gens/evaluation/v_1/parsed.1.txt") == "3.0\n"
    assert filled.read("gens/evaluation/v_2/parsed.txt") == "9.0\n"


def test_as_json_it_prints_one_value(filled: StoreBuilder) -> None:
    """The JSON has counts that add up, and the changed rows."""
    report = json.loads(run(filled, "--json", "--template", "novelty", "--template", "coherence").stdout)
    assert report["counts"]["evaluations"] == 3
    assert (report["counts"]["changed"], report["counts"]["renewed"], report["counts"]["by_hand"]) == (1, 1, 1)
    [row] = report["changed"]
    assert row == {
        "gen_id": "v_1",
        "essay": "e_essay1",
        "template": "novelty",
        "model": "judge-a",
        "before": "3.0",
        "after": "6.0",
        "why": "in_last_line 2",
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(["--cohort", "nowhere"], "there is no cohort nowhere", id="unknown cohort"),
        pytest.param(["--cohort", "../x"], "options: cohort_id: '../x' is not valid.", id="no id"),
        pytest.param(["--template", "novelti"], 'Did you mean "novelty"?', id="unknown template"),
        pytest.param(["--template", "novelty", "--template", "novelty"], "listed twice", id="twice"),
    ],
)
def test_bad_input_is_one_message(filled: StoreBuilder, options: list[str], message: str) -> None:
    """Bad input gives exit status 2, one sentence, no traceback, and nothing is written."""
    tree = filled.tree_hash()
    done = run(filled, "--write", *options)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert filled.tree_hash() == tree


def test_a_failed_write_is_not_a_success(filled: StoreBuilder, tmp_path: Path) -> None:
    """An evaluation that cannot be written is named, and the exit status is 2."""
    (filled.root / "gens/evaluation/v_1").rename(tmp_path / "elsewhere")
    (filled.root / "gens/evaluation/v_1").symlink_to(tmp_path / "elsewhere")
    done = run(filled, "--write")
    assert done.returncode == 2
    assert "Not written: v_1: " in done.stdout
    assert "1 evaluation could not be written" in done.stderr
