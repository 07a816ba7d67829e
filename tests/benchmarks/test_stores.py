"""The stores that `make bench` generates are stores that the product works with."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.stores import PER_ESSAY, generate_store
from tests.conftest import PlayedDag


@pytest.mark.parametrize("whole", [False, True])
def test_a_generated_store_is_reused_whole(tmp_path: Path, whole: bool) -> None:
    """Every evaluation of a judged essay is reused, and a fresh essay needs all its calls."""
    store = generate_store(tmp_path / "data", evaluations=3 * PER_ESSAY, fresh=1, whole=whole)
    dag = PlayedDag(root=store.root, base_url="")
    conf = {"cohort_id": "c", "essay_ids": [*store.judged, *store.fresh], "include_existing_evaluations": True}
    planned = dag.plan(conf)
    assert (planned.reuse, planned.call, planned.edited) == (3 * PER_ESSAY, PER_ESSAY, 0)
