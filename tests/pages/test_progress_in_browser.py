"""An open cohort page follows a run in a real browser: its numbers change in place, and nothing else does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from essay_cohorts.planning.planned_run import PlannedRun
from tests.conftest import PlayedDag
from tests.pages.run_progress import report
from tests.store_builder import StoreBuilder

# Collects what Chromium counts as a layout shift, with the first node that moved.
WATCH_SHIFTS = """() => {
  window.shifts = [];
  new PerformanceObserver((list) => {
    for (const shift of list.getEntries()) window.shifts.push([shift.value, shift.sources[0]?.node?.textContent]);
  }).observe({ type: "layout-shift" });
}"""


@pytest.fixture
def planned(store: StoreBuilder, dag: PlayedDag) -> PlannedRun:
    """Plan eight calls to each of two judges."""
    essays = [store.essay(number) for number in range(1, 5)]
    return dag.plan({"cohort_id": "main", "essay_ids": essays, "templates": ["novelty"], "replicates": 2})


def play(step: Callable[[PlannedRun], object], planned: PlannedRun) -> None:
    """Play steps of the run in another thread, because the browser's event loop runs in this one."""
    thread = threading.Thread(target=step, args=(planned,))
    thread.start()
    thread.join()


@pytest.fixture(params=[1280, 400], ids=["wide", "narrow"])
def page(browser: Browser, address: str, planned: PlannedRun, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Open the page of the planned run, and check at the end that nothing moved and no script failed."""
    context = browser.new_context(viewport={"width": request.param, "height": 900})
    page, errors = context.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{address}/c/main")
    page.evaluate(WATCH_SHIFTS)
    page.evaluate("window.untouched = true")
    yield page
    assert page.evaluate("window.shifts") == []
    assert page.evaluate("window.untouched") is True
    assert errors == []
    context.close()


def test_the_numbers_move_and_nothing_else(page: Page, dag: PlayedDag, planned: PlannedRun) -> None:
    """From the first call to the end of the run the numbers change in place: focus, scroll and typed text stay."""
    done = page.locator("[data-count=calls_done]")
    expect(done).to_have_text("0 of 16")
    matrix = page.get_by_role("region", name="Coverage matrix")
    matrix.get_by_role("link", name="missing").last.focus()
    page.evaluate("window.focused = document.activeElement")
    page.get_by_label("Essay").evaluate("field => field.value = 'typed'")
    matrix.evaluate("node => node.scrollLeft = 30")
    before = page.evaluate("[window.scrollY, document.querySelector('.matrix').scrollLeft]")
    for number in (1, 8):
        report(dag, planned, judge_a={"done": number, "refused": 12 * number, "per_second": 12.5}, judge_b={})
        expect(done).to_have_text(f"{number} of 16", timeout=8_000)
    expect(page.locator("[data-count=refused]")).to_have_text("96")
    expect(page.get_by_role("progressbar", name="Calls of judge-a")).to_have_attribute("aria-valuenow", "8")
    play(dag.call_planned, planned)
    expect(page.locator("[data-count=replied]")).to_have_text("16", timeout=8_000)
    expect(page.locator("td.s-replied")).to_have_count(8, timeout=8_000)
    play(dag.run_planned, planned)
    expect(page.locator("[data-count=scored]")).to_have_text("16", timeout=15_000)
    expect(page.locator("td.s-complete")).to_have_count(8, timeout=8_000)
    assert page.evaluate("document.activeElement === window.focused") is True
    assert page.locator(":focus").inner_text().startswith("● 2/2")
    assert page.get_by_label("Essay").input_value() == "typed"
    assert page.evaluate("[window.scrollY, document.querySelector('.matrix').scrollLeft]") == before


def test_a_screen_reader_hears_milestones(page: Page, dag: PlayedDag, planned: PlannedRun) -> None:
    """A new phase is announced politely, and a change within a tenth of the calls is not."""
    status = page.get_by_role("status")
    expect(status).to_have_text("")
    report(dag, planned, judge_a={"done": 1, "per_second": 1.0}, judge_b={})
    expect(status).to_have_text(
        "Judges are being called. 1 of 16 calls done, 1.0/s, about 15 s left, $0.0000 so far, 0 refused, 0 retried.",
        timeout=8_000,
    )
    report(dag, planned, judge_a={"done": 1, "retried": 1, "per_second": 1.0}, judge_b={})
    expect(page.locator("[data-count=retried]")).to_have_text("1", timeout=8_000)
    expect(status).to_contain_text("0 retried.")


def test_a_filter_that_is_being_filled_in_is_left_alone(page: Page, dag: PlayedDag, planned: PlannedRun) -> None:
    """While a field of the filter has the focus the progress goes on, and the matrix waits."""
    page.get_by_label("Essay").focus()
    play(dag.call_planned, planned)
    expect(page.locator("[data-count=replied]")).to_have_text("16", timeout=8_000)
    expect(page.locator("[data-count=calls_done]")).to_have_text("16 of 16", timeout=8_000)
    expect(page.get_by_label("Essay")).to_be_focused()
    expect(page.locator("td.s-replied")).to_have_count(0)
