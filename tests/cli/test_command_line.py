"""The command `cohorts`: its output, its messages and its exit status."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from essay_cohorts.cli.app import COMMANDS, app_of
from essay_cohorts.ids import evaluation_gen_id
from tests.cli.command import FinishedCommand, run_command, run_process
from tests.conftest import PlayedDag
from tests.judge_server import JudgeServer
from tests.store_builder import StoreBuilder


@pytest.mark.parametrize("module", COMMANDS)
def test_each_module_has_the_commands_that_start_it(module: str) -> None:
    """A command that no module is known for would need all of them, and a wrong module would not know it."""
    loaded = getattr(import_module(f"essay_cohorts.cli.{module}"), f"{module.rpartition('.')[2]}_app")
    whole = typer.main.get_command(app_of())
    assert isinstance(whole, TyperGroup)
    own = {each.name or each.callback.__name__ for each in loaded.registered_commands}
    own |= {each.name for each in loaded.registered_groups}
    shared = {"import"} if module == "raters" else set()  # `import scores` is in the group of another module
    assert own | shared == set(COMMANDS[module]) <= set(whole.commands)


def _run(store: StoreBuilder, *arguments: str) -> FinishedCommand:
    return run_command(*arguments, "--data-root", store.root)


@pytest.fixture
def filled(store: StoreBuilder) -> StoreBuilder:
    """Return a store with one selected essay, whose cell (novelty, judge-a) has two scores and a refused reply."""
    essay = store.essay(1)
    store.backfill(essay)
    store.evaluation("x1", essay, replicate=1)
    store.evaluation("x2", essay, replicate=2)
    store.evaluation("x3", essay, replicate=3, score=None, reply="no", refused="no score line")
    return store


def test_plan_shows_and_writes_nothing(filled: StoreBuilder) -> None:
    """Without --write the plan is printed as a table, and the data root does not change."""
    tree = filled.tree_hash()
    done = run_process("plan", "--cohort", "c", "--data-root", filled.root)
    assert done.returncode == 0
    assert "novelty    judge-a        4      2      0     1         1" in done.stdout
    assert "To call: 13 calls" in done.stdout
    assert "Nothing was written" in done.stdout
    assert filled.tree_hash() == tree


def test_plan_write_writes_the_cohort(filled: StoreBuilder) -> None:
    """With --write the command writes seeds, membership and manifest, and a second time changes no membership."""
    assert _run(filled, "plan", "--cohort", "c", "--write").returncode == 0
    membership = filled.read("cohorts/c/membership.csv")
    assert membership.count("\nevaluation,") == 16
    assert json.loads(filled.read("cohorts/c/manifest.json"))["essays"] == ["e_essay1"]
    assert _run(filled, "plan", "--cohort", "c", "--write").returncode == 0
    assert filled.read("cohorts/c/membership.csv") == membership


def test_plan_takes_a_conf(filled: StoreBuilder) -> None:
    """--conf narrows the plan like a trigger's conf, and --json prints one value."""
    done = _run(
        filled, "plan", "--json", "--conf", '{"templates": ["novelty"], "models": ["judge-b"], "replicates": 2}'
    )
    plan = json.loads(done.stdout)
    assert (plan["planned"], plan["reuse"], plan["call"], plan["dry_run"]) == (2, 0, 2, True)


def test_skipped_prints_the_members_with_a_score(filled: StoreBuilder) -> None:
    """`skipped` lists the members with a parsed.txt in membership order, one per line."""
    _run(filled, "plan", "--cohort", "c", "--write")
    assert _run(filled, "skipped", "c").stdout == "x1\nx2\n"
    assert json.loads(_run(filled, "skipped", "c", "--json").stdout) == ["x1", "x2"]


def test_status_counts_cells_and_says_what_is_unfinished(filled: StoreBuilder) -> None:
    """`status` counts per cell, and exits 1 while a member has no score and 0 when all have scores."""
    _run(filled, "plan", "--cohort", "c", "--write")
    done = _run(filled, "status", "c", "--json")
    assert done.returncode == 1
    status = json.loads(done.stdout)
    cell = next(c for c in status["cells"] if (c["template_id"], c["model_id"]) == ("novelty", "judge-a"))
    assert (cell["scored"], cell["unscored"], cell["no_reply"]) == (2, 1, 1)
    assert status["unfinished"] == 14
    for path in filled.root.glob("gens/evaluation/*"):
        (path / "parsed.txt").write_text("5.0\n")
    finished = _run(filled, "status", "c")
    assert finished.returncode == 0
    assert "16 of 16 evaluations have a score: " in finished.stdout


