"""The commands `run` and `try`: the same promises as a run in Airflow, on one machine, for a few calls."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.answer_server import Answer, AnswerServer
from tests.cli.command import FinishedCommand, run_command
from tests.judge_server import JudgeServer
from tests.store_builder import StoreBuilder

CALLS = 2 * 2 * 4


@pytest.fixture(autouse=True)
def connection(judge_server: JudgeServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """Set the Connection of the offline judge, with waits too short to notice."""
    extra = {"max_attempts": 2, "first_wait_s": 0.001, "longest_wait_s": 0.002}
    value = json.dumps({"host": judge_server.base_url, "password": "sk-local", "extra": extra})
    monkeypatch.setenv("AIRFLOW_CONN_LLM_DEFAULT", value)
    return value


@pytest.fixture
def selected(store: StoreBuilder) -> StoreBuilder:
    """Return a store with one selected essay, which needs 16 calls."""
    store.backfill(store.essay(1))
    return store


def run(store: StoreBuilder, *words: str) -> FinishedCommand:
    """Run `cohorts run` over the store."""
    return run_command("run", "--cohort", "c", *words, "--data-root", store.root)


def test_a_cohort_is_judged_once_without_airflow(selected: StoreBuilder, judge_server: JudgeServer) -> None:
    """The run writes membership, scores and report; a second run reuses everything and calls nothing."""
    first = json.loads(run(selected, "--yes", "--json").stdout)
    assert (first["scored"], first["called"], judge_server.calls()) == (CALLS, CALLS, CALLS)
    written = {path.name for path in (selected.root / "cohorts" / "c").iterdir()}
    assert {"membership.csv", "scores.csv", "report.html"} <= written
    again = run(selected, "--json")
    assert (again.returncode, json.loads(again.stdout)["reused"], judge_server.calls()) == (0, CALLS, CALLS)


def test_few_calls_are_made_at_once(selected: StoreBuilder, judge_server: JudgeServer) -> None:
    """A run in one process has one slice, so that its calls do not wait for each other."""
    conf = json.dumps({"models": ["judge-a"], "templates": ["novelty"], "replicates": 3})
    assert run(selected, "--yes", "--conf", conf).returncode == 0
    [part] = list((selected.root / "cohorts/c/runs").glob("*/slices/*.csv"))
    assert part.name == "todo-0-3.csv"
    assert judge_server.calls() == 3


def test_existing_scores_and_replies_are_never_bought(selected: StoreBuilder, judge_server: JudgeServer) -> None:
    """An evaluation with a score is reused, and a stored reply is scored without a call."""
    selected.evaluation("v_1", "e_essay1", replicate=1)
    selected.evaluation("v_2", "e_essay1", replicate=2, score=None, reply="SCORE: 4")
    done = json.loads(run(selected, "--yes", "--json").stdout)
    assert (done["reused"], done["scored"], done["called"]) == (1, CALLS - 1, CALLS - 2)
    assert judge_server.calls() == CALLS - 2


def test_a_cap_defers_the_rest(selected: StoreBuilder, judge_server: JudgeServer) -> None:
    """The run stops at its cap, exits with 1, and the next one makes the remaining calls."""
    done = run(selected, "--yes", "--max-llm-calls", "5")
    assert (done.returncode, judge_server.calls()) == (1, 5)
    assert "11 deferred" in done.stderr
    assert run(selected, "--yes").returncode == 0
    assert judge_server.calls() == CALLS


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param((), "not an interactive terminal, so it cannot ask. Give --yes", id="nobody to ask"),
        pytest.param(("--yes", "--conf", '{"templates": ["novelti"]}'), 'Did you mean "novelty"?', id="bad conf"),
        pytest.param(("--yes", "--conf", '{"cohort_id": "d"}'), "--cohort says c", id="two cohorts"),
        pytest.param(("--yes", "--conf", '{"replicates": 51}'), "would make 204 calls", id="too many calls"),
    ],
)
def test_what_must_not_be_called_is_refused_first(
    selected: StoreBuilder, judge_server: JudgeServer, words: tuple[str, ...], message: str
) -> None:
    """One message, nothing written and nothing called."""
    tree = selected.tree_hash()
    done = run(selected, *words)
    assert (done.returncode, message in done.stderr) == (2, True), done.stderr
    assert (selected.tree_hash(), judge_server.calls()) == (tree, 0)


def test_a_missing_connection_is_reported_before_anything_is_written(
    selected: StoreBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written without a Connection; with nothing to call none is needed."""
    monkeypatch.delenv("AIRFLOW_CONN_LLM_DEFAULT")
    tree = selected.tree_hash()
    done = run(selected, "--yes")
    assert (done.returncode, "AIRFLOW_CONN_LLM_DEFAULT: it is not set." in done.stderr) == (2, True)
    assert selected.tree_hash() == tree
    for template in ("novelty", "coherence"):
        for judge in ("judge-a", "judge-b"):
            for number in (1, 2, 3, 4):
                name = f"v_{template}{judge}{number}"
                selected.evaluation(name, "e_essay1", template=template, model=judge, replicate=number)
    assert run(selected).returncode == 0


