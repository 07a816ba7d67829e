"""The commands `statistics`, `difference` and `pivot`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from essay_cohorts.provenance import MADE_UP_BANNER
from tests.cli.command import FinishedCommand, run_command
from tests.conftest import PlayedDag
from tests.store_builder import StoreBuilder


def run(store: StoreBuilder, *arguments: str) -> FinishedCommand:
    """Run a command over the store."""
    return run_command(*arguments, "--data-root", store.root)


@pytest.fixture
def judged(store: StoreBuilder) -> StoreBuilder:
    """Return an aggregated store: three essays judged twice by both judges with novelty, and one refused reply."""
    for number in (1, 2, 3):
        essay = store.essay(number)
        for model, lead in (("judge-a", 0.0), ("judge-b", 0.5)):
            for replicate in (1, 2):
                name = f"v_{number}{model[-1]}{replicate}"
                score = number * 2 + lead + replicate / 10
                store.evaluation(name, essay, model=model, replicate=replicate, score=score)
    store.evaluation("v_refused", "e_essay1", template="coherence", score=None, reply="x", refused="none")
    assert run(store, "aggregate").returncode == 0
    return store


def test_statistics_of_the_store(judged: StoreBuilder) -> None:
    """Every figure has its scored/planned, and a figure without a value is a dash with a note, never NaN."""
    done = run(judged, "statistics", "--top", "1")
    assert done.returncode == 0, done.stderr
    assert done.stderr == f"{MADE_UP_BANNER}\n"
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "novelty (all judges) 12/12 3 4.40 — b —" in lines
    assert "novelty judge-a 6/6 3 4.15 — b 0.07" in lines
    assert "coherence judge-a 0/1 0 — — a —" in lines
    notes = ["a no interval: no essay has a score", "b no interval: too few essays"]
    assert lines[lines.index("novelty judge-b 6/6 3 4.65 — b 0.07") + 1 :][:2] == notes
    assert [line for line in lines if "e_essay" in line] == ["1 e_essay3 Essay number 3. 4/4 2 6.40 6.31 to 6.49 ?"]
    assert "2,000 resamples, seed 20260101" in lines[-1]
    assert "nan" not in done.stdout.lower()


def test_statistics_as_json(judged: StoreBuilder) -> None:
    """The output is one strict JSON object with the method, and each figure has its counts and its note."""
    done = run(judged, "statistics", "--json")

    def refuse(name: str) -> None:
        raise AssertionError(name)

    printed = json.loads(done.stdout, parse_constant=refuse)
    assert [*printed] == ["method", "means", "agreement", "pairs", "replicates", "ranking", "mixed"]
    assert printed["means"][-1] == {
        "template_id": "novelty",
        "model_id": "judge-b",
        "scored": 6,
        "planned": 6,
        "mean": {
            "value": 4.65,
            "low": None,
            "high": None,
            "essays": 3,
            "reliable": False,
            "note": "too few essays",
        },
    }
    assert len(printed["ranking"]) == 3


def test_the_same_scores_give_the_same_output(judged: StoreBuilder) -> None:
    """Two processes print the same bytes."""
    assert run(judged, "statistics", "--json").stdout == run(judged, "statistics", "--json").stdout


def test_a_cohort_s_figures_need_no_aggregation(store: StoreBuilder, dag: PlayedDag) -> None:
    """With --cohort the scores come from the store itself, and the planned evaluations are the cohort's members."""
    dag.run({"cohort_id": "c", "essay_ids": [store.essay(1)], "templates": ["novelty"], "replicates": 2})
    printed = json.loads(run(store, "statistics", "--cohort", "c", "--json").stdout)
    assert [(mean["model_id"], mean["scored"], mean["planned"]) for mean in printed["means"]] == [
        (None, 4, 4),
        ("judge-a", 2, 2),
        ("judge-b", 2, 2),
    ]
    pivot = run(store, "pivot", "--cohort", "c")
    assert pivot.stdout == store.read("cohorts/c/score_pivot.csv")
    dag.run({"cohort_id": "d", "essay_ids": ["e_essay1"], "templates": ["novelty"], "replicates": 2})
    (whole, *_) = json.loads(run(store, "difference", "--cohorts", "c", "d", "--json").stdout)["differences"]
    assert (whole["template_id"], whole["pairs"], whole["difference"]["value"]) == ("novelty", 2, 0.0)


