"""The pages of the plugin over HTTP in this process, as somebody whom Airflow's login has let in."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import PlayedDag
from tests.store_builder import StoreBuilder

if TYPE_CHECKING:
    from starlette.testclient import TestClient

PROJECT = Path(__file__).resolve().parents[2]

# Airflow reads its home when it is imported; another folder of tests may have set one.
os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="airflow-home-"))

HOSTILE = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"


@pytest.fixture
def pages(store: StoreBuilder, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """A browser without scripts, let in, over the data root of `store`; errors come as pages."""
    from starlette.testclient import TestClient

    from essay_cohorts.views.snapshot_cache import SnapshotCache
    from essay_cohorts_airflow.pages import app, routes

    monkeypatch.setenv("DD_DATA_ROOT", str(store.root))
    monkeypatch.setattr(routes, "snapshots", SnapshotCache())
    made = app.make_app()
    (border,) = made.router.dependencies
    assert border.dependency is not None
    made.dependency_overrides[border.dependency] = lambda: None
    client = TestClient(made, raise_server_exceptions=False, headers={"Accept": "text/html"})
    with client:
        yield client


@pytest.fixture
def played(store: StoreBuilder, dag: PlayedDag) -> PlayedDag:
    """Four essays, one of them hostile, and cohort `pilot` of the first two, judged by one template."""
    essays = [store.essay(number, f"{HOSTILE} Essay {number}." if number == 4 else None) for number in (1, 2, 3, 4)]
    dag.run({"cohort_id": "pilot", "essay_ids": essays[:2], "templates": ["novelty"]}, run_id="run-pilot")
    return dag
