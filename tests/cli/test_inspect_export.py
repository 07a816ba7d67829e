"""The export for inspect_ai: what its format demands, and that its own reader opens it."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import FinishedCommand, run_command
from tests.store_builder import StoreBuilder

PROJECT = Path(__file__).resolve().parents[2]
READER = PROJECT / ".venv-inspect" / "bin" / "python"
NAME = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d_[a-z-]+_[a-z-]+_[0-9a-f]{22}\.json")


@pytest.fixture
def judged(store: StoreBuilder) -> StoreBuilder:
    """Return a store with scores by two judges, a refused reply, and an evaluation without a reply."""
    store.metadata("essay", "mine", {"title": "Tides", "group": "humans"})
    store.write("gens/essay/mine/parsed.txt", "The moon pulls.")
    store.evaluation("v_1", "mine", reply="Good.\nSCORE: 6")
    store.evaluation("v_2", "mine", replicate=2, score=None, reply="no", refused="no score line")
    store.evaluation("v_3", "mine", replicate=3, score=None)
    store.evaluation("v_4", store.essay(1), score=3.0)
    store.evaluation("v_5", "mine", model="judge-b", score=9.0)
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120, "cached_tokens": 40}
    record = {"response_model": "vendor/a-1", "finish_reason": "length", "usage": usage, "cost_usd": 0.25}
    store.json("gens/evaluation/v_1/raw_metadata.json", {**record, "created_at": "2026-01-02T03:04:05Z"})
    store.write("gens/evaluation/v_1/prompt.txt", "Judge this.")
    store.write("gens/evaluation/v_1/system_prompt.txt", "Be strict.")
    store.write("gens/evaluation/v_1/reasoning.txt", "Hm.")
    return store


def export(store: StoreBuilder, output: Path, *words: str) -> FinishedCommand:
    """Run `export --format inspect`."""
    return run_command("export", output, "--format", "inspect", *words, "--data-root", store.root)


def logs_in(folder: Path) -> dict[str, Any]:
    """Return the logs of a folder by judge."""
    logs = [json.loads(path.read_text("utf-8")) for path in sorted(folder.iterdir())]
    return {log["eval"]["model"]: log for log in logs}


def test_each_judge_has_a_log(judged: StoreBuilder, tmp_path: Path) -> None:
    """The logs have the fields that the format demands, and names by which `inspect view` finds them."""
    done = export(judged, tmp_path / "logs")
    assert done.stdout == (
        f"Written: {tmp_path}/logs, 2 logs with 5 evaluations. To see them: inspect view --log-dir {tmp_path}/logs\n"
    )
    logs = logs_in(tmp_path / "logs")
    for judge, log in logs.items():
        assert (log["version"], log["status"]) == (2, "success")
        spec = log["eval"]
        assert list(log)[-1] == "samples"
        assert {"eval", "plan", "stats", "results"} <= log.keys()
        assert {"created", "task", "dataset", "model", "config"} <= spec.keys()
        assert (spec["task"], spec["model"]) == ("novelty", judge)
        for sample in log["samples"]:
            assert {"id", "epoch", "input", "target", "messages", "output"} <= sample.keys()
        places = [(sample["id"], sample["epoch"]) for sample in log["samples"]]
        assert len(set(places)) == len(places)
    assert logs["judge-a"]["eval"]["created"] == "2026-01-02T03:04:05Z"
    names = [path.name for path in (tmp_path / "logs").iterdir()]
    assert all(NAME.fullmatch(name) for name in names)
    assert any(name.startswith("2026-01-02T03-04-05_novelty_judge-a_") for name in names)


def test_a_sample_is_the_essay_with_its_reply_and_score(judged: StoreBuilder, tmp_path: Path) -> None:
    """The essay is the input, the prompt and the reply are the messages, and the reply explains the score."""
    export(judged, tmp_path / "logs")
    samples = logs_in(tmp_path / "logs")["judge-a"]["samples"]
    [sample] = [each for each in samples if (each["id"], each["epoch"]) == ("mine", 1)]
    assert sample["input"] == "The moon pulls."
    assert [message["role"] for message in sample["messages"]] == ["system", "user", "assistant"]
    [choice] = sample["output"]["choices"]
    assert choice["stop_reason"] == "max_tokens"
    assert choice["message"]["content"] == [
        {"type": "reasoning", "reasoning": "Hm."},
        {"type": "text", "text": "Good.\nSCORE: 6"},
    ]
    usage = {"input_tokens": 60, "output_tokens": 20, "total_tokens": 120, "input_tokens_cache_read": 40}
    assert sample["output"]["usage"] == {**usage, "total_cost": 0.25}
    score = sample["scores"]["score"]
    assert (score["value"], score["explanation"]) == (6.0, "Good.\nSCORE: 6")
    assert (score["metadata"]["scale_low"], score["metadata"]["scale_high"]) == (0.0, 9.0)
    metadata = sample["metadata"]
    assert [metadata[name] for name in ("title", "group", "gen_id", "response_model")] == [
        "Tides",
        "humans",
        "v_1",
        "vendor/a-1",
    ]
    assert "error" not in sample


def test_what_has_no_score_has_an_error(judged: StoreBuilder, tmp_path: Path) -> None:
    """An evaluation without a score has no score, and the reason as its error; the mean leaves it out."""
    export(judged, tmp_path / "logs")
    log = logs_in(tmp_path / "logs")["judge-a"]
    shown = {sample["metadata"]["gen_id"]: sample for sample in log["samples"]}
    assert (shown["v_2"]["scores"], shown["v_3"]["scores"]) == ({}, {})
    assert shown["v_2"]["error"] == {"message": "unscored: no score line", "traceback": "", "traceback_ansi": ""}
    assert shown["v_3"]["error"]["message"].startswith("no_reply: ")
    assert shown["v_3"]["output"]["choices"] == []
    [score] = log["results"]["scores"]
    assert score["metrics"]["mean"]["value"] == 4.5
    assert (score["scored_samples"], score["unscored_samples"]) == (2, 0)
    assert (log["results"]["total_samples"], log["results"]["completed_samples"]) == (4, 2)


def test_criteria_are_in_the_metadata_of_a_score(store: StoreBuilder, tmp_path: Path) -> None:
    """The scores of the criteria come with their reasons."""
    store.evaluation("v_1", store.essay(1))
    verdict = {"parser_name": "json", "parser_version": "1+criteria=clarity;depth", "success": True, "score": 6.0}
    criteria = {"clarity": {"score": 7.0, "reason": "clear"}, "depth": {"score": None, "reason": ""}}
    store.json("gens/evaluation/v_1/parsed_metadata.json", {**verdict, "criteria": criteria})
    export(store, tmp_path / "logs")
    [sample] = logs_in(tmp_path / "logs")["judge-a"]["samples"]
    assert sample["scores"]["score"]["metadata"]["criteria"] == criteria


def test_the_same_source_gives_the_same_logs(judged: StoreBuilder, tmp_path: Path) -> None:
    """--force replaces the logs of the source, also under another time, and leaves other files alone."""
    export(judged, tmp_path / "logs")
    (tmp_path / "logs" / "mine.txt").write_text("mine", "utf-8")
    refused = export(judged, tmp_path / "logs")
    assert (refused.returncode, "it is not empty. --force" in refused.stderr) == (2, True)
    record = json.loads(judged.read("gens/evaluation/v_1/raw_metadata.json"))
    judged.json("gens/evaluation/v_1/raw_metadata.json", {**record, "created_at": "2026-02-02T03:04:05Z"})
    assert export(judged, tmp_path / "logs", "--force").returncode == 0
    names = sorted(path.name for path in (tmp_path / "logs").iterdir())
    assert len(names) == 3
    assert "mine.txt" in names
    assert not any(name.startswith("2026-01") for name in names)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param("taken", "it is not a plain folder.", id="a file"),
        pytest.param("data/logs", "it is inside the data root", id="in the data root"),
        pytest.param("nowhere/logs", "its folder does not exist.", id="folder"),
    ],
)
def test_bad_output_is_one_message(judged: StoreBuilder, tmp_path: Path, name: str, message: str) -> None:
    """Nothing is written, and the message names the next step."""
    (tmp_path / "taken").write_text("mine", "utf-8")
    done = export(judged, tmp_path / name)
    assert (done.returncode, message in done.stderr) == (2, True), done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "taken"]


@pytest.mark.inspect
def test_the_reader_of_inspect_ai_opens_the_logs(judged: StoreBuilder, tmp_path: Path) -> None:
    """inspect_ai lists and reads the logs, whole and in the parts that its viewer loads."""
    export(judged, tmp_path / "logs")
    command = [str(READER), "tests/inspect_reader.py", str(tmp_path / "logs")]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = {log["model"]: log for log in json.loads(done.stdout)}
    assert found.keys() == {"judge-a", "judge-b"}
    log = found["judge-a"]
    assert (log["version"], log["status"], log["task"], log["metrics"]) == (2, "success", "novelty", {"mean": 4.5})
    assert (log["task_in_name"], log["summaries"], log["header"]) == ("novelty", 4, "novelty")
    shown = {(sample["id"], sample["epoch"]): sample for sample in log["samples"]}
    assert shown["mine", 1] == {
        "id": "mine",
        "epoch": 1,
        "input": "The moon pulls.",
        "roles": ["system", "user", "assistant"],
        "reply": "Good.\nSCORE: 6",
        "scores": {"score": 6.0},
        "error": None,
        "title": "Tides",
    }
    assert [shown["mine", epoch]["scores"] for epoch in (2, 3)] == [{}, {}]
    assert shown["mine", 2]["error"] == "unscored: no score line"
