"""The time until a browser paints the cohort pages, with a real Airflow, headless Chromium and a generated store."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import track

from benchmarks.figures import Figure
from benchmarks.page_cohorts import CohortWriter
from benchmarks.scheduler_runs import PROJECT
from benchmarks.stores import Grid, generate_store
from devtools.local_airflow.service import LocalAirflow

if TYPE_CHECKING:
    from playwright.sync_api import Page

GRID = Grid(
    templates=("novelty", "coherence", "evidence", "style", "depth"),
    models=("judge-a", "judge-b", "judge-c", "judge-d"),
    replicates=1,
    scored=0.9,
)
LISTED_ESSAYS = 2
# Limits for cohorts and lists of any size: seconds until the first paint, and kB of compressed HTML.
_MATRIX_S, _LIST_S, _HTML_KB = 2.0, 1.0, 300.0
# The pages cache the snapshot of a small cohort for 1 s.
_CACHE_EXPIRED_S = 1.5
_PAINT_MS = """new Promise(done => new PerformanceObserver(seen => {
    for (const paint of seen.getEntriesByName("first-contentful-paint")) done(paint.startTime);
}).observe({type: "paint", buffered: true}))"""


@dataclass(frozen=True, kw_only=True)
class Visit:
    """Seconds from the start of a navigation to the first contentful paint and to the content, and the page's kB."""

    paint_s: float
    shown_s: float
    html_kb: float


def measure_pages(cells: int, cohorts: int, runs: int) -> list[Figure]:
    """Measure the paints of the list of `cohorts` cohorts and of a matrix of `cells` cells, cold and once more."""
    # Only this benchmark needs a browser; without a browser it fails before anything is written.
    from tests.e2e.browser import Visitor, chromium

    with chromium() as browser, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = generate_store(folder / "data", evaluations=cells, grid=GRID)
        writer = CohortWriter.of(store, GRID)
        for number in range(cohorts):
            first = number * LISTED_ESSAYS % len(store.judged)
            essays = store.judged[first : first + LISTED_ESSAYS]
            writer.write(f"listed-{number:03d}", essays, f"2026-01-01T00:{number // 60:02d}:{number % 60:02d}+00:00")
        environment = {"DD_DATA_ROOT": str(store.root)}
        with LocalAirflow(home=folder / "airflow", project=PROJECT, environment=environment, port=0) as airflow:
            page, home = Visitor.logged_in(browser, airflow).page, f"{airflow.url}/cohorts/"
            listed = [_list_visits(page, home) for _ in track(range(runs), description="visit the list")]
            # The list is measured first, because it would read the manifests of these cohorts.
            shown = [
                _matrix_visits(page, home, writer, store.judged, number)
                for number in track(range(runs), description="visit the matrix")
            ]
    return [
        *_figures(f"page of a cohort, {cells:,} cells", shown, _MATRIX_S),
        *_figures(f"list of {cohorts:,} cohorts, {LISTED_ESSAYS * GRID.per_essay} evaluations each", listed, _LIST_S),
    ]


def _figures(name: str, visits: Sequence[tuple[Visit, Visit]], limit_s: float) -> list[Figure]:
    cold, warm = ([pair[place] for pair in visits] for place in (0, 1))
    again = {"visited again": [visit.paint_s for visit in warm]}
    first = [visit.paint_s for visit in cold]
    return [
        Figure(name=f"{name}: first paint", unit="s", runs=first, limit=limit_s, others=again),
        Figure(name=f"{name}: shown", unit="s", runs=[visit.shown_s for visit in cold], limit=None, others={}),
        Figure(name=f"{name}: HTML", unit="kB", runs=[visit.html_kb for visit in cold], limit=_HTML_KB, others={}),
    ]


def _matrix_visits(
    page: Page, home: str, writer: CohortWriter, essays: Sequence[str], number: int
) -> tuple[Visit, Visit]:
    """Visit a new cohort twice."""
    cohort_id = f"matrix-{number}"
    writer.write(cohort_id, essays)
    return _visit(page, f"{home}c/{cohort_id}"), _visit(page, f"{home}c/{cohort_id}")


def _list_visits(page: Page, home: str) -> tuple[Visit, Visit]:
    time.sleep(_CACHE_EXPIRED_S)
    return _visit(page, home), _visit(page, home)


def _visit(page: Page, url: str) -> Visit:
    began = time.monotonic()
    reply = page.goto(url)
    if reply is None or not reply.ok:
        msg = f"{url} answered {reply.status if reply else 'nothing'}"
        raise RuntimeError(msg)
    paint_ms = page.evaluate(_PAINT_MS)
    # The first answer for a large cohort only says that the cohort is being read.
    page.wait_for_selector("main table")
    shown_s = time.monotonic() - began
    size = page.evaluate("performance.getEntriesByType('navigation')[0].transferSize")
    return Visit(paint_s=paint_ms / 1e3, shown_s=shown_s, html_kb=size / 1e3)
