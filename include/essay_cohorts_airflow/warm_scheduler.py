"""The scheduler with the heavy libraries of our tasks in memory: `python warm_scheduler.py --skip-serve-logs`.

The scheduler forks its workers and a worker forks a process for each task: what is imported here, once, no task
imports again. Only libraries, and none of our own modules: those may be edited while the scheduler runs.
"""

import importlib
import os
import runpy
import sys

LIBRARIES = ("openai.resources.chat.completions", "httpx", "tenacity", "jinja2.sandbox", "filelock", "pandas")


def main() -> None:
    """Import the libraries, then be `airflow scheduler` with the arguments that this process was given."""
    # A library that starts threads for its sums must not do so in a process that forks.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    for name in LIBRARIES:
        importlib.import_module(name)
    sys.argv = ["airflow", "scheduler", *sys.argv[1:]]
    runpy.run_module("airflow", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
