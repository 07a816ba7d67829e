"""The commands `init`, `import essays`, `add-template`, `add-model` and `essays`."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from essay_cohorts import VERSION
from essay_cohorts.catalog.catalog import Catalog
from tests.cli.command import run_command
from tests.store_builder import StoreBuilder


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """Return a folder with two essays."""
    folder = tmp_path / "my texts"
    folder.mkdir()
    (folder / "tides.md").write_text("# Tides\n\nThe moon pulls.\n", "utf-8")
    (folder / "rust.txt").write_text("Iron gives in.\n", "utf-8")
    return folder


def test_from_nothing_to_a_plan_by_the_printed_commands(tmp_path: Path, texts: Path) -> None:
    """The next steps that `init` prints can be run as they are."""
    root = tmp_path / "new root"
    done = run_command("init", root)
    assert (done.returncode, done.stderr) == (0, "")
    steps = [line.split(". cohorts ")[1] for line in done.stdout.splitlines() if ". cohorts " in line]
    for step in steps[:-1]:
        words = shlex.split(step.replace("PATH", shlex.quote(str(texts))))
        result = run_command(*words)
        assert result.returncode == 0, result.stderr
    planned = json.loads(run_command("plan", "--json", "--data-root", root).stdout)
    assert (planned["planned"], planned["call"]) == (2 * 1 * 1 * 3, 6)


@pytest.mark.parametrize(
    "words", [("import", "essays", "x.txt"), ("add-model", "a", "b"), ("add-template", "a", "--text", "x")]
)
def test_what_is_not_a_data_root_is_not_filled(tmp_path: Path, words: tuple[str, ...]) -> None:
    """Without a data root the sample would be changed, and a mistyped folder would become one."""
    (tmp_path / "mine.txt").write_text("x", "utf-8")
    done = run_command(*words, "--data-root", tmp_path)
    assert (done.returncode, "it is not a data root" in done.stderr) == (2, True)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    assert "the sample data is not yours to change" in run_command(*words).stderr


def test_essays_are_imported_once_and_selected(store: StoreBuilder, texts: Path) -> None:
    """The command counts, and writes a selection file in backfill mode that it replaces later."""
    done = run_command("import", "essays", texts, "--select", "--data-root", store.root)
    assert f"Essays in {store.root}: 2 imported, 0 updated, 0 unchanged." in done.stdout
    assert store.read("2_tasks/selected_essays.txt").splitlines()[1:] == [
        "# mode: evaluation-only",
        "# include-existing-evaluations",
        *sorted(path.name for path in (store.root / "gens/essay").iterdir()),
    ]
    again = run_command("--data-root", store.root, "--json", "import", "essays", texts, "--select")
    found = json.loads(again.stdout)
    assert (found["new"], len(found["known"])) == ([], 2)


def test_a_folder_s_name_cannot_write_a_line_of_the_selection(store: StoreBuilder, tmp_path: Path) -> None:
    """The comment that names the source is one line, whatever the name holds."""
    folder = tmp_path / "a\n# mode: regenerate"
    folder.mkdir()
    (folder / "one.txt").write_text("Text.", "utf-8")
    run_command("import", "essays", folder, "--select", "--data-root", store.root)
    assert run_command("plan", "--data-root", store.root).returncode == 0
    assert len(store.read("2_tasks/selected_essays.txt").splitlines()) == 4


def test_bad_essays_are_one_message_and_nothing_is_written(store: StoreBuilder, tmp_path: Path) -> None:
    """Every mistake is in one message, and the store is as before."""
    (tmp_path / "bad.csv").write_text("id,text\n1,\n../x,y\n", "utf-8")
    tree = store.tree_hash()
    done = run_command("import", "essays", tmp_path / "bad.csv", "--data-root", store.root)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n  - ") == 2
    assert "Traceback" not in done.stderr
    assert store.tree_hash() == tree


def test_a_persons_selection_is_replaced_only_with_force(store: StoreBuilder, texts: Path) -> None:
    """The command refuses before it imports anything."""
    store.select("# mode: evaluation-only", "e_1")
    tree = store.tree_hash()
    done = run_command("import", "essays", texts, "--select", "--data-root", store.root)
    assert (done.returncode, "--force overwrites it." in done.stderr) == (2, True)
    assert store.tree_hash() == tree
    assert run_command("import", "essays", texts, "--select", "--force", "--data-root", store.root).returncode == 0


def test_essays_are_listed(store: StoreBuilder, tmp_path: Path) -> None:
    """The list has titles, words, groups, and how many evaluations have a score."""
    assert "There are no essays yet." in run_command("essays", "--data-root", store.root).stdout
    (tmp_path / "e.csv").write_text("id,title,group,text\na,Tides,humans,Two words\nb,Rust,,One\n", "utf-8")
    run_command("import", "essays", tmp_path / "e.csv", "--data-root", store.root)
    store.evaluation("v_1", "a")
    store.evaluation("v_2", "a", replicate=2, score=None)
    lines = run_command("essays", "--data-root", store.root).stdout.splitlines()
    assert [line.split() for line in lines] == [
        ["essay", "title", "group", "words", "scored", "evaluations"],
        ["a", "Tides", "humans", "2", "1", "2"],
        ["b", "Rust", "1", "0", "0"],
    ]
    assert json.loads(run_command("essays", "--json", "--data-root", store.root).stdout)[0] == {
        "essay_id": "a",
        "title": "Tides",
        "words": 2,
        "group": "humans",
        "scored": 1,
        "evaluations": 2,
        "ratings": 0,
    }
    store.rating("v_3", "a", "anna", 5.0)
    lines = run_command("essays", "--data-root", store.root).stdout.splitlines()
    assert [line.split()[-3:] for line in lines] == [
        ["scored", "evaluations", "people's"],
        ["1", "2", "1"],
        ["0", "0", "0"],
    ]


def test_a_template_and_a_judge_are_added(store: StoreBuilder, tmp_path: Path) -> None:
    """The files that were written are printed; a mistake is one message."""
    (tmp_path / "prompt.txt").write_text("{{ boundary }}{{ response }}{{ boundary }}\nSCORE: n\n", "utf-8")
    root = ("--data-root", store.root)
    done = run_command("add-template", "clarity", "--text", tmp_path / "prompt.txt", *root)
    assert done.stdout.splitlines() == [
        f"Written: {store.root}/1_raw/templates/evaluation/clarity.txt",
        f"Written: {store.root}/1_raw/evaluation_templates.csv",
    ]
    assert run_command("add-model", "judge-c", "api/c", *root).returncode == 0
    warned = run_command("add-template", "as-json", "--text", tmp_path / "prompt.txt", "--parser", "json", *root)
    assert (warned.returncode, 'no JSON field "score"' in warned.stderr) == (0, True)
    unknown = run_command("add-model", "judge-d", "api/d", "--max-tokens", "many", *root)
    assert (unknown.returncode, "column max_tokens" in unknown.stderr or "max_tokens" in unknown.stderr) == (2, True)
    missing = run_command("add-template", "x", "--text", tmp_path / "nowhere.txt", *root)
    assert (missing.returncode, "nowhere.txt: it cannot be read" in missing.stderr) == (2, True)


def test_a_judge_with_its_own_connection(tmp_path: Path) -> None:
    """A new data root has the column, and the command fills it; an id that no Connection can have is refused."""
    root = tmp_path / "root"
    assert run_command("init", root).returncode == 0
    words = ("add-model", "judge-a", "api/a", "--data-root", root)
    refused = run_command(*words, "--connection", "my vllm")
    assert (refused.returncode, "column connection: 'my vllm' is not a valid id." in refused.stderr) == (2, True)
    assert run_command(*words, "--connection", "vllm").returncode == 0
    [judge] = Catalog(root=root).models().value
    assert (judge.id, judge.connection) == ("judge-a", "vllm")


def test_the_version_and_the_groups_of_the_help() -> None:
    """`--version` prints one line, and `--help` groups the commands by task."""
    assert run_command("--version").stdout == f"cohorts {VERSION}\n"
    shown = run_command("--help").stdout
    places = [shown.index(group) for group in ("Set up a data root", "Plan and follow a cohort", "Scores and")]
    assert places == sorted(places)
