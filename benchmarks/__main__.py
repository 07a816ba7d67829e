"""Times DAG parsing and planning, each beside its alternative in the same run, and prints medians and ratios.

A machine is noisy: the two of a pair run in turn, and the ratio is what to quote. Then it tries how well a run keeps
to the rate that a server allows.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.rate_limit import ask_a_limited_server
from benchmarks.stores import generate_store
from include.cohorts.model import RunRef
from include.cohorts.preparation import prepare
from include.cohorts.settings import Settings

PROJECT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Something measured and what it is compared with, each as medians of wall seconds."""

    name: str
    compared_with: str
    seconds: float
    other_seconds: float


def measure(
    name: str, compared_with: str, subject: Callable[[], object], other: Callable[[], object], runs: int
) -> Pair:
    """Runs both once to warm up, then in turn `runs` times."""
    subject(), other()
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in track(range(runs), description=name):
        for times, function in zip(taken, (subject, other), strict=True):
            started = time.perf_counter()
            function()
            times.append(time.perf_counter() - started)
    medians = [statistics.median(times) for times in taken]
    return Pair(name=name, compared_with=compared_with, seconds=medians[0], other_seconds=medians[1])


def parse_the_dag(runs: int) -> Pair:
    """A fresh process that imports the DAG file, beside one that imports `airflow.sdk` alone."""
    return measure(
        "parse the DAG file",
        "import airflow.sdk",
        lambda: _python("import sys; sys.path.insert(0, 'dags'); import evaluation_backfill"),
        lambda: _python("import airflow.sdk"),
        runs,
    )


def plan_a_store(runs: int, evaluations: int) -> Pair:
    """Planning in full, beside a plain loop that reads the same metadata and looks for the same parsed.txt."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        generate_store(root, evaluations=evaluations)
        settings = Settings(data_root=root)
        return measure(
            f"plan over {evaluations:,} existing evaluations",
            "a loop that reads and stats the same files",
            lambda: prepare(settings, {"cohort_id": "bench"}, RunRef("bench", "bench")),
            lambda: _read_all(root),
            runs,
        )


def _read_all(root: Path) -> int:
    found = 0
    for folder in (root / "gens" / "evaluation").iterdir():
        json.loads((folder / "metadata.json").read_bytes())
        found += (folder / "parsed.txt").stat().st_size > 0
    return found


def _python(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True, capture_output=True)


def main() -> None:
    """Measures all pairs and prints them as a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="counted runs of each (default: 5)")
    parser.add_argument(
        "--evaluations", type=int, default=10_000, help="size of the generated store (default: 10000)"
    )
    options = parser.parse_args()
    table = Table("measured", "median s", "compared with", "median s", "ratio", box=None)
    for pair in (parse_the_dag(options.runs), plan_a_store(options.runs, options.evaluations)):
        ratio = f"{pair.seconds / pair.other_seconds:.2f}"
        table.add_row(pair.name, f"{pair.seconds:.3f}", pair.compared_with, f"{pair.other_seconds:.3f}", ratio)
    console = Console(soft_wrap=True)
    console.print(table)
    paces = Table("latency s", "at once", "slices", "calls lost", "of the allowed rate", "answered 429", box=None)
    for latency_s, at_once in track([(0.0, 16), (0.5, 16), (0.5, 50)], description="ask a server of 10 requests/s"):
        pace = ask_a_limited_server(latency_s, at_once)
        figures = (str(pace.slices), str(pace.lost), f"{pace.used:.0%}", f"{pace.refused:.1%}")
        paces.add_row(str(latency_s), str(at_once), *figures)
    console.print(paces)


if __name__ == "__main__":
    main()
