"""Planning over stores of growing size: `plan` in a fresh process with and without an index, and a plain loop."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.figures import Figure, in_turn
from benchmarks.fresh_process import ProcessCost, run_fresh
from benchmarks.stores import generate_store, write_selection

SELECTED = 300
NO_INDEX, WITH_INDEX, LOOP = "no index", "with an index", "a plain loop over the same files"
# By number of evaluations: the most seconds without an index and with an index, and the most MB.
LIMITS = {100_000: (2.5, 0.7, None), 1_000_000: (30.0, 6.0, 500.0)}
_LOOP = """
import json, os, sys
found = 0
folder = sys.argv[1] + "/gens/evaluation"
for name in os.listdir(folder):
    with open(f"{folder}/{name}/metadata.json", "rb") as file:
        json.load(file)
    found += os.stat(f"{folder}/{name}/parsed.txt").st_size > 0
print(found)
"""

Growth = dict[int, dict[str, float]]


def measure_planning(sizes: list[int], runs: int) -> tuple[list[Figure], Growth]:
    """Return the figures of each size, and the medians by size and program, in seconds after Python's start."""
    figures: list[Figure] = []
    growth: Growth = {}
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "data"
            write_selection(root, generate_store(root, evaluations=size).spread(SELECTED))
            spent = in_turn(_subjects(root), runs, f"plan over {size:,} evaluations")
        start_s = statistics.median(run.wall_s for run in spent.pop("start"))
        seconds = {name: [run.wall_s - start_s for run in each] for name, each in spent.items()}
        growth[size] = {name: statistics.median(each) for name, each in seconds.items()}
        figures += _figures(size, seconds, [run.peak_mb for run in spent[NO_INDEX] + spent[WITH_INDEX]])
    return figures, growth


def _figures(size: int, seconds: dict[str, list[float]], peaks_mb: list[float]) -> list[Figure]:
    without_s, with_s, most_mb = LIMITS.get(size, (None, None, None))
    name = f"plan, {size:,} evaluations, {SELECTED} essays selected"
    loop = {LOOP: seconds[LOOP]}
    return [
        Figure(name=f"{name}, {NO_INDEX}", unit="s", runs=seconds[NO_INDEX], limit=without_s, others=loop),
        Figure(name=f"{name}, {WITH_INDEX}", unit="s", runs=seconds[WITH_INDEX], limit=with_s, others=loop),
        Figure(name=f"{name}: peak memory", unit="MB", runs=peaks_mb, limit=most_mb, others={}),
    ]


def _subjects(root: Path) -> dict[str, Callable[[], ProcessCost]]:
    def plan() -> ProcessCost:
        return run_fresh("-m", "essay_cohorts", "plan", "--cohort", "bench", "--data-root", str(root))

    def plan_without_index() -> ProcessCost:
        ledger, aside = root / ".ledger", root / "ledger_aside"
        ledger.rename(aside)
        try:
            return plan()
        finally:
            aside.rename(ledger)

    run_fresh("-m", "essay_cohorts", "reindex", "--data-root", str(root))
    return {
        NO_INDEX: plan_without_index,
        WITH_INDEX: plan,
        LOOP: lambda: run_fresh("-c", _LOOP, str(root)),
        "start": lambda: run_fresh("-c", "pass"),
    }
