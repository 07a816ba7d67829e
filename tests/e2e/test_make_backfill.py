"""Tests of `make backfill`, run as a newcomer would, in a copy of the project with its own git repository."""

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
TIMEOUT_S = 120.0


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a fresh copy of the tracked files, with the installed .venv."""
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
    # These files are made older than the .venv, so that make does not install the copy into the .venv of all tests.
    for name in ("requirements.txt", "pyproject.toml"):
        os.utime(copy / name, (0, 0))
    return copy


@pytest.fixture
def port_8080_in_use() -> Iterator[None]:
    """Let another server listen on port 8080, which Airflow would prefer."""
    with socket.socket() as other:
        try:
            other.bind(("127.0.0.1", 8080))
            other.listen()
        except OSError:
            pass  # the port is already in use
        yield


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout


def _processes_of(project: Path) -> list[str]:
    """Return the processes that run in the copy or name it."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        command = " ".join(process.info["cmdline"] or [])
        if str(project) in command or (process.info["cwd"] or "").startswith(str(project)):
            found.append(command)
    return found


def _assert_no_process_is_left(project: Path) -> None:
    end = time.monotonic() + 15
    while _processes_of(project) and time.monotonic() < end:
        time.sleep(0.2)
    assert _processes_of(project) == []


def test_it_scores_the_sample_and_reuses_all_of_it_the_second_time(project: Path, port_8080_in_use: None) -> None:
    """The first run makes 96 calls, the second none; both succeed without a change of the git status."""
    environment = {**os.environ, "OPENAI_API_KEY": "sk-not-to-be-used", "OPENAI_BASE_URL": "http://127.0.0.1:9"}
    for calls, reused in ((96, 31), (0, 128)):
        done = subprocess.run(
            ["make", "backfill"],
            cwd=project,
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"LLM calls: {calls}\n" in done.stdout
        words = done.stdout.split()
        assert words[words.index("planned") + 1] == "128"
        assert words[words.index("reused") + 1] == str(reused)
        assert "data/cohorts/sample_backfill/scores.csv" in done.stdout
        assert (project / "data/cohorts/sample_backfill/report.html").exists()
        _assert_no_process_is_left(project)
    assert _git(project, "status", "--porcelain") == ""


def test_ctrl_c_leaves_no_process(project: Path) -> None:
    """Ctrl-C while Airflow runs ends all its processes, with an exit status that is not 0."""
    with subprocess.Popen(
        ["make", "backfill"], cwd=project, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        assert running.stdout is not None
        for line in running.stdout:
            if "Triggered" in line:
                os.killpg(running.pid, signal.SIGINT)
                break
        running.stdout.read()
        assert running.wait(timeout=TIMEOUT_S) != 0
    _assert_no_process_is_left(project)
