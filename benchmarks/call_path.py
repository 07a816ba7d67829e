"""What a call costs beside what it waits for: one slice in a process of its own, beside a bare asyncio script."""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.alone import run_alone
from benchmarks.figures import Figure, in_turn
from benchmarks.stores import REPLICATES, generate_store
from tests.judge_server import JudgeServer

BARE = "a bare asyncio script that stores nothing"
# Promised of so many calls: processor time a call, in ms, and the wall time in times that of the bare script.
_PROMISED, _MOST_MS, _MOST_TIMES = 1_000, 6.0, 1.5


def measure_calls(calls: int, runs: int, latency_s: float) -> list[Figure]:
    """Processor time a call, end to end and by piece, and the wall time of all of them."""
    essays = -(-calls // REPLICATES)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = generate_store(folder / "data", evaluations=0, fresh=(runs + 1) * 2 * essays)
        fresh = iter(store.fresh)

        def work(module: str) -> dict[str, Any]:
            mine = [next(fresh) for _ in range(essays)]
            return run_alone("-m", module, str(store.root), judge.base_url, *mine).json()

        with JudgeServer.started(folder, "--latency-s", str(latency_s)) as judge:
            subjects = {"slice": lambda: work("benchmarks.slice_work"), BARE: lambda: work("benchmarks.bare_calls")}
            told = in_turn(subjects, runs, f"{calls:,} calls of {latency_s:g} s")
    return _figures(told["slice"], told[BARE], essays * REPLICATES, latency_s)


def _figures(
    slices: list[dict[str, Any]], bare: list[dict[str, float]], calls: int, latency_s: float
) -> list[Figure]:
    per_call_ms = 1000 / calls
    cpu = [sum(piece["cpu_s"] for piece in one.values()) * per_call_ms for one in slices]
    wall = [one["calls"]["wall_s"] for one in slices]
    told = f"{calls:,} calls of {latency_s:g} s, 50 at once"
    bare_cpu, bare_wall = [one["cpu_s"] * per_call_ms for one in bare], [one["wall_s"] for one in bare]
    pieces = [
        Figure(
            name=f"{told}: processor time a call, {piece}",
            unit="ms",
            runs=[one[piece]["cpu_s"] * per_call_ms for one in slices],
            others={},
        )
        for piece in ("prompts", "calls", "parsing")
    ]
    return [
        Figure(
            name=f"{told}: processor time a call, end to end",
            unit="ms",
            runs=cpu,
            limit=_MOST_MS if calls >= _PROMISED else None,
            others={BARE: bare_cpu},
        ),
        *pieces,
        Figure(
            name=f"{told}: one process",
            unit="s",
            runs=wall,
            limit=_MOST_TIMES * median(bare_wall) if calls >= _PROMISED else None,
            others={BARE: bare_wall},
        ),
    ]
