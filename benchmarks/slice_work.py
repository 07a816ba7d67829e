"""The work of one slice in this process, without planning.

Run as `python -m benchmarks.slice_work ROOT BASE_URL ESSAY...`. Prints one JSON object with the wall and processor
time of prompts, of calls with their writes, and of parsing; imports are not measured.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import essay_cohorts.llm_client.client  # noqa: F401  (a slice's first call imports it)
from essay_cohorts.backfill import slice_tasks
from essay_cohorts.backfill.call_missing import call_missing
from essay_cohorts.planning.slices import Slice
from tests.conftest import PlayedDag, task_ref

AT_ONCE = 50


def main() -> None:
    """Plan, then measure each step of the plan's only slice."""
    root, base_url, *essays = sys.argv[1:]
    dag = PlayedDag(root=Path(root), base_url=base_url, processes=1)
    conf = {"cohort_id": f"bench_{essays[0]}", "essay_ids": essays, "include_existing_evaluations": True}
    planned = dag.plan({**conf, "templates": ["novelty"], "models": ["judge-a"], "max_concurrency": AT_ONCE})
    (part,) = (Slice(**each) for each in slice_tasks.cut_into_slices(dag.settings, planned))
    task = task_ref("run-1", "evaluation.evaluation_raw", 1, 0)
    pieces: dict[str, Callable[[], object]] = {
        "prompts": lambda: slice_tasks.write_prompts(dag.settings, planned, part),
        "calls": lambda: asyncio.run(call_missing(dag.settings, planned, part, task, dag.connect)),
        "parsing": lambda: slice_tasks.parse_replies(dag.settings, planned, part, task),
    }
    spent: dict[str, dict[str, float]] = {}
    for name, piece in pieces.items():
        wall, cpu = time.perf_counter(), time.process_time()
        piece()
        spent[name] = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
    sys.stdout.write(json.dumps(spent) + "\n")


if __name__ == "__main__":
    main()
