"""Run the scheduler with our tasks' heavy libraries in memory: `python warm_scheduler.py --skip-serve-logs`.

The scheduler forks its workers, and a worker forks a process for each task. What is imported once here, no task
imports again. Our own modules are left out because they may be edited while the scheduler runs.
"""

import importlib
import os
import runpy
import sys

LIBRARIES = (
    "openai.resources.chat.completions",
    "httpx",
    "tenacity",
    "jinja2.sandbox",
    "pandas",
    "scipy.stats",
    "matplotlib.backends.backend_svg",
)


def main() -> None:
    """Import the libraries, then run `airflow scheduler` in this process with this process's arguments."""
    # OpenBLAS starts threads when it is imported, and a process that forks must not have threads.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    for name in LIBRARIES:
        importlib.import_module(name)
    sys.argv = ["airflow", "scheduler", *sys.argv[1:]]
    runpy.run_module("airflow", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
