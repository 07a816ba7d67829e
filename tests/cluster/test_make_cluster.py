"""`make cluster`: the sample cohort on several workers, from one command, with nothing left behind."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import psutil
import pytest

from devtools.cluster.postgresql import let_others_pass
from tests.cluster.conftest import PYTHON
from tests.e2e.conftest import PROJECT

pytestmark = pytest.mark.timeout(600)


def test_it_judges_the_sample_and_leaves_nothing(tmp_path: Path) -> None:
    """Without a terminal it ends after the run: the counts are those of `make backfill`, and all files are gone."""
    done = subprocess.run(
        [PYTHON, "-m", "devtools.cluster", "--workers", "2"],
        cwd=PROJECT,
        env=os.environ | {"TMPDIR": str(let_others_pass(tmp_path))},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 workers" in done.stdout
    counts = dict(line.strip().rsplit(maxsplit=1) for line in done.stdout.splitlines() if line.startswith("  "))
    shown = {name: int(counts[name]) for name in ("planned", "reused", "called", "scored", "failed")}
    assert shown == {"planned": 128, "reused": 31, "called": 96, "scored": 97, "failed": 0}
    assert "LLM calls: 96" in done.stdout
    assert list(tmp_path.iterdir()) == []
    commands = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    assert [command for command in commands if str(tmp_path) in command] == []


@pytest.mark.parametrize("workers", ["0", "33", "many"])
def test_a_wrong_number_of_workers_is_one_clear_error(workers: str) -> None:
    """The message names the value and what to write instead, and nothing is started."""
    done = subprocess.run(
        [PYTHON, "-m", "devtools.cluster", "--workers", workers],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert f"'{workers}' is not a number of workers. Name a number from 1 to 32." in done.stderr