def test_every_bad_connection_is_reported_before_the_first_call(
    selected: StoreBuilder, judge_server: JudgeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first server works, but nothing is bought from it while two other connections have problems."""
    selected.judges_at(a="", b="vllm", c="openrouter")
    monkeypatch.setenv("AIRFLOW_CONN_VLLM", json.dumps({"host": "127.0.0.1:8000", "password": "sk-secret-of-vllm"}))
    tree = selected.tree_hash()
    done = run(selected, "--yes")
    assert (done.returncode, judge_server.calls(), selected.tree_hash()) == (2, 0, tree)
    assert "AIRFLOW_CONN_OPENROUTER: it is not set." in done.stderr
    assert "AIRFLOW_CONN_VLLM: its host is not a full base URL" in done.stderr
    assert "sk-secret-of-vllm" not in done.stderr
    assert run(selected, "--yes", "--conf", '{"models": ["judge-a"]}').returncode == 0


def test_a_connection_whose_evaluations_exist_need_not_exist(
    selected: StoreBuilder, judge_server: JudgeServer
) -> None:
    """Only the connections of the judges to call are checked."""
    selected.judges_at(a="", b="vllm")
    selected.evaluation("v_1", "e_essay1", model="judge-b")
    done = run(selected, "--yes", "--conf", '{"templates": ["novelty"], "replicates": 1}')
    assert (done.returncode, judge_server.calls()) == (0, 1), done.stderr


def test_a_wrong_key_at_one_server_leaves_the_other_working(
    selected: StoreBuilder, judge_server: JudgeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan shows both connections, one judge scores everything, and the message names the other's connection."""
    selected.judges_at(a="", b="vllm")
    refused = Answer(status=401, body={"error": {"message": "Wrong key sk-secret-of-vllm."}})
    with AnswerServer(answers=[refused]).serving() as vllm:
        value = json.dumps({"host": vllm.base_url, "password": "sk-secret-of-vllm"})
        monkeypatch.setenv("AIRFLOW_CONN_VLLM", value)
        done = run(selected, "--yes")
    shown = done.stdout + done.stderr
    assert (done.returncode, judge_server.calls()) == (1, CALLS // 2)
    assert "AIRFLOW_CONN_VLLM" in shown
    assert "sk-secret-of-vllm" not in shown
    assert {row["llm_model_id"] for row in selected.rows("cohorts/c/scores.csv") if row["score"]} == {"judge-a"}


def test_a_refused_key_ends_the_run_with_the_reason(selected: StoreBuilder, judge_server: JudgeServer) -> None:
    """The message names the cause and the next step, and does not show the key."""
    judge_server.faults({"fault": "status", "status": 401, "message": "bad key"})
    done = run(selected, "--yes")
    assert (done.returncode, "Traceback" in done.stderr + done.stdout) == (1, False)
    assert "16 failed" in done.stderr
    assert "sk-local" not in done.stderr + done.stdout


def test_a_trial_shows_everything_and_stores_nothing(selected: StoreBuilder, judge_server: JudgeServer) -> None:
    """The prompt, the reply and the score are printed after one call; the data root stays as it was."""
    tree = selected.tree_hash()
    words = ("try", "novelty", "e_essay1", "--model", "judge-a", "--yes", "--data-root", selected.root)
    shown = run_command(*words).stdout
    assert [word in shown for word in ("--- Prompt", "--- Reply", "SCORE: ", "Nothing was stored.")] == [True] * 4
    assert "Score: " in shown
    found = json.loads(run_command(*words, "--json").stdout)
    assert 0 <= found["score"] <= 9
    assert (found["parser"], judge_server.calls()) == (["in_last_line", "2"], 2)
    assert selected.tree_hash() == tree


def test_a_trial_shows_each_criterion(selected: StoreBuilder) -> None:
    """The scores of the criteria are printed before the overall score, and a reason where there is none."""
    header = "template_id,active,score_min,score_max,criteria"
    selected.write("1_raw/evaluation_templates.csv", f"{header}\nnovelty,1,1,5,clarity;depth\n")
    text = "{{ response }}\nA score from {{ score_min }} to {{ score_max }}:\nCLARITY: <number>\nSCORE: <number>"
    selected.write("1_raw/templates/evaluation/novelty.txt", text)
    words = ("try", "novelty", "e_essay1", "--model", "judge-a", "--yes", "--data-root", selected.root)
    shown = run_command(*words).stdout
    assert re.search(r"^clarity: [1-5]\.[0-9]$", shown, re.MULTILINE)
    assert "depth: no score: no line begins with its name and a colon" in shown
    assert json.loads(run_command(*words, "--json").stdout)["criteria"]["depth"]["score"] is None


def test_a_trial_asks_the_judge_s_own_server(
    selected: StoreBuilder, judge_server: JudgeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection in the judge's row is used, and the default one need not exist."""
    selected.judges_at(a="vllm", b="nowhere")
    monkeypatch.setenv("AIRFLOW_CONN_VLLM", os.environ["AIRFLOW_CONN_LLM_DEFAULT"])
    monkeypatch.delenv("AIRFLOW_CONN_LLM_DEFAULT")
    words = ("try", "novelty", "e_essay1", "--yes", "--data-root", selected.root, "--model")
    assert run_command(*words, "judge-a").returncode == 0
    missing = run_command(*words, "judge-b")
    assert (missing.returncode, "AIRFLOW_CONN_NOWHERE: it is not set." in missing.stderr) == (2, True)
    assert judge_server.calls() == 1


def test_a_trial_takes_a_file(selected: StoreBuilder, tmp_path: Path) -> None:
    """A text that is not in the data root can be tried."""
    (tmp_path / "mine.txt").write_text("My own words.", "utf-8")
    words = ("try", "novelty", tmp_path / "mine.txt", "--model", "judge-a", "--yes", "--data-root", selected.root)
    assert "My own words." in run_command(*words).stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(("novelti", "e_essay1", "judge-a"), 'Did you mean "novelty"?', id="template"),
        pytest.param(("novelty", "e_essay1", "judge-x"), "judge-x", id="model"),
        pytest.param(("novelty", "nowhere.txt", "judge-a"), "cannot be read as a file", id="essay"),
    ],
)
def test_a_trial_names_what_does_not_exist(selected: StoreBuilder, words: tuple[str, str, str], message: str) -> None:
    """The message names the argument and what exists."""
    done = run_command("try", *words[:2], "--model", words[2], "--yes", "--data-root", selected.root)
    assert (done.returncode, message in done.stderr) == (2, True), done.stderr


def test_a_trial_without_a_reply_says_why(selected: StoreBuilder, judge_server: JudgeServer) -> None:
    """The exit status is 1, and nothing is stored."""
    judge_server.faults({"fault": "status", "status": 500})
    tree = selected.tree_hash()
    done = run_command("try", "novelty", "e_essay1", "--model", "judge-a", "--yes", "--data-root", selected.root)
    assert (done.returncode, "No reply after 2 requests" in done.stderr) == (1, True)
    assert selected.tree_hash() == tree


@pytest.mark.slow
@pytest.mark.parametrize("again", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_stores_the_replies_under_way(
    selected: StoreBuilder, judge_server: JudgeServer, connection: str, again: signal.Signals
) -> None:
    """The replies to requests in flight are stored, also after a second signal, and the next run makes the rest."""
    judge_server.faults({"fault": "latency", "seconds": 1.0})
    command = [
        sys.executable,
        "-m",
        "essay_cohorts",
        "run",
        "--cohort",
        "c",
        "--yes",
        "--data-root",
        str(selected.root),
    ]
    command += ["--conf", '{"max_concurrency": 4}']
    process = subprocess.Popen(command, env={**os.environ, "AIRFLOW_CONN_LLM_DEFAULT": connection})
    deadline = time.monotonic() + 30
    while not judge_server.calls() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    process.send_signal(again)
    process.wait(30)
    sent = judge_server.calls()
    assert 0 < sent < CALLS
    replies = list((selected.root / "gens" / "evaluation").glob("*/raw.txt"))
    assert len(replies) == sent
    judge_server.faults()
    assert run(selected, "--yes").returncode == 0
    assert judge_server.calls() == CALLS
