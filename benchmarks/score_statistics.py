"""Pivot and statistics of a whole store, in a fresh process, imports included."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.alone import run_alone
from benchmarks.figures import Figure, in_turn
from benchmarks.stores import Grid, generate_store
from essay_cohorts.selecting.aggregated_scores import aggregate_scores

# Seconds that the figures of so many evaluations may take, from the start of the process to its end.
_LIMITS = {10_000: 5.0}
_GRID = Grid(models=("judge-a", "judge-b", "judge-c", "judge-d", "judge-e"))


def measure_statistics(evaluations: int, runs: int) -> list[Figure]:
    """Return what a fresh process takes for pivot and statistics by 2 templates and 5 models, and its parts."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "data"
        generate_store(root, evaluations=evaluations, grid=_GRID)
        aggregate_scores(root)
        work = {"statistics": lambda: run_alone("-m", "benchmarks.statistics_work", str(root))}
        spent = in_turn(work, runs, f"statistics of {evaluations:,} evaluations")["statistics"]
    told = [one.json() for one in spent]
    name = f"pivot and statistics, {told[0]['evaluations']:,} evaluations"
    limit = _LIMITS.get(evaluations)
    return [
        Figure(name=name, unit="s", runs=[one.wall_s for one in spent], limit=limit, others={}),
        Figure(name=f"{name}: imports", unit="s", runs=[one["imports_s"] for one in told], others={}),
        Figure(name=f"{name}: memory", unit="MB", runs=[one.peak_mb for one in spent], others={}),
    ]
