"""Fixtures for the plugin's pages: a logged-in client in this process, and cohorts to show."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uvicorn

from tests.conftest import PlayedDag
from tests.e2e.browser import chromium
from tests.judge_server import JudgeServer
from tests.store_builder import StoreBuilder

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from starlette.testclient import TestClient

PROJECT = Path(__file__).resolve().parents[2]

# Airflow reads its home when it is imported. Another folder of tests may have set the home already.
os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="airflow-home-"))

ESSAYS = ["e_essay1", "e_essay2", "e_essay3", "e_essay4"]
HOSTILE = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"


@pytest.fixture
def pages(store: StoreBuilder, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """Return a logged-in browser without scripts over the data root of `store`; errors come as pages."""
    from starlette.testclient import TestClient

    from essay_cohorts.views.snapshot_cache import SnapshotCache
    from essay_cohorts_airflow.pages import app, routes, shown_cohorts

    monkeypatch.setenv("DD_DATA_ROOT", str(store.root))
    monkeypatch.setattr(shown_cohorts, "snapshots", SnapshotCache())
    # On a busy machine, too, a page shows its cohort in the first answer.
    monkeypatch.setattr(routes, "_PATIENCE_S", 60.0)
    application = app.make_app()
    (login,) = application.router.dependencies
    assert login.dependency is not None
    application.dependency_overrides[login.dependency] = lambda: None
    client = TestClient(application, raise_server_exceptions=False, headers={"Accept": "text/html"})
    with client:
        yield client


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start one browser for this file."""
    with chromium() as running:
        yield running


@pytest.fixture
def address(pages: TestClient) -> Iterator[str]:
    """Serve the application of `pages` on 127.0.0.1, and return its address."""
    server = uvicorn.Server(uvicorn.Config(pages.app, host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def played(store: StoreBuilder, dag: PlayedDag) -> PlayedDag:
    """Store four essays, one with a hostile text, and run cohort `pilot` of the first two with one template."""
    essays = [store.essay(number, f"{HOSTILE} Essay {number}." if number == 4 else None) for number in (1, 2, 3, 4)]
    dag.run({"cohort_id": "pilot", "essay_ids": essays[:2], "templates": ["novelty"]}, run_id="run-pilot")
    return dag


@pytest.fixture
def main(played: PlayedDag, judge_server: JudgeServer) -> PlayedDag:
    """Run cohort `main`: novelty of essays 1 and 2 reused, 2 refused, 3 fails at judge-b, 4 is hostile."""
    judge_server.faults(
        {"fault": "garbage", "contains": "Essay number 2", "model": "example/judge-a"},
        {"fault": "status", "status": 422, "contains": "Essay number 3", "model": "example/judge-b"},
        {"fault": "reply", "content": f"{HOSTILE}\n</pre>{HOSTILE}\nSCORE: 4\n", "contains": "Essay 4."},
    )
    played.run({"cohort_id": "main", "essay_ids": ESSAYS}, run_id="run-main")
    judge_server.faults()
    return played
