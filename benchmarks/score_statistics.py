"""The time for pivot and statistics of a whole store in a fresh process, including imports."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.figures import Figure, in_turn
from benchmarks.fresh_process import run_fresh
from benchmarks.stores import Grid, generate_store
from essay_cohorts.selecting.aggregated_scores import aggregate_scores

# By number of evaluations: the most seconds from the start of the process to its end.
_LIMITS = {10_000: 5.0}
_GRID = Grid(models=("judge-a", "judge-b", "judge-c", "judge-d", "judge-e"))


def measure_statistics(evaluations: int, runs: int) -> list[Figure]:
    """Measure pivot and statistics of 2 templates and 5 models in a fresh process, in total and by part."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "data"
        generate_store(root, evaluations=evaluations, grid=_GRID)
        aggregate_scores(root)
        work = {"statistics": lambda: run_fresh("-m", "benchmarks.statistics_work", str(root))}
        spent = in_turn(work, runs, f"statistics of {evaluations:,} evaluations")["statistics"]
    outputs = [run.json() for run in spent]
    name = f"pivot and statistics, {outputs[0]['evaluations']:,} evaluations"
    limit = _LIMITS.get(evaluations)
    return [
        Figure(name=name, unit="s", runs=[run.wall_s for run in spent], limit=limit, others={}),
        Figure(name=f"{name}: imports", unit="s", runs=[output["imports_s"] for output in outputs], others={}),
        Figure(name=f"{name}: memory", unit="MB", runs=[run.peak_mb for run in spent], others={}),
    ]