def test_verify_lists_calls_that_may_have_been_paid_for_without_a_reply(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """Interrupted requests are listed with their evaluation, cohort and run; a request with a reply is not listed."""
    store.models("judge-a")
    judge_server.faults({"fault": "disconnect", "contains": "number 1."})
    dag.run(
        {"cohort_id": "c", "essay_ids": [store.essay(1), store.essay(2)], "templates": ["novelty"], "replicates": 1}
    )
    done = _run(store, "verify", "--json")
    lost = json.loads(done.stdout)["lost_calls"]
    wanted = evaluation_gen_id("e_essay1", "novelty", "judge-a", 1)
    assert [(call["gen_id"], call["cohort_id"], call["run_id"]) for call in lost] == [(wanted, "c", "run-1")] * 3
    assert done.returncode == 0, "a lost call is not damage, because nobody can fix it"
    output = _run(store, "verify").stdout
    assert (
        "3 requests may have been paid for without a reply (at most: cost unknown). Compare them with the" in output
    )


def test_verify_lists_paid_calls_without_a_reply(
    store: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer
) -> None:
    """A request that was charged without a usable reply is listed with its evaluation and its cost."""
    prices = "id,model,for_evaluation,max_tokens,input_usd_per_mtok,output_usd_per_mtok\njudge-a,v/a,true,100,1,10\n"
    store.write("1_raw/llm_models.csv", prices)
    (store.root / "1_raw/OFFLINE_OK").unlink()
    dag.run({"cohort_id": "c", "essay_ids": [store.essay(1)], "templates": ["novelty"], "replicates": 1})
    done = _run(store, "verify")
    wanted = evaluation_gen_id("e_essay1", "novelty", "judge-a", 1)
    [call] = json.loads(_run(store, "verify", "--json").stdout)["lost_calls"]
    assert (call["gen_id"], call["is_paid"], done.returncode) == (wanted, True, 0)
    assert call["most_usd"] > 0
    assert f"1 request was paid for without a reply (${call['most_usd']:.6f})." in done.stdout
    assert f"  {wanted}: judge-a, sent " in done.stdout


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        pytest.param(["--data-root", "{root}"], [], "No problems found", id="before the command"),
        pytest.param([], ["--data-root", "{root}"], "No problems found", id="after the command"),
        pytest.param(
            ["--data-root", "/nowhere"], ["--data-root", "{root}"], "No problems found", id="the later one wins"
        ),
        pytest.param(["--json", "--data-root", "{root}"], [], '"damage": []', id="both options"),
    ],
)
def test_common_options_may_come_before_the_command(
    filled: StoreBuilder, before: list[str], after: list[str], text: str
) -> None:
    """Options that every command has work before and after the command's name."""
    words = [word.format(root=filled.root) for word in (*before, "verify", *after)]
    done = run_command(*words)
    assert (done.returncode, text in done.stdout) == (0, True), done.stderr


def test_an_essay_without_a_draft_is_fine(filled: StoreBuilder) -> None:
    """An essay without a draft, like people's own essays, is not damage."""
    filled.metadata("essay", "e_own", {"parent_gen_id": ""})
    filled.write("gens/essay/e_own/parsed.txt", "My own essay.")
    output = _run(filled, "verify").stdout
    assert "No problems found" in output
    assert "No request is known to have been paid for without a reply." in output


DAMAGES = [
    pytest.param({"gens/evaluation/x1/parsed.txt": ""}, "gens/evaluation/x1", "parsed.txt is empty", id="empty"),
    pytest.param({"gens/evaluation/x1/parsed.txt": "great\n"}, "gens/evaluation/x1", "no number", id="no number"),
    pytest.param(
        {"gens/evaluation/x1/metadata.json": "{"}, "gens/evaluation/x1", "not a JSON object", id="torn json"
    ),
    pytest.param({"gens/evaluation/x9/raw.txt": "?"}, "gens/evaluation/x9", "missing", id="no metadata"),
    pytest.param({"gens/essay/e_essay1/parsed.txt": ""}, "gens/essay/e_essay1", "empty", id="essay without text"),
    pytest.param(
        {"gens/evaluation/x1/.raw.txt.ab.tmp": "half"}, "gens/evaluation/x1", "incomplete temporary", id="torn reply"
    ),
    pytest.param(
        {"gens/evaluation/x1/raw_metadata.json": '{"reply_sha256": "00"}'},
        "gens/evaluation/x1",
        "is not the reply",
        id="another reply",
    ),
    pytest.param(
        {"gens/essay/e_2/metadata.json": '{"parent_gen_id": "d_lost"}', "gens/essay/e_2/parsed.txt": "x"},
        "gens/essay/e_2",
        "is not in the store",
        id="broken parent",
    ),
    pytest.param(
        {"gens/evaluation/.x5.aa.tmp/metadata.json": "{}"}, "gens/evaluation/.x5", "unfinished", id="torn seed"
    ),
]


@pytest.mark.parametrize(("damage", "place", "finding"), DAMAGES)
def test_verify_finds_damage(filled: StoreBuilder, damage: dict[str, str], place: str, finding: str) -> None:
    """`verify` names each kind of damage with its folder, names nothing else, and exits 1."""
    assert _run(filled, "verify").returncode == 0
    for name, text in damage.items():
        filled.write(name, text)
    done = _run(filled, "verify", "--json")
    found = json.loads(done.stdout)["damage"]
    assert done.returncode == 1
    assert [problem for problem in found if not problem["place"].startswith(place)] == []
    assert any(finding in problem["finding"] for problem in found)
    assert all(problem["next_step"] for problem in found)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(("status", "nope"), "there is no cohort nope", id="no such cohort"),
        pytest.param(("skipped", "../x"), "is not a valid cohort id", id="a path as id"),
        pytest.param(("plan", "--conf", "[1]"), "it is not a JSON object", id="conf is a list"),
        pytest.param(("plan", "--conf", "{"), "it is not a JSON object", id="conf is torn"),
        pytest.param(("plan", "--conf", '{"dryrun": true}'), 'Did you mean "dry_run"', id="misspelt key"),
        pytest.param(("plan", "--cohort", "a/b"), "cohort_id", id="bad cohort id"),
        pytest.param(("plann",), "No such command", id="no such command"),
    ],
)
def test_bad_input_is_one_message_on_stderr(filled: StoreBuilder, arguments: tuple[str, ...], message: str) -> None:
    """A user's mistake ends with exit status 2, a message on stderr and no traceback."""
    done = _run(filled, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


def test_a_missing_data_root_is_named(tmp_path: Path) -> None:
    """A data root that does not exist is bad input."""
    done = _run(StoreBuilder(tmp_path / "nowhere"), "verify")
    assert done.returncode == 2
    assert f"there is no folder {tmp_path / 'nowhere'}" in done.stderr
