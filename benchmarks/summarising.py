"""The time of `summarise_cohort` for a cohort of scored evaluations, in a fresh process."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from benchmarks.figures import Figure, in_turn
from benchmarks.fresh_process import run_fresh
from benchmarks.stores import generate_store
from tests.conftest import PlayedDag

# By number of scored evaluations: the most seconds.
_LIMITS = {10_000: 4.0}


def measure_summary(evaluations: int, runs: int) -> list[Figure]:
    """Measure `summarise_cohort` itself, and its imports."""
    with tempfile.TemporaryDirectory() as folder:
        root, planned = Path(folder) / "data", Path(folder) / "planned.json"
        store = generate_store(root, evaluations=evaluations, whole=True)
        conf = {"cohort_id": "bench", "essay_ids": list(store.judged), "include_existing_evaluations": True}
        planned.write_text(json.dumps(PlayedDag(root=root, base_url="").plan(conf).to_xcom()))
        work = {"summary": lambda: run_fresh("-m", "benchmarks.summary_work", str(root), str(planned)).json()}
        spent = in_turn(work, runs, f"summarise {evaluations:,} evaluations")["summary"]
    name = f"summarise_cohort, {spent[0]['scored']:,} scored"
    return [
        Figure(name=name, unit="s", runs=[run["own_s"] for run in spent], limit=_LIMITS.get(evaluations), others={}),
        Figure(name=f"{name}: imports", unit="s", runs=[run["imports_s"] for run in spent], others={}),
    ]
