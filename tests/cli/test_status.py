"""The commands `status` and `skipped`: totals, cells with titles, and a cohort without a score."""

from __future__ import annotations

import json

import pytest
from rich.cells import cell_len

from tests.cli.command import FinishedCommand, run_command
from tests.store_builder import StoreBuilder

LONG = "What the tides lend to stone, and what stone gives back when nobody looks " * 2


def run(store: StoreBuilder, *words: str) -> FinishedCommand:
    """Run a command on this data root."""
    return run_command(*words, "--data-root", store.root)


def rows(done: FinishedCommand) -> list[list[str]]:
    """Return the words of each printed line."""
    return [line.split() for line in done.stdout.splitlines()]


@pytest.fixture
def planned(store: StoreBuilder) -> StoreBuilder:
    """Return a planned cohort `c` of two essays with two replicates, of which the first essay has three scores."""
    essays = [store.essay(1), store.essay(2, f"{LONG}\nText.")]
    for number, model in ((1, "judge-a"), (2, "judge-a"), (1, "judge-b")):
        store.evaluation(f"x{number}{model[-1]}", essays[0], model=model, replicate=number)
    conf = {"cohort_id": "c", "essay_ids": essays, "templates": ["novelty"], "replicates": 2}
    assert run(store, "plan", "--write", "--conf", json.dumps(conf)).returncode == 0
    return store


def test_status_has_a_row_for_each_template_and_judge_and_one_for_all(planned: StoreBuilder) -> None:
    """The totals come without essays and without states that no evaluation is in, and --cells is named."""
    done = run(planned, "status", "c")
    head, *table, counts, hint = rows(done)
    assert head == ["template", "model", "planned", "scored", "no", "reply"]
    assert table == [
        ["novelty", "judge-a", "4", "2", "2"],
        ["novelty", "judge-b", "4", "1", "3"],
        ["all", "8", "3", "5"],
    ]
    assert " ".join(counts).startswith("3 of 8 evaluations have a score: ")
    assert " ".join(hint).endswith(f"status c --cells --data-root {planned.root}")


def test_one_judge_needs_no_total(store: StoreBuilder) -> None:
    """With one template and one judge, the only row is the total."""
    conf = {"cohort_id": "c", "essay_ids": [store.essay(1)], "templates": ["novelty"], "models": ["judge-a"]}
    run(store, "plan", "--write", "--conf", json.dumps(conf))
    assert [row[0] for row in rows(run(store, "status", "c"))][:3] == ["template", "novelty", "0"]


@pytest.mark.parametrize("width", [80, 120])
def test_cells_have_whole_ids_and_titles_that_fit(
    planned: StoreBuilder, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --cells each cell has a row with its essay's id and title, and no row is wider than the terminal."""
    monkeypatch.setenv("COLUMNS", str(width))
    lines = run(planned, "status", "c", "--cells").stdout.splitlines()
    table = lines[:5]
    assert [line.split()[0] for line in table] == ["essay", "e_essay1", "e_essay1", "e_essay2", "e_essay2"]
    assert "e_essay1  Essay number 1." in table[1]
    assert "e_essay2  What the tides lend" in table[3]
    assert ("…" in table[3], max(map(cell_len, table)) <= width) == (True, True)
    assert not any("--cells" in line for line in lines)


def test_json_has_totals_and_titles_beside_its_former_keys(planned: StoreBuilder) -> None:
    """Each total counts its cells' evaluations; cells keep their keys and have the title too."""
    found = json.loads(run(planned, "status", "c", "--json").stdout)
    assert [*found] == ["unfinished", "account", "totals", "cells"]
    first = found["totals"][0]
    assert (first["template_id"], first["model_id"], first["planned"]) == ("novelty", "judge-a", 4)
    assert (first["scored"], first["no_reply"], first["failed"]) == (2, 2, 0)
    assert found["cells"][0]["title"] == "Essay number 1."
    assert found["cells"][0].keys() >= {"essay_id", "template_id", "model_id", "scored", "unscored", "no_reply"}


@pytest.mark.parametrize("command", ["status", "skipped", "statistics --cohort", "agreement --cohort"])
def test_a_cohort_without_a_score_says_how_to_judge_it(store: StoreBuilder, command: str) -> None:
    """Before the first call the next step is named; what programs read on stdout is empty for `skipped`."""
    conf = {"cohort_id": "c", "essay_ids": [store.essay(1)]}
    run(store, "plan", "--write", "--conf", json.dumps(conf))
    done = run(store, *command.split(), "c")
    step = f"run --cohort c --data-root {store.root}, or trigger evaluation_backfill with this cohort_id."
    assert step in (done.stderr if command == "skipped" else done.stdout)
    assert (done.stdout == "") == (command == "skipped")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        pytest.param("essays", "import essays PATH --data-root {root}", id="essays"),
        pytest.param("status c", "Plan one: cohorts plan --cohort c --write", id="status"),
        pytest.param("plan", "`cohorts import essays` with --select writes the file", id="plan"),
        pytest.param("aggregate", "run --data-root {root}, or trigger evaluation_backfill, then ", id="aggregate"),
        pytest.param("statistics", "No evaluation has a score yet. Next: judge essays with ", id="statistics"),
        pytest.param("agreement", "No evaluation has a score yet. Next: judge essays with ", id="agreement"),
        pytest.param("difference --models judge-a judge-b", "judge essays with ", id="difference"),
        pytest.param("select-top", "Judge essays by it, then run cohorts aggregate.", id="select-top"),
        pytest.param("export {root}.csv", "judge essays with ", id="export"),
    ],
)
def test_an_empty_data_root_says_how_to_begin(store: StoreBuilder, command: str, words: str) -> None:
    """Each command that finds nothing names the command that creates what it looks for."""
    if command != "aggregate":
        run(store, "aggregate")
    done = run(store, *command.format(root=store.root).split())
    assert words.format(root=store.root) in done.stdout + done.stderr
