"""What the pages refuse, and what they never do: write, load from elsewhere, run a text, show a traceback."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from essay_cohorts.domain import Member, Outcome, ScoreRow, Stage
from essay_cohorts.errors import StoreError
from essay_cohorts.settings import Settings
from essay_cohorts.views.account import NO_ACCOUNT
from essay_cohorts.views.coverage import summarise_cells
from essay_cohorts.views.snapshot import CohortSnapshot
from essay_cohorts.views.snapshot_cache import SnapshotCache
from tests.conftest import PlayedDag
from tests.pages.conftest import PROJECT
from tests.store_builder import StoreBuilder

if TYPE_CHECKING:
    from starlette.testclient import TestClient

PAGES = [
    "/",
    "/?text=mai&sort=missing&order=asc",
    "/c/main",
    "/c/main?template=novelty&model=judge-a&state=unscored&text=essay&sort=score&order=desc&column=0",
    "/c/main/progress",
    "/c/main/cell?essay=e_essay1&template=novelty&model=judge-a",
    "/c/main/cell?essay=e_essay3&template=novelty&model=judge-b",
    "/c/main/scores",
    "/c/main/scores?template=coherence",
    "/c/main?colour=score&sort=disagreement&order=desc",
    "/c/main/essays",
    "/c/main/essays?template=novelty&sort=disagreement&order=desc&text=essay",
    "/c/main/differences",
    "/c/main/differences?by=template&first=coherence&second=novelty&order=gains",
    "/c/main/figures/means-by-judge.svg",
    "/c/main/figures/means-by-judge.svg?on=page&width=narrow&theme=dark",
    "/c/main/figures/distribution.png?template=novelty",
    "/c/main/figures/scatter.svg?template=coherence&first=judge-a&second=judge-b",
    "/essays",
    "/essays?text=hacked&sort=words",
    "/essay/e_essay4",
    "/essay/e_essay1?cohort=main",
    "/c/main/scores.csv",
    "/c/main/scores.jsonl",
    "/c/main/score_pivot.csv",
    "/c/main/criteria.csv",
    "/run/evaluation_backfill/run-main",
    "/compare",
    "/compare?first=pilot&second=main",
    "/spend",
    "/spend?by=run&since=2026-01-01",
    "/plan",
    "/plan?cohort=main",
    "/plan/essays?text=essay",
    "/plan?show=1&essay_ids=e_essay4&existing=no&templates=novelty&replicates=2",
    "/static/cohorts.css",
    "/static/cohorts.js",
    "/static/plan.js",
    "/static/essay_picker.js",
    "/static/progress.js",
]


def test_no_page_writes(pages: TestClient, main: PlayedDag, store: StoreBuilder) -> None:
    """Every page answers 200, and no byte below the data root has changed afterwards."""
    before = store.tree_hash()
    for path in PAGES:
        assert pages.get(path).status_code == 200, path
    assert store.tree_hash() == before


def test_every_route_only_reads() -> None:
    """Every route accepts only GET, and a path of PAGES covers each route but the two named here."""
    from essay_cohorts_airflow.pages.routes import router

    routes: list[Any] = list(router.routes)
    assert {method for route in routes for method in route.methods} == {"GET"}
    requested = {path.split("?")[0] for path in PAGES}
    elsewhere = {"/evaluation/{gen_id}", "/{rest:path}"}
    for route in routes:
        if route.path not in elsewhere:
            assert any(route.path_regex.match(path) for path in requested), route.path


@pytest.mark.parametrize("path", [*PAGES, "/c/nope", "/nothing/here"])
def test_a_browser_must_load_nothing_from_elsewhere(pages: TestClient, main: PlayedDag, path: str) -> None:
    """The policy allows no inline script, and no page has one."""
    answer = pages.get(path)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy or "/figures/" in path
    assert "unsafe" not in policy or "/figures/" in path
    if answer.headers["content-type"].startswith("text/html"):
        assert not re.search(r"<script(?![^>]*\bsrc=)|<[a-z][^>]*\s(?:on\w+|style)=", answer.text)
        assert not re.search(r'(?:src|href|action)="(?:https?:)?//', answer.text)


def test_hostile_texts_stay_texts(pages: TestClient, main: PlayedDag, store: StoreBuilder) -> None:
    """An essay and a reply that are HTML are shown as text and never run."""
    gen_id = next(r["gen_id"] for r in store.rows("cohorts/main/scores.csv") if r["parent_gen_id"] == "e_essay4")
    for path in (
        f"/evaluation/{gen_id}?cohort=main",
        "/c/main",
        "/c/main/scores",
        "/c/main/essays",
        "/c/main/differences",
        "/essays",
        "/essay/e_essay4?cohort=main",
        "/compare?first=pilot&second=main",
    ):
        html = pages.get(path).text
        assert "<img src=x" not in html
        assert "<script>" not in html
    shown = pages.get(f"/evaluation/{gen_id}?cohort=main").text
    assert shown.count("&lt;script&gt;window.hacked") >= 3
    assert "<mark>SCORE: 4</mark>" in shown


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        pytest.param("/c/nope", 404, "there is no cohort nope", id="unknown-cohort"),
        pytest.param("/c/%2e%2e%2fetc", 404, "There is no page", id="escaped-slash"),
        pytest.param("/c/.hidden", 404, "is not a valid id", id="no-id"),
        pytest.param("/evaluation/.x", 404, "is not a valid id", id="evaluation-no-id"),
        pytest.param("/evaluation/v_none", 404, "there is no evaluation v_none", id="unknown-evaluation"),
        pytest.param("/c/main/cell?essay=x", 404, "has no cell of essay", id="unknown-cell"),
        pytest.param("/compare?first=main&second=%3Cb%3E", 404, "is not a valid id", id="compare-no-id"),
        pytest.param("/essay/e_none", 404, "there is no essay e_none", id="unknown-essay"),
        pytest.param("/essay/.x", 404, "is not a valid id", id="essay-no-id"),
        pytest.param("/c/main/figures/pie.svg", 404, "There is no figure pie.svg", id="unknown-figure"),
        pytest.param("/c/main/figures/ranking.gif", 404, "There is no figure", id="unknown-form"),
        pytest.param(
            "/c/main/figures/ranking.svg?template=no", 404, "has no scores for the figure ranking", id="no-scores"
        ),
        pytest.param("/static/app.py", 404, "There is no file app.py", id="no-static-file"),
        pytest.param("/static/..%2fapp.py", 404, "There is no page", id="static-outside"),
        pytest.param("/run/evaluation_backfill/x", 404, "The run x has no cohort here", id="run-without-a-cohort"),
        pytest.param("/run/other/run-main", 404, "this is a run of other", id="run-of-another-dag"),
        pytest.param("/nothing", 404, "There is no page", id="no-page"),
    ],
)
def test_a_page_that_does_not_exist_says_so(
    pages: TestClient, main: PlayedDag, path: str, status: int, message: str
) -> None:
    """The answer is a page with one sentence, never a traceback."""
    answer = pages.get(path)
    assert answer.status_code == status
    assert message in re.sub(r"&#39;|&lt;|&gt;", "'", answer.text)
    assert "Traceback" not in answer.text


def test_details_of_an_unforeseen_error_go_to_the_log(
    pages: TestClient, main: PlayedDag, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The page names the log, and only the log has the error."""

    def broken(settings: Settings, cohort_id: str) -> CohortSnapshot:
        msg = "secret detail"
        raise ZeroDivisionError(msg)

    from essay_cohorts_airflow.pages import shown_cohorts

    monkeypatch.setattr(shown_cohorts, "snapshots", SnapshotCache(read=broken))
    answer = pages.get("/c/main")
    assert answer.status_code == 500
    assert "The log of Airflow&#39;s API server says why" in answer.text
    assert "secret detail" not in answer.text
    assert "default-src" in answer.headers["content-security-policy"]
    assert "secret detail" in caplog.text


