"""What a call costs next to the time that it waits.

One slice runs in a process of its own, and two scripts next to it: one only asks, the other only writes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.alone import run_alone
from benchmarks.figures import Figure, in_turn
from benchmarks.stores import REPLICATES, generate_store
from tests.judge_server import JudgeServer

BARE = "a bare asyncio script that stores nothing"
WRITES = "the same files written by plain system calls"
BOTH = "the two together"
# Promised of so many calls: processor time a call, in ms, and it and the wall time in times those of the bare script.
_PROMISED, _MOST_MS, _MOST_TIMES = 1_000, 6.0, 1.5


def measure_calls(calls: int, runs: int, latency_s: float) -> list[Figure]:
    """Processor time a call, end to end and by piece, and the wall time of all of them."""
    essays = -(-calls // REPLICATES)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = generate_store(folder / "data", evaluations=0, fresh=(runs + 1) * 2 * essays)
        fresh, folders = iter(store.fresh), count()

        def work(module: str) -> dict[str, Any]:
            mine = [next(fresh) for _ in range(essays)]
            return run_alone("-m", module, str(store.root), judge.base_url, *mine).json()

        with JudgeServer.started(folder, "--latency-s", str(latency_s)) as judge:
            subjects = {
                "slice": lambda: work("benchmarks.slice_work"),
                BARE: lambda: work("benchmarks.bare_calls"),
                WRITES: lambda: run_alone(
                    "-m", "benchmarks.bare_writes", str(folder / f"writes{next(folders)}"), str(calls)
                ).json(),
            }
            told = in_turn(subjects, runs, f"{calls:,} calls of {latency_s:g} s")
    return _figures(told, essays * REPLICATES, latency_s)


def _figures(measured: Mapping[str, list[dict[str, Any]]], calls: int, latency_s: float) -> list[Figure]:
    slices, bare = measured["slice"], measured[BARE]
    per_call_ms = 1000 / calls
    cpu = [sum(piece["cpu_s"] for piece in one.values()) * per_call_ms for one in slices]
    wall = [one["calls"]["wall_s"] for one in slices]
    told = f"{calls:,} calls of {latency_s:g} s, 50 at once"
    bare_cpu, bare_wall = [one["cpu_s"] * per_call_ms for one in bare], [one["wall_s"] for one in bare]
    writes = [one["cpu_s"] * per_call_ms for one in measured[WRITES]]
    both = [asking + writing for asking, writing in zip(bare_cpu, writes, strict=True)]
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
            others={BARE: bare_cpu, WRITES: writes, BOTH: both},
        ),
        Figure(
            name=f"{told}: processor time a call, in times the bare script's",
            unit="",
            runs=[mine / theirs for mine, theirs in zip(cpu, bare_cpu, strict=True)],
            limit=_MOST_TIMES if calls >= _PROMISED else None,
            others={},
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
