"""The pages by themselves: what they show, what they refuse, and that they only read."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from essay_cohorts.domain import Action, Member, Outcome, ScoreRow, Stage
from essay_cohorts.errors import StoreError
from essay_cohorts.reparsing.reparse import reparse
from essay_cohorts.reparsing.rules import ReparseRequest
from essay_cohorts.settings import Settings
from essay_cohorts.views.account import NO_ACCOUNT
from essay_cohorts.views.coverage import summarise_cells
from essay_cohorts.views.snapshot import CohortSnapshot
from essay_cohorts.views.snapshot_cache import SnapshotCache
from essay_cohorts.views.status import cohort_status
from tests.conftest import PlayedDag, task_ref
from tests.judge_server import JudgeServer
from tests.pages.conftest import HOSTILE, PROJECT
from tests.store_builder import StoreBuilder

if TYPE_CHECKING:
    from starlette.testclient import TestClient

ESSAYS = ["e_essay1", "e_essay2", "e_essay3", "e_essay4"]
CELL = {"essay": "e_essay1", "template": "novelty", "model": "judge-a"}


@pytest.fixture
def main(played: PlayedDag, judge_server: JudgeServer) -> PlayedDag:
    """Cohort `main`: novelty of 1 and 2 reused, coherence of 2 refused, 3 fails at judge-b, 4 is hostile."""
    judge_server.faults(
        {"fault": "garbage", "contains": "Essay number 2", "model": "example/judge-a"},
        {"fault": "status", "status": 422, "contains": "Essay number 3", "model": "example/judge-b"},
        {"fault": "reply", "content": f"{HOSTILE}\n</pre>{HOSTILE}\nSCORE: 4\n", "contains": "Essay 4."},
    )
    played.run({"cohort_id": "main", "essay_ids": ESSAYS}, run_id="run-main")
    judge_server.faults()
    return played


def _counts(html: str) -> dict[str, str]:
    return dict(re.findall(r'data-count="(\w+)">([^<]*)<', html))


def test_the_totals_are_those_of_status_of_the_csv_and_of_the_store(
    pages: TestClient, main: PlayedDag, store: StoreBuilder
) -> None:
    """Each number of the header is counted again from three other places."""
    shown = {name: int(value) for name, value in _counts(pages.get("/c/main").text).items() if value.isdigit()}
    written = [row["outcome"] for row in store.rows("cohorts/main/scores.csv")]
    told = cohort_status(main.settings, "main")
    cells = told.cells
    standing = {state.value: sum(cell.counts[state] for cell in cells) for state in cells[0].counts}
    on_disk = [
        gen_id
        for gen_id in (row["gen_id"] for row in store.rows("cohorts/main/scores.csv"))
        if (store.root / f"gens/evaluation/{gen_id}/parsed.txt").exists()
    ]
    assert shown["members"] == len(written) == 64
    assert (shown["made_here"], shown["made_elsewhere"]) == (told.account.made_here, told.account.made_elsewhere)
    assert shown["made_here"] > 0 < shown["made_elsewhere"]
    assert shown["made_here"] + shown["made_elsewhere"] == standing["scored"]
    assert shown["called"] == told.account.last_run.calls > 0
    assert shown["reused"] + shown["scored"] == standing["scored"] == len(on_disk)
    for outcome in ("reused", "scored", "unscored", "failed"):
        assert shown[outcome] == written.count(outcome) > 0, outcome
    assert shown["unscored"] == standing["unscored"]
    assert shown["failed"] == standing["failed"]
    assert shown["missing"] == standing["no_reply"] == 0


def test_downloads_are_the_cohorts_scores(pages: TestClient, main: PlayedDag, store: StoreBuilder) -> None:
    """The CSV is scores.csv, the JSONL holds the same rows with their types."""
    downloaded = pages.get("/c/main/scores.csv")
    assert downloaded.text.splitlines()[0] == store.read("cohorts/main/scores.csv").splitlines()[0]
    rows = list(csv.DictReader(io.StringIO(downloaded.text, newline="")))
    told = ("gen_id", "outcome", "score", "origin_cohort_id", "replicate")
    assert [[row[name] for name in told] for row in rows] == [
        [row[name] for name in told] for row in store.rows("cohorts/main/scores.csv")
    ]
    assert 'filename="main-scores.csv"' in downloaded.headers["content-disposition"]
    lines = [json.loads(line) for line in pages.get("/c/main/scores.jsonl").text.splitlines()]
    assert [line["gen_id"] for line in lines] == [row["gen_id"] for row in rows]
    assert [line["score"] for line in lines] == [float(row["score"]) if row["score"] else None for row in rows]


def test_figures_stand_with_their_intervals_and_counts(pages: TestClient, main: PlayedDag) -> None:
    """Scores and Compare tell scored / planned, and where there are too few essays for an interval, why."""
    why = {"/c/main/scores": "too few essays", "/compare?first=pilot&second=main": "all essays have the same value"}
    for path, reason in why.items():
        page = " ".join(pages.get(path).text.split())
        assert "95 % interval" in page
        assert "2,000 resamples, seed 20260101" in page
        assert reason in page
        assert re.search(r">\d+ / \d+<", page)
        assert "nan" not in re.sub(r"<[^>]*>", "", page).lower().split()
    assert "Mean difference" in pages.get("/compare?first=pilot&second=main").text


def test_the_pivot_can_be_downloaded(pages: TestClient, main: PlayedDag, store: StoreBuilder) -> None:
    """It is the score_pivot.csv that the run wrote."""
    downloaded = pages.get("/c/main/score_pivot.csv")
    assert downloaded.text.splitlines()[0] == store.read("cohorts/main/score_pivot.csv").splitlines()[0]
    assert 'filename="main-score-pivot.csv"' in downloaded.headers["content-disposition"]


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
    "/c/main/scores.csv",
    "/c/main/scores.jsonl",
    "/c/main/score_pivot.csv",
    "/compare",
    "/compare?first=pilot&second=main",
    "/plan",
    "/plan?cohort=main",
    "/plan?show=1&essay_ids=e_essay4&existing=no&templates=novelty&replicates=2",
    "/static/cohorts.css",
    "/static/cohorts.js",
]


def test_no_page_writes(pages: TestClient, main: PlayedDag, store: StoreBuilder) -> None:
    """Every page is shown, and not a byte below the data root differs afterwards."""
    before = store.tree_hash()
    for path in PAGES:
        assert pages.get(path).status_code == 200, path
    assert store.tree_hash() == before


def test_every_route_only_reads() -> None:
    """No route takes anything but GET, and each stands in the table above or is told apart here."""
    from essay_cohorts_airflow.pages.routes import router

    routes: list[Any] = list(router.routes)
    assert {method for route in routes for method in route.methods} == {"GET"}
    looked_at = {path.split("?")[0] for path in PAGES}
    elsewhere = {"/evaluation/{gen_id}", "/{rest:path}"}
    for route in routes:
        if route.path not in elsewhere:
            assert any(route.path_regex.match(path) for path in looked_at), route.path


@pytest.mark.parametrize("path", [*PAGES, "/c/nope", "/nothing/here"])
def test_a_browser_is_told_to_load_nothing_from_elsewhere(pages: TestClient, main: PlayedDag, path: str) -> None:
    """The policy allows no inline script, and no page has one."""
    answer = pages.get(path)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    if answer.headers["content-type"].startswith("text/html"):
        assert not re.search(r"<script(?![^>]*\bsrc=)|<[a-z][^>]*\s(?:on\w+|style)=", answer.text)
        assert not re.search(r'(?:src|href|action)="(?:https?:)?//', answer.text)


def test_hostile_texts_stay_texts(pages: TestClient, main: PlayedDag, store: StoreBuilder) -> None:
    """An essay and a reply that are HTML appear as they were written, and as nothing else."""
    gen_id = next(r["gen_id"] for r in store.rows("cohorts/main/scores.csv") if r["parent_gen_id"] == "e_essay4")
    for path in (
        f"/evaluation/{gen_id}?cohort=main",
        "/c/main",
        "/c/main/scores",
        "/compare?first=pilot&second=main",
    ):
        html = pages.get(path).text
        assert "<img" not in html
        assert "<script>" not in html
    shown = pages.get(f"/evaluation/{gen_id}?cohort=main").text
    assert shown.count("&lt;script&gt;window.hacked") >= 3
    assert "<mark>SCORE: 4</mark>" in shown


def test_an_evaluation_shows_the_verdicts_that_were_replaced(pages: TestClient, store: StoreBuilder) -> None:
    """Scored again with another result: the former score and its record stand in its history, readable."""
    verdict = {"parser_name": "in_last_line", "parser_version": "0", "success": True, "score": 3.0, "reason": "older"}
    store.evaluation("v_again", "e_essay1", score=3.0, reply="SCORE: 6")
    store.json("gens/evaluation/v_again/parsed_metadata.json", verdict)
    reparse(Settings(data_root=store.root), ReparseRequest(write=True), task_ref("run-r", "reparse", 1))
    html = pages.get("/evaluation/v_again").text
    history = html.split("<h2>History</h2>")[1]
    assert re.findall(r"<summary>([^<]*)<", history) == ["parsed.1.txt", "parsed_metadata.1.json"]
    assert ">3.0\n<" in history
    assert "older" in history
    assert re.search(r"<b>6(\.0+)?</b>score", html)


def test_an_evaluation_leads_to_the_log_of_the_task_that_made_it(pages: TestClient, main: PlayedDag) -> None:
    """Reused ones, too: the link names the run of the cohort that paid."""
    html = pages.get("/c/main/cell", params=CELL).text
    logs = re.findall(r'data-airflow data-log-of="[^"]+" href="([^"]+)">log<', html)
    assert len(logs) == 4
    for log in logs:
        assert re.fullmatch(
            r"/dags/evaluation_backfill/runs/run-pilot/tasks/evaluation\.evaluation_raw/mapped/\d\?try_number=1", log
        )
    assert html.count("pilot</td>") == 4


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        pytest.param("/c/nope", 404, "there is no cohort nope", id="unknown-cohort"),
        pytest.param("/c/%2e%2e%2fetc", 404, "There is no page", id="escaped-slash"),
        pytest.param("/c/.hidden", 404, "cannot be an id", id="no-id"),
        pytest.param("/evaluation/.x", 404, "cannot be an id", id="evaluation-no-id"),
        pytest.param("/evaluation/v_none", 404, "there is no evaluation v_none", id="unknown-evaluation"),
        pytest.param("/c/main/cell?essay=x", 404, "has no cell of essay", id="unknown-cell"),
        pytest.param("/compare?first=main&second=%3Cb%3E", 404, "cannot be an id", id="compare-no-id"),
        pytest.param("/static/app.py", 404, "There is no file app.py", id="no-static-file"),
        pytest.param("/static/..%2fapp.py", 404, "There is no page", id="static-outside"),
        pytest.param("/nothing", 404, "There is no page", id="no-page"),
    ],
)
def test_what_is_not_there_is_said(pages: TestClient, main: PlayedDag, path: str, status: int, told: str) -> None:
    """A sentence and a way on, never a traceback."""
    answer = pages.get(path)
    assert answer.status_code == status
    assert told in re.sub(r"&#39;|&lt;|&gt;", "'", answer.text)
    assert "Traceback" not in answer.text


def test_details_of_an_unforeseen_error_go_to_the_log(
    pages: TestClient, main: PlayedDag, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The page says where to look; the log has the error."""
    from essay_cohorts_airflow.pages import routes

    def broken(settings: Settings, cohort_id: str) -> CohortSnapshot:
        msg = "secret detail"
        raise ZeroDivisionError(msg)

    monkeypatch.setattr(routes, "snapshots", SnapshotCache(read=broken))
    answer = pages.get("/c/main")
    assert answer.status_code == 500
    assert "The log of Airflow&#39;s API server says why" in answer.text
    assert "secret detail" not in answer.text
    assert "default-src" in answer.headers["content-security-policy"]
    assert "secret detail" in caplog.text


