"""`summarise_cohort` over a cohort of scored evaluations, in a fresh process."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from benchmarks.alone import run_alone
from benchmarks.figures import Figure, in_turn
from benchmarks.stores import generate_store
from tests.conftest import PlayedDag

# Seconds that so many scored evaluations may take.
_LIMITS = {10_000: 4.0}


def measure_summary(evaluations: int, runs: int) -> list[Figure]:
    """Return what `summarise_cohort` takes of its own, and what its imports take."""
    with tempfile.TemporaryDirectory() as folder:
        root, planned = Path(folder) / "data", Path(folder) / "planned.json"
        store = generate_store(root, evaluations=evaluations, whole=True)
        conf = {"cohort_id": "bench", "essay_ids": list(store.judged), "include_existing_evaluations": True}
        planned.write_text(json.dumps(PlayedDag(root=root, base_url="").plan(conf).to_xcom()))
        work = {"summary": lambda: run_alone("-m", "benchmarks.summary_work", str(root), str(planned)).json()}
        told = in_turn(work, runs, f"summarise {evaluations:,} evaluations")["summary"]
    name = f"summarise_cohort, {told[0]['scored']:,} scored"
    return [
        Figure(name=name, unit="s", runs=[one["own_s"] for one in told], limit=_LIMITS.get(evaluations), others={}),
        Figure(name=f"{name}: imports", unit="s", runs=[one["imports_s"] for one in told], others={}),
    ]
