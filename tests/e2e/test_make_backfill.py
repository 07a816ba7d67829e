"""`make backfill` as a newcomer types it, in a copy of the project that is its own git repository."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

PROJECT = Path(__file__).resolve().parents[2]
PATIENCE_S = 120.0


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh copy of what is tracked, with the installed .venv."""
    copy = tmp_path_factory.mktemp("newcomer") / "essay-judgements"
    listed = _git(PROJECT, "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    for name in listed:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(PROJECT / name, copy / name)
    _git(copy, "init", "--quiet")
    _git(copy, "add", "--all")
    _git(copy, "add", "--force", "data/gens")
    _git(copy, "-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "--quiet", "-m", "Copy")
    (copy / ".git" / "info" / "exclude").write_text(".venv\n")
    (copy / ".venv").symlink_to(PROJECT / ".venv")
    # Older than what they were installed from: make must not install the copy into the .venv that all tests use.
    for name in ("requirements.txt", "pyproject.toml"):
        os.utime(copy / name, (0, 0))
    return copy


@pytest.fixture
def port_8080_in_use() -> Iterator[None]:
    """Something else listens where Airflow would like to."""
    with socket.socket() as other:
        try:
            other.bind(("127.0.0.1", 8080))
            other.listen()
        except OSError:
            pass  # then it is in use already
        yield


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout


def _processes_of(project: Path) -> list[str]:
    """The processes that run in or name the copy."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        command = " ".join(process.info["cmdline"] or [])
        if str(project) in command or (process.info["cwd"] or "").startswith(str(project)):
            found.append(command)
    return found


def _assert_nothing_is_left(project: Path) -> None:
    end = time.monotonic() + 15
    while _processes_of(project) and time.monotonic() < end:
        time.sleep(0.2)
    assert _processes_of(project) == []


def test_it_scores_the_sample_and_reuses_all_of_it_the_second_time(project: Path, port_8080_in_use: None) -> None:
    """Twice, with a key in the environment and 8080 taken: green, 96 calls, then none; nothing is left behind."""
    environment = {**os.environ, "OPENAI_API_KEY": "sk-not-to-be-used", "OPENAI_BASE_URL": "http://127.0.0.1:9"}
    for calls, reused in ((96, 31), (0, 128)):
        done = subprocess.run(
            ["make", "backfill"],
            cwd=project,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"LLM calls: {calls}\n" in done.stdout
        words = done.stdout.split()
        assert words[words.index("planned") + 1] == "128"
        assert words[words.index("reused") + 1] == str(reused)
        assert "data/cohorts/sample_backfill/scores.csv" in done.stdout
        assert (project / "data/cohorts/sample_backfill/report.html").exists()
        _assert_nothing_is_left(project)
    assert _git(project, "status", "--porcelain") == ""


def test_ctrl_c_leaves_no_process(project: Path) -> None:
    """Ctrl-C while Airflow is up ends everything that was started, with a status that is not 0."""
    with subprocess.Popen(
        ["make", "backfill"], cwd=project, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        assert running.stdout is not None
        for line in running.stdout:
            if "Triggered" in line:
                os.killpg(running.pid, signal.SIGINT)
                break
        running.stdout.read()
        assert running.wait(timeout=PATIENCE_S) != 0
    _assert_nothing_is_left(project)
