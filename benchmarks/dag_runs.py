"""DagRuns with the settings of `make up`, compared with the same DagRuns with Airflow's default settings."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.figures import Figure, in_turn
from benchmarks.scheduler_runs import (
    MISSING_8,
    MISSING_40,
    MISSING_1000,
    MISSING_5000,
    NAIVE_40,
    REUSED_1000,
    REUSED_10000,
    REUSED_20000,
    Bench,
    Case,
    Run,
)
from benchmarks.stores import PER_ESSAY, generate_store

ALL = (MISSING_8, MISSING_40, NAIVE_40, REUSED_10000, REUSED_20000, MISSING_1000, MISSING_5000)
QUICK = (MISSING_8, MISSING_40, REUSED_1000)
AT_DEFAULTS = "at Airflow's default settings"
_SECONDS = {MISSING_8: 15.0, MISSING_40: 11.0, REUSED_10000: 15.0, MISSING_1000: 28.0, MISSING_5000: 115.0}
# The limits say: fewer than 30, and fewer than 100.
_INSTANCES = {REUSED_10000: 29.0, REUSED_20000: 99.0}
_PEAK_MB = {MISSING_1000: 300.0, MISSING_5000: 300.0}

Runs = Mapping[Case, Sequence[Run]]


def measure_dag_runs(cases: Sequence[Case], runs: int, *, defaults: bool) -> list[Figure]:
    """Measure each case's seconds, task instances, calls and peak memory.

    With `defaults` the seconds at Airflow's default settings are measured, too.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        judged = max((case.essays for case in cases if case.judged), default=1)
        # Each Airflow needs one more essay for its warm-up.
        fresh = 2 + 2 * runs * sum(case.essays for case in cases if not case.judged)
        store = generate_store(folder / "data", evaluations=judged * PER_ESSAY, fresh=fresh, whole=True)
        with Bench.started(folder / "up", store) as bench:
            ours = _in_turn(bench, cases, runs, "make up")
            taken = bench.taken
        theirs: Runs = {}
        if defaults:
            with Bench.started(folder / "defaults", store, defaults=True, taken=taken) as bench:
                theirs = _in_turn(bench, cases, runs, "Airflow's defaults")
    return [figure for case in cases for figure in _figures(case, ours, theirs)]


def _in_turn(bench: Bench, cases: Sequence[Case], runs: int, settings: str) -> Runs:
    def subject(case: Case) -> Callable[[], Run]:
        return lambda: bench.run(case)

    names = {case.name: case for case in cases}
    # No warm-up here, because `Bench.started` has run one DagRun to warm Airflow up.
    done = in_turn({case.name: subject(case) for case in cases}, runs, f"DagRuns, {settings}", warm_up=False)
    return {names[name]: each for name, each in done.items()}


def _figures(case: Case, ours: Runs, theirs: Runs) -> list[Figure]:
    done = ours[case]
    failed = [run for run in (*done, *theirs.get(case, ())) if run.state != "success"]
    if failed:
        msg = f"{case.name}: {len(failed)} runs did not succeed"
        raise RuntimeError(msg)
    others = {AT_DEFAULTS: [run.seconds for run in theirs[case]]} if case in theirs else {}
    if case == MISSING_40 and NAIVE_40 in ours:
        others[NAIVE_40.name] = [run.seconds for run in ours[NAIVE_40]]
    figures = [
        _figure(case, "DagRun", "s", [run.seconds for run in done], _SECONDS.get(case), others),
        _figure(case, "task instances", "", [run.instances for run in done], _INSTANCES.get(case)),
        _figure(case, "calls", "", [run.calls for run in done], 0.0 if case.judged else None),
    ]
    if case in _PEAK_MB:
        figures.append(_figure(case, "busiest task process", "MB", [run.peak_mb for run in done], _PEAK_MB[case]))
    return figures


def _figure(
    case: Case,
    what: str,
    unit: str,
    runs: Sequence[float],
    limit: float | None,
    others: Mapping[str, Sequence[float]] | None = None,
) -> Figure:
    return Figure(name=f"{case.name}: {what}", unit=unit, runs=runs, limit=limit, others=others or {})
