"""The commands `aggregate`, `select-missing` and `select-top`."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from rich.cells import cell_len

from essay_cohorts.planning.selection_file import parse_selection
from tests.cli.command import FinishedCommand, run_command
from tests.store_builder import StoreBuilder

SELECTION = "2_tasks/selected_essays.txt"


@pytest.fixture
def ranked(store: StoreBuilder) -> StoreBuilder:
    """Return a store of essays ranked 3, 2, 1 by novelty; coherence has judged 3 fully and refused one reply of 2."""
    for number in (1, 2, 3):
        essay = store.essay(number)
        for model in ("judge-a", "judge-b"):
            store.evaluation(f"v_n{number}{model[-1]}", essay, model=model, score=float(number))
            for replicate in range(1, 5):
                if number == 3 or (number == 2 and (model, replicate) != ("judge-b", 4)):
                    store.evaluation(
                        f"v_c{number}{model[-1]}{replicate}",
                        essay,
                        template="coherence",
                        model=model,
                        replicate=replicate,
                    )
    store.evaluation(
        "v_refused",
        "e_essay2",
        template="coherence",
        model="judge-b",
        replicate=4,
        score=None,
        reply="x",
        refused="none",
    )
    assert run(store, "aggregate").returncode == 0
    return store


def run(store: StoreBuilder, *arguments: str) -> FinishedCommand:
    """Run a command over the store."""
    return run_command(*arguments, "--data-root", store.root)


def select(store: StoreBuilder, *options: str) -> FinishedCommand:
    """Run `select-missing` for coherence."""
    return run(store, "select-missing", "--target-template", "coherence", *options)


def selected(store: StoreBuilder) -> list[str]:
    """Return the essays of the selection file, which must be in backfill mode."""
    parsed = parse_selection(store.read(SELECTION), SELECTION)
    assert parsed.problems == ()
    assert parsed.value.mode == "evaluation-only"
    assert parsed.value.include_existing
    return [each.gen_id for each in parsed.value.ids]


def test_missing_essays_are_selected_and_the_next_commands_work(ranked: StoreBuilder) -> None:
    """The command writes the file, prints the reasons, and prints a conf that plans exactly these calls."""
    done = select(ranked, "--cohort", "next")
    assert done.returncode == 0, done.stderr
    assert selected(ranked) == ["e_essay1"]
    assert "1 essay needs a decision" in done.stdout
    assert "Of the best 3 essays: 1 selected, 1 needs a decision, 1 is covered." in done.stdout
    (command,) = [line for line in done.stdout.splitlines() if line.startswith("Run it:")]
    conf = shlex.split(command)[-1]
    assert json.loads(conf) == {"templates": ["coherence"], "cohort_id": "next"}
    planned = json.loads(run(ranked, "plan", "--conf", conf, "--json").stdout)
    assert (planned["planned"], planned["call"]) == (8, 8)


def test_refused_replies_are_selected_when_asked_for(ranked: StoreBuilder) -> None:
    """With --retry-unscored essays are selected in rank order, and the printed conf asks for the replies again."""
    done = select(ranked, "--retry-unscored")
    assert selected(ranked) == ["e_essay2", "e_essay1"]
    assert '"retry_unscored": true' in done.stdout


def test_a_store_that_marks_no_models_needs_their_names(ranked: StoreBuilder) -> None:
    """The error says how to name the models, and with the names the selection uses their scores."""
    ranked.write("1_raw/llm_models.csv", "id,model\njudge-a,api/a\njudge-b,api/b\nwriter,\n")
    ranked.write("1_raw/evaluation_templates.csv", "template_id\nnovelty\ncoherence\n")
    unnamed = select(ranked)
    assert unnamed.returncode != 0
    assert "--average-models" in unnamed.stderr
    done = select(ranked, "--average-models", "judge-a", "--average-models", "judge-b")
    assert done.returncode == 0, done.stderr
    assert selected(ranked) == ["e_essay1"]
    (command,) = [line for line in done.stdout.splitlines() if line.startswith("Run it:")]
    planned = json.loads(run(ranked, "plan", "--conf", shlex.split(command)[-1], "--json").stdout)
    assert planned["call"] == 8
    misspelt = select(ranked, "--average-models", "judge-q")
    assert "Did you mean" in misspelt.stderr


@pytest.mark.parametrize(
    ("width", "remarks"),
    [
        pytest.param("120", ["judge-a 0/4, judge-b 0/4"], id="wide"),
        pytest.param("64", ["judge-a 0/4,", "judge-b 0/4"], id="narrow"),
    ],
)
def test_the_selected_essays_have_their_titles(
    ranked: StoreBuilder, width: str, remarks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each essay has its id, its title and its reasons, which get lines of their own where the terminal is narrow."""
    monkeypatch.setenv("COLUMNS", width)
    ranked.essay(1, "# On the patience of granite and the haste of rivers\n\nText.")
    lines = select(ranked).stdout.splitlines()
    assert "e_essay1  On the p" in lines[1]
    assert max(map(cell_len, lines[: 1 + len(remarks)])) <= int(width)
    assert [line.rstrip().endswith(remark) for line, remark in zip(lines[1:], remarks, strict=False)] == [
        True for _ in remarks
    ]
    top = run(ranked, "select-top", "--force").stdout.splitlines()
    assert [line.split()[:3] for line in top[1:3]] == [["1", "e_essay3", "Essay"], ["2", "e_essay2", "Essay"]]


