"""The commands in the README work as written, on the sample data as it is cloned."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from devtools.supervision.ports import free_port
from tests.cli.command import FinishedCommand, run_process

PROJECT = Path(__file__).resolve().parents[2]
README = (PROJECT / "README.md").read_text(encoding="utf-8")
COMMANDS = sorted(set(re.findall(r"`\.venv/bin/cohorts ([^`]+)`", README)))


def run(root: Path, *words: str) -> FinishedCommand:
    """Run a command of the project on a data root."""
    return run_process("--data-root", root, *words)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the sample data with a planned cohort and aggregated scores."""
    root = tmp_path_factory.mktemp("sample") / "data"
    shutil.copytree(PROJECT / "data", root, ignore=shutil.ignore_patterns("cohorts", "7_cross_experiment", ".*"))
    assert run(root, "plan", "--write", "--cohort", "tried").returncode == 0
    assert run(root, "aggregate").returncode == 0
    return root


def test_readme_has_commands() -> None:
    """The README names the commands that this file runs."""
    assert len(COMMANDS) >= 8


@pytest.mark.slow
@pytest.mark.parametrize("command", [pytest.param(command, id=command) for command in COMMANDS])
def test_a_command_of_readme_works_as_written(sample: Path, command: str) -> None:
    """Each command succeeds; only `status` exits 1, because the cohort was planned and no judge was called yet."""
    words = shlex.split(command.replace("<cohort_id>", "tried"))
    done = run(sample, *words)
    assert done.returncode == (1 if words[0] == "status" else 0), done.stderr
    assert done.stdout


@pytest.mark.slow
def test_ones_own_essays_are_judged_as_readme_says(tmp_path: Path) -> None:
    """The commands of the section, without setting up and the page, lead from three texts to their scores."""
    block = re.search(r"## Judge your own essays.*?```text\n(.*?)```.*?```bash\n(.*?)```", README, re.DOTALL)
    assert block is not None
    (tmp_path / "clarity.txt").write_text(block[1], encoding="utf-8")
    lines = [line for line in block[2].splitlines() if not re.match(r"make setup|DD_DATA_ROOT=\S+ make up", line)]
    assert len(block[2].splitlines()) - len(lines) == 2
    assert len(block[2].splitlines()) <= 8
    script = (
        "\n".join(lines).replace(".venv/bin/", f"{Path(sys.executable).parent}/").replace("8001", str(free_port()))
    )
    script = script.replace("cohorts run", "cohorts run --yes")
    (tmp_path / "texts").mkdir()
    for name in ("tides", "rust", "moss"):
        (tmp_path / "texts" / f"{name}.txt").write_text(f"What {name} do to stone.", encoding="utf-8")
    done = subprocess.run(
        ["bash", "-ec", f"trap 'kill $(jobs -p)' EXIT\n{script}"],
        cwd=PROJECT,
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "36 planned = 0 reused + 36 scored" in done.stdout
    assert len(list((tmp_path / "my-essays" / "gens" / "evaluation").glob("*/parsed.txt"))) == 36


def test_the_offline_judge_of_readme_starts() -> None:
    """The judge starts with the words of the README's section about one's own essays."""
    [words] = re.findall(r"^\.venv/bin/python -m (devtools\.offline_judge) --port 8001 &$", README, re.MULTILINE)
    with subprocess.Popen(
        [sys.executable, "-m", words, "--port", "0"], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    ) as judge:
        assert judge.stdout is not None
        assert "its scores are made up; listening on" in judge.stdout.readline()
        judge.terminate()


def test_no_command_of_readme_makes_another_airflow_home() -> None:
    """Each `airflow` command in the docs names the home of this project's Airflow."""
    texts = [README, *(path.read_text(encoding="utf-8") for path in (PROJECT / "docs").glob("*.md"))]
    assert [
        bare for text in texts for bare in re.findall(r"(?:`|^)(airflow (?:dags|backfill) [^`\n]+)", text, re.M)
    ] == []
    assert "AIRFLOW_HOME=$PWD/.airflow .venv/bin/airflow dags trigger" in README
