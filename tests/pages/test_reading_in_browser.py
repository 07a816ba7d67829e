"""A cohort that takes long to read says so in a real browser, and then shows itself."""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING, Literal

import pytest
from playwright.sync_api import Browser, expect

from essay_cohorts.views.snapshot import read_snapshot
from essay_cohorts.views.snapshot_cache import SnapshotCache
from essay_cohorts_airflow.pages import routes, shown_cohorts
from tests.conftest import PlayedDag
from tests.e2e.browser import Visitor
from tests.store_builder import StoreBuilder

if TYPE_CHECKING:
    from essay_cohorts.planning.planned_run import PlannedRun
    from essay_cohorts.settings import Settings
    from essay_cohorts.views.snapshot import CohortSnapshot


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Event:
    """Let the pages read a cohort only when the returned event is set, and wait 0.1 s for it."""
    opened = Event()

    def read(settings: Settings, cohort_id: str) -> CohortSnapshot:
        opened.wait(60)
        return read_snapshot(settings, cohort_id)

    monkeypatch.setattr(shown_cohorts, "snapshots", SnapshotCache(read=read))
    monkeypatch.setattr(routes, "_PATIENCE_S", 0.1)
    return opened


@pytest.fixture
def planned(store: StoreBuilder, dag: PlayedDag) -> PlannedRun:
    """Plan a cohort of one essay."""
    return dag.plan({"cohort_id": "large", "essay_ids": [store.essay(1)], "templates": ["novelty"]})


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_a_cohort_says_that_it_is_being_read_and_then_shows_itself(
    browser: Browser, address: str, planned: PlannedRun, gate: Event, width: int, scheme: Literal["light", "dark"]
) -> None:
    """The waiting page fits, axe-core finds nothing serious in it, and the matrix follows without a click."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    visitor = Visitor(page=context.new_page(), url=address)
    # Without its script the page does not ask again, and stays while axe-core looks at it.
    script = "**/cohorts.js*"
    visitor.page.route(script, lambda route: route.abort())
    visitor.page.goto(f"{address}/c/large")
    expect(visitor.page.get_by_role("status")).to_contain_text("Reading the evaluations of this cohort")
    visitor.page.evaluate("window.untouched = true")
    visitor.page.wait_for_timeout(600)
    assert visitor.page.evaluate("window.untouched") is True, "the page asked again"
    assert visitor.overflow() == 0
    assert visitor.violations() == []
    visitor.picture(f"reading_{width}_{scheme}")
    visitor.page.unroute(script)
    visitor.page.goto(f"{address}/c/large")
    gate.set()
    expect(visitor.page.locator("#matrix")).to_be_visible(timeout=20_000)
    context.close()