def test_a_difference_of_judges(judged: StoreBuilder) -> None:
    """Judge b gives half a point more on every essay, and the note says why there is no interval."""
    done = run(judged, "difference", "--models", "judge-a", "judge-b")
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "novelty — 6/6 6/6 3 0.50 — b" in lines
    assert "b no interval: all essays have the same value" in lines


def test_the_pivot_is_printed_or_written(judged: StoreBuilder, tmp_path: Path) -> None:
    """The output on stdout, in a file or as JSON is the table that `aggregate` wrote."""
    expected = judged.read("7_cross_experiment/score_pivot.csv")
    assert run(judged, "pivot").stdout == expected
    output = tmp_path / "pivot.csv"
    assert run(judged, "pivot", "--output", str(output)).stdout == f"Written: {output}\n"
    assert output.read_text() == expected
    assert json.loads(run(judged, "pivot", "--json").stdout)["columns"] == expected.splitlines()[0].split(",")


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        pytest.param(["difference"], ["0 of --cohorts, --templates and --models"], id="no question"),
        pytest.param(
            ["difference", "--models", "a", "a", "--templates", "t", "u"],
            ["2 of --cohorts", "'a' is compared with itself"],
            id="two questions, one of them none",
        ),
        pytest.param(
            ["difference", "--models", "judge-x", "judje-b"],
            ['the model "judge-x"', 'the model "judje-b"', 'Did you mean "judge-b"?'],
            id="both judges misspelt",
        ),
        pytest.param(["difference", "--templates", "novelty", "style"], ['template "style"'], id="template"),
        pytest.param(["difference", "--cohorts", "a", "b", "--cohort", "c"], ["--cohorts names"], id="cohort twice"),
        pytest.param(["difference", "--cohorts", "a", "b"], ["there is no cohort a"], id="unknown cohort"),
        pytest.param(["statistics", "--cohort", "../x"], ["is not a valid cohort id"], id="no id"),
        pytest.param(["statistics", "--cohort", "c", "--scores", "f"], ["not from a file"], id="two sources"),
        pytest.param(["statistics", "--scores", "gone.csv"], ["there is no such file"], id="no file"),
        pytest.param(["pivot", "--output", "no/such/folder/x.csv"], ["there is no folder"], id="no folder"),
    ],
)
def test_bad_input_is_one_message_without_a_traceback(
    judged: StoreBuilder, arguments: list[str], messages: list[str]
) -> None:
    """Bad input gives exit status 2, one message with every problem, and nothing on stdout."""
    done = run(judged, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    for message in messages:
        assert message in done.stderr


def test_groups_have_means_and_differences(judged: StoreBuilder) -> None:
    """Each group has its mean and each pair of groups its difference; without groups the message says what to do."""
    none = run(judged, "groups")
    assert (none.returncode, "import essays PATH --group-column COLUMN" in none.stderr) == (2, True)
    for number, group in ((1, "humans"), (2, "humans"), (3, "models")):
        judged.metadata("essay", f"e_essay{number}", {"parent_gen_id": "", "group": group})
    lines = [" ".join(line.split()) for line in run(judged, "groups").stdout.splitlines()]
    means = lines.index("novelty humans 8/8 2 3.40 — b")
    assert lines[means + 1 : means + 5] == [
        "novelty models 4/4 1 6.40 — c",
        "a no interval: no essay has a score",
        "b no interval: too few essays",
        "c no interval: one essay says nothing about others",
    ]
    differences = lines.index("Differences between groups, second minus first")
    assert lines[differences + 2 : differences + 4] == [
        "novelty humans models 3 3.00 — a",
        "a no interval: a group has one essay with a score",
    ]
    found = json.loads(run(judged, "groups", "--json").stdout)
    assert [each["group"] for each in found["means"] if each["template_id"] == "novelty"] == ["humans", "models"]