def test_a_damaged_cohort_does_not_hide_the_others(pages: TestClient, main: PlayedDag, store: StoreBuilder) -> None:
    """Its row says what is wrong with it."""
    store.write("cohorts/torn/membership.csv", "no header\n")
    html = pages.get("/").text
    assert "cohorts/torn/membership.csv:1: its header is not" in html
    assert html.count("State of ") == 2


@pytest.mark.parametrize(
    ("query", "names"),
    [
        pytest.param("", ["main", "pilot"], id="newest-first"),
        pytest.param("?order=asc", ["pilot", "main"], id="oldest-first"),
        pytest.param("?sort=name&order=asc", ["main", "pilot"], id="by-name"),
        pytest.param("?sort=members", ["main", "pilot"], id="most-members"),
        pytest.param("?sort=members&order=asc", ["pilot", "main"], id="fewest-members"),
        pytest.param("?text=PIL", ["pilot"], id="search"),
        pytest.param("?text=zzz", [], id="nothing-found"),
        pytest.param("?sort=nonsense&page=999999", ["main", "pilot"], id="odd-query"),
    ],
)
def test_the_list_is_searched_and_sorted(
    pages: TestClient, main: PlayedDag, store: StoreBuilder, query: str, names: list[str]
) -> None:
    """The rows in their order."""
    for name, created in (("pilot", "2026-01-01T00:00:00+00:00"), ("main", "2026-02-01T00:00:00+00:00")):
        manifest = json.loads(store.read(f"cohorts/{name}/manifest.json"))
        store.json(f"cohorts/{name}/manifest.json", {**manifest, "created_at": created})
    assert re.findall(r'<tr><th scope="row"><a href="/c/(\w+)">', pages.get(f"/{query}").text) == names


