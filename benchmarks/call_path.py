"""The cost of a call apart from its wait: a slice in a process of its own, compared with two bare scripts.

One script only makes the calls, the other only writes the files.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.figures import Figure, in_turn
from benchmarks.fresh_process import run_fresh
from benchmarks.stores import REPLICATES, generate_store
from tests.judge_server import JudgeServer

BARE = "a bare asyncio script that stores nothing"
WRITES = "the same files written by plain system calls"
BOTH = "the two together"
# The limits hold from _PROMISED calls on: the most processor time per call in ms, and the most processor and wall
# time as a multiple of the bare script's.
_PROMISED, _MOST_MS, _MOST_TIMES = 1_000, 6.0, 1.5


def measure_calls(calls: int, runs: int, latency_s: float) -> list[Figure]:
    """Measure the processor time per call, in total and by piece, and the wall time of all calls."""
    essays = -(-calls // REPLICATES)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = generate_store(folder / "data", evaluations=0, fresh=(runs + 1) * 2 * essays)
        fresh, folders = iter(store.fresh), count()

        def work(module: str) -> dict[str, Any]:
            own = [next(fresh) for _ in range(essays)]
            return run_fresh("-m", module, str(store.root), judge.base_url, *own).json()

        with JudgeServer.started(folder, "--latency-s", str(latency_s)) as judge:
            subjects = {
                "slice": lambda: work("benchmarks.slice_work"),
                BARE: lambda: work("benchmarks.bare_calls"),
                WRITES: lambda: run_fresh(
                    "-m", "benchmarks.bare_writes", str(folder / f"writes{next(folders)}"), str(calls)
                ).json(),
            }
            measured = in_turn(subjects, runs, f"{calls:,} calls of {latency_s:g} s")
    return _figures(measured, essays * REPLICATES, f"{essays * REPLICATES:,} calls of {latency_s:g} s, 50 at once")


def _figures(measured: Mapping[str, list[dict[str, Any]]], calls: int, title: str) -> list[Figure]:
    slices, promised = measured["slice"], calls >= _PROMISED
    bare_cpu = _cpu_ms(measured[BARE], calls)
    bare_wall = [run["wall_s"] for run in measured[BARE]]
    pieces = {piece: _cpu_ms([run[piece] for run in slices], calls) for piece in ("prompts", "calls", "parsing")}
    cpu = [sum(costs) for costs in zip(*pieces.values(), strict=True)]
    writes = _cpu_ms(measured[WRITES], calls)
    both = [calling + writing for calling, writing in zip(bare_cpu, writes, strict=True)]
    return [
        Figure(
            name=f"{title}: processor time a call, end to end",
            unit="ms",
            runs=cpu,
            limit=_MOST_MS if promised else None,
            others={BARE: bare_cpu, WRITES: writes, BOTH: both},
        ),
        Figure(
            name=f"{title}: processor time a call, in times the bare script's",
            unit="",
            runs=[own / bare for own, bare in zip(cpu, bare_cpu, strict=True)],
            limit=_MOST_TIMES if promised else None,
            others={},
        ),
        *(
            Figure(name=f"{title}: processor time a call, {piece}", unit="ms", runs=costs, others={})
            for piece, costs in pieces.items()
        ),
        Figure(
            name=f"{title}: one process",
            unit="s",
            runs=[run["calls"]["wall_s"] for run in slices],
            limit=_MOST_TIMES * median(bare_wall) if promised else None,
            others={BARE: bare_wall},
        ),
    ]


def _cpu_ms(runs: Sequence[Mapping[str, float]], calls: int) -> list[float]:
    """Return each run's processor time per call, in ms."""
    return [1000 * run["cpu_s"] / calls for run in runs]