def test_a_damaged_cohort_does_not_hide_the_others(pages: TestClient, main: PlayedDag, store: StoreBuilder) -> None:
    """The row of a damaged cohort says what is wrong, and the other cohorts are listed as usual."""
    store.write("cohorts/torn/membership.csv", "no header\n")
    html = pages.get("/").text
    assert "cohorts/torn/membership.csv:1: its header is not" in html
    assert html.count("State of ") == 2


def _row(number: int) -> ScoreRow:
    """Return row `number` of cohort `large`, with four cells per essay."""
    member = Member(
        stage=Stage.EVALUATION,
        gen_id=f"v_{number:016d}",
        cohort_id="large",
        parent_gen_id=f"e_{number // 4:016d}",
        combo_id="combo",
        template_id=f"a-rather-long-template-name-{number % 2}",
        llm_model_id=f"vendor/quite-a-long-model-name-{number // 2 % 2}",
        replicate=1,
    )
    return ScoreRow(
        member=member,
        outcome=Outcome.SCORED,
        score=number % 90 / 10,
        reason="",
        origin_cohort_id="large",
        cost_usd=None,
        called=False,
    )


def test_a_matrix_of_100_000_cells_is_sent_in_less_than_300_kb(
    pages: TestClient, main: PlayedDag, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first page of a large matrix is small, even uncompressed."""
    rows = tuple(_row(number) for number in range(100_000))
    large = replace(
        SnapshotCache().get(main.settings, "main"),
        cohort_id="large",
        rows=rows,
        cells=summarise_cells(rows),
        counts={**dict.fromkeys(Outcome, 0), Outcome.SCORED: len(rows)},
        account=NO_ACCOUNT,
    )
    from essay_cohorts_airflow.pages import shown_cohorts

    monkeypatch.setattr(shown_cohorts, "snapshots", SnapshotCache(read=lambda settings, cohort_id: large))
    answer = pages.get("/c/large", headers={"Accept-Encoding": "gzip"})
    assert len(large.cells) == 100_000
    assert "25,000 essays" in answer.text
    assert len(answer.content) < 300_000
    assert int(answer.headers["content-length"]) < 70_000


def test_a_damaged_store_is_reported_without_a_traceback(
    pages: TestClient, main: PlayedDag, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page shows the message of the error, which is written for people."""

    def damaged(settings: Settings, cohort_id: str) -> CohortSnapshot:
        msg = "runs/x/plan.csv is damaged. Clear the whole run."
        raise StoreError(msg)

    from essay_cohorts_airflow.pages import shown_cohorts

    monkeypatch.setattr(shown_cohorts, "snapshots", SnapshotCache(read=damaged))
    answer = pages.get("/c/main")
    assert answer.status_code == 500
    assert "plan.csv is damaged. Clear the whole run." in answer.text


def test_importing_the_plugin_imports_no_web_framework() -> None:
    """Each task's process imports the plugin, so the modules of the pages are imported at the first request only."""
    script = (
        "import sys; import airflow.sdk; before = set(sys.modules); import essay_cohorts_airflow.plugin; "
        "print(sorted({name.split('.')[0] for name in set(sys.modules) - before}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PATH": "", "PYTHONPATH": str(PROJECT / "include"), "AIRFLOW_HOME": "/nonexistent/airflow"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    loaded = done.stdout.splitlines()[-1]
    for heavy in ("fastapi", "starlette", "pandas", "cachetools", "openai", "'essay_cohorts'"):
        assert heavy not in loaded