def test_the_plan_is_the_dry_run_and_its_conf_starts_it(pages: TestClient, main: PlayedDag) -> None:
    """What the page counts is what a plan with the shown conf counts, and the command carries that conf."""
    html = pages.get("/plan?show=1&essay_ids=e_essay3%0Ae_essay4&models=judge-a&replicates=5&cohort_id=next").text
    command = re.search(r"airflow dags trigger[^<]+", html)
    assert command is not None
    words = shlex.split(command.group().replace("&#39;", "'").replace("&#34;", '"'))
    conf = json.loads(words[-1])
    assert words[:-1] == ["airflow", "dags", "trigger", "evaluation_backfill", "--conf"]
    assert conf == {
        "cohort_id": "next",
        "essay_ids": ["e_essay3", "e_essay4"],
        "models": ["judge-a"],
        "replicates": 5,
    }
    planned = main.plan({**conf, "dry_run": True})
    shown = {name: count for count, name in re.findall(r"<li><b>([\d,]+)</b>(\w+)", html)}
    for action in ("reuse", "parse", "call", "unscored"):
        assert shown[action] == str(planned.count(Action(action)))


def test_a_plan_that_cannot_be_made_names_every_problem(pages: TestClient, main: PlayedDag) -> None:
    """All at once, as the command line has them."""
    html = pages.get("/plan?show=1&essay_ids=e_nope%20e_gone&models=judg-a&replicates=many").text
    for told in ("e_nope", "e_gone", "judg-a", "many", "judge-a"):
        assert told in html
    assert "It cannot be planned" in html


