"""How close a run comes to the rate that a server allows, and how often the server refuses it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import PlayedDag
from tests.judge_server import JudgeServer
from tests.store_builder import StoreBuilder

ALLOWED_A_SECOND = 10


@dataclass(frozen=True, kw_only=True)
class Pace:
    """The result of one run against a server with a rate limit; `used` and `refused` are shares of 1."""

    calls: int
    latency_s: float
    max_concurrency: int
    slices: int
    lost: int
    used: float
    refused: float


def ask_a_limited_server(calls: int, latency_s: float, max_concurrency: int) -> Pace:
    """Run a cohort of `calls` missing evaluations against a server that answers 429 beyond its rate."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = StoreBuilder.sample(folder / "data")
        essays = [store.essay(number) for number in range(1, calls + 1)]
        with JudgeServer.started(folder, "--latency-s", str(latency_s)) as judge:
            judge.faults({"fault": "rate_limit", "per_second": ALLOWED_A_SECOND, "retry_after": 1})
            dag = PlayedDag(root=store.root, base_url=judge.base_url)
            dag.rules = {"max_attempts": 8, "first_wait_s": 1.0, "longest_wait_s": 30.0}
            conf = {"cohort_id": "bench", "essay_ids": essays, "templates": ["novelty"], "models": ["judge-a"]}
            run = dag.run({**conf, "replicates": 1, "max_concurrency": max_concurrency})
            stats, requests = judge.stats(), judge.requests()
    granted = [request["at"] for request in requests if request["status"] == 200]
    return Pace(
        calls=calls,
        latency_s=latency_s,
        max_concurrency=max_concurrency,
        slices=len(run.slices),
        lost=calls - run.summary.totals.scored,
        # The server grants all requests of the first second at its beginning.
        used=len(granted) / ((max(granted) - min(granted) + 1) * ALLOWED_A_SECOND),
        refused=stats["by_status"].get("429", 0) / stats["requests"],
    )