def test_the_next_commands_follow_the_data_root_and_the_output(ranked: StoreBuilder, tmp_path: Path) -> None:
    """The printed plan command reads the same data root, and plans the essays of a file that is written elsewhere."""
    done = select(ranked, "--output", str(tmp_path / "mine.txt"))
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("See what it would call:")]
    command = shlex.split(line.partition("cohorts ")[2])
    assert not (ranked.root / SELECTION).exists()
    assert json.loads(run_command(*command, "--json").stdout)["call"] == 8


def test_with_any_model_one_score_covers_an_essay(ranked: StoreBuilder) -> None:
    """With --any-model essay 2 is covered, because it has seven of eight scores."""
    report = json.loads(select(ranked, "--any-model", "--json").stdout)
    assert [essay["essay_id"] for essay in report["selected"]] == ["e_essay1"]
    assert [essay["essay_id"] for essay in report["covered"]] == ["e_essay3", "e_essay2"]


def test_when_nothing_is_missing_an_outdated_selection_is_removed(ranked: StoreBuilder) -> None:
    """The exit status is 1, the file that the command wrote before is removed, and a person's own file stays."""
    assert select(ranked).returncode == 0
    done = select(ranked, "--top-n", "1")
    assert done.returncode == 1
    assert "Nothing is missing." in done.stdout
    assert not (ranked.root / SELECTION).exists()
    ranked.backfill("e_essay3")
    mine = ranked.read(SELECTION)
    assert select(ranked, "--top-n", "1").returncode == 1
    assert ranked.read(SELECTION) == mine


def test_a_person_s_own_selection_is_replaced_only_with_force(ranked: StoreBuilder) -> None:
    """Without --force a person's own file does not change."""
    ranked.backfill("e_essay3")
    mine = ranked.read(SELECTION)
    refused = select(ranked)
    assert refused.returncode == 2
    assert "--force overwrites it." in refused.stderr
    assert ranked.read(SELECTION) == mine
    assert select(ranked, "--force").returncode == 0
    assert selected(ranked) == ["e_essay1"]
    assert select(ranked).returncode == 0


def test_a_second_selection_is_refused(ranked: StoreBuilder) -> None:
    """The command refuses to write next to selected_drafts.txt, because the DAG would refuse both files."""
    ranked.select("# mode: evaluation-only", name="selected_drafts.txt")
    done = select(ranked)
    assert done.returncode == 2
    assert "selected_drafts.txt exists" in done.stderr
    assert not (ranked.root / SELECTION).exists()


def test_every_wrong_name_is_in_one_message(ranked: StoreBuilder) -> None:
    """The message names each wrong name with a suggestion, without a traceback."""
    done = run(ranked, "select-missing", "--target-template", "coherense", "--average-models", "judge-x")
    assert done.returncode == 2
    assert 'Did you mean "coherence"?' in done.stderr
    assert "judge-x" in done.stderr
    assert "Traceback" not in done.stderr
    done = select(ranked, "--baseline-template", "noveltee")
    assert 'no score by the template "noveltee"' in done.stderr
    assert 'Did you mean "novelty"?' in done.stderr


@pytest.mark.parametrize(
    ("options", "essays"),
    [
        pytest.param([], ["e_essay3", "e_essay2", "e_essay1"], id="the-best-thirty"),
        pytest.param(["--top-n", "2"], ["e_essay3", "e_essay2"], id="the-best-two"),
        pytest.param(["--first", "2", "--last", "3"], ["e_essay2", "e_essay1"], id="a-span"),
        pytest.param(["--average-models", "judge-b", "--last", "1"], ["e_essay3"], id="one-judge"),
    ],
)
def test_the_top_is_selected(ranked: StoreBuilder, options: list[str], essays: list[str]) -> None:
    """The essays are selected in rank order."""
    done = run(ranked, "select-top", *options)
    assert done.returncode == 0, done.stderr
    assert selected(ranked) == essays


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(["--first", "9"], "no essay has rank 9", id="beyond"),
        pytest.param(["--first", "3", "--last", "2"], "comes before", id="backwards"),
        pytest.param(["--top-n", "2", "--first", "1"], "Give either", id="both"),
    ],
)
def test_an_invalid_span_is_refused(ranked: StoreBuilder, options: list[str], message: str) -> None:
    """An invalid span gives exit status 2 and a sentence."""
    done = run(ranked, "select-top", *options)
    assert done.returncode == 2
    assert message in done.stderr