def test_a_matrix_of_100_000_cells_is_sent_in_less_than_300_kb(
    pages: TestClient, main: PlayedDag, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first view of it, not even compressed."""
    from essay_cohorts_airflow.pages import routes

    def row(number: int) -> ScoreRow:
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

    rows = tuple(row(number) for number in range(100_000))
    large = replace(
        SnapshotCache().get(main.settings, "main"),
        cohort_id="large",
        rows=rows,
        cells=summarise_cells(rows),
        counts={**dict.fromkeys(Outcome, 0), Outcome.SCORED: len(rows)},
        account=NO_ACCOUNT,
    )
    monkeypatch.setattr(routes, "snapshots", SnapshotCache(read=lambda settings, cohort_id: large))
    answer = pages.get("/c/large", headers={"Accept-Encoding": "gzip"})
    assert len(large.cells) == 100_000
    assert "25,000 essays" in answer.text
    assert len(answer.content) < 300_000
    assert int(answer.headers["content-length"]) < 60_000


def test_a_store_that_cannot_be_read_is_told_without_its_traceback(
    pages: TestClient, main: PlayedDag, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence that was written to be read."""
    from essay_cohorts_airflow.pages import routes

    def damaged(settings: Settings, cohort_id: str) -> CohortSnapshot:
        msg = "runs/x/plan.csv is damaged. Clear the whole run."
        raise StoreError(msg)

    monkeypatch.setattr(routes, "snapshots", SnapshotCache(read=damaged))
    answer = pages.get("/c/main")
    assert answer.status_code == 500
    assert "plan.csv is damaged. Clear the whole run." in answer.text


def test_the_plugin_costs_no_process_a_web_framework() -> None:
    """Airflow imports it in each task's process: what a page needs is imported when one is asked for."""
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
