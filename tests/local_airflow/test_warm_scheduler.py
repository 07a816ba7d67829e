"""The scheduler that imports the tasks' heavy libraries before it forks."""

import json
import os
import subprocess
import sys
from pathlib import Path

import essay_cohorts_airflow.warm_scheduler as warm

IMPORT_ALL = """
import importlib, json, os, sys
from essay_cohorts_airflow.warm_scheduler import LIBRARIES
for name in LIBRARIES:
    importlib.import_module(name)
print(json.dumps({"ours": [name for name in sys.modules if name.startswith("essay_cohorts.")],
                  "threads": len(os.listdir("/proc/self/task")) if sys.platform == "linux" else 1}))
"""


def run(*arguments: str) -> str:
    """Run a Python process and return its output."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout


def test_only_libraries_are_kept_in_memory() -> None:
    """The scheduler imports none of our modules, which may be edited, and no thread, which a fork would lose."""
    assert json.loads(run("-c", IMPORT_ALL)) == {"ours": [], "threads": 1}


def test_it_runs_airflow_s_scheduler() -> None:
    """The script, run by its path, takes the arguments of `airflow scheduler`."""
    output = run("-P", str(Path(warm.__file__)), "--help")
    assert "airflow scheduler" in output
    assert "--skip-serve-logs" in output
