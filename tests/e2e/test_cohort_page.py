"""Tests of the cohort pages inside a real Airflow in a real browser."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FrameLocator, expect

from tests.e2e.browser import Visitor, chromium
from tests.e2e.conftest import DAG_ID, PROJECT, Stage
from tests.pages.conftest import HOSTILE

# No other scenario of this suite uses these essays.
FIRST, HOSTILE_ESSAY, LAST = 901, 904, 906
CELL = f"cell?essay=e_essay{FIRST}&template=novelty&model=judge-a"
PAGES = {
    "list": "",
    "cohort": "c/page_main",
    "cell": f"c/page_main/{CELL}",
    "heat map": "c/page_main?colour=score&sort=disagreement&order=desc",
    "essays": "essays",
    "essays of a cohort": "c/page_main/essays?sort=disagreement&order=desc",
    "essay": f"essay/e_essay{HOSTILE_ESSAY}?cohort=page_main",
    "scores": "c/page_main/scores",
    "differences": "c/page_main/differences?template=novelty",
    "two templates": "c/page_main/differences?by=template",
    "compare": "compare?first=page_pilot&second=page_main",
    "plan": "plan?cohort=page_main",
    "spend": "spend?by=model",
    "problem": "c/nope",
}


@pytest.fixture(scope="module")
def cohorts(running_stage: Stage) -> Stage:
    """Run cohort `page_pilot` of two essays and `page_main` of six, with refused, failed and hostile ones."""
    stage = running_stage
    stage.judge.reset()
    essays = []
    for number in range(FIRST, LAST + 1):
        hostile = number == HOSTILE_ESSAY
        essays.append(stage.store.essay(number, f"{HOSTILE} Essay {number}.\n</pre>{HOSTILE}" if hostile else None))
    conf = {"essay_ids": essays[:2], "templates": ["novelty"], "replicates": 2}
    assert stage.trigger({**conf, "cohort_id": "page_pilot"}).state == "success"
    stage.judge.faults(
        {"fault": "garbage", "contains": "Essay number 902", "model": "example/judge-b"},
        {"fault": "status", "status": 422, "contains": "Essay number 903", "model": "example/judge-b"},
        {"fault": "reply", "content": f"{HOSTILE}\n</pre>{HOSTILE}\nSCORE: 4\n", "contains": "Essay 904."},
    )
    assert stage.trigger({"essay_ids": essays, "replicates": 2, "cohort_id": "page_main"}).state == "failed"
    stage.judge.faults()
    return stage


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start one browser for this file."""
    with chromium() as running:
        yield running


@pytest.fixture
def visitor(browser: Browser, cohorts: Stage) -> Iterator[Visitor]:
    """Return a logged-in visitor, and check at the end that no page had an error."""
    visitor = Visitor.logged_in(browser, cohorts.airflow)
    yield visitor
    visitor.leave()
    assert visitor.errors == []


def _inside(visitor: Visitor) -> FrameLocator:
    """Open Airflow's home page, then `Cohorts` in its navigation."""
    visitor.page.goto(f"{visitor.url}/")
    visitor.page.get_by_role("link", name="Cohorts", exact=True).click()
    return visitor.page.frame_locator("iframe")


def test_links_lead_from_the_navigation_to_the_log(visitor: Visitor, cohorts: Stage) -> None:
    """Links lead from the list over matrix, cell and evaluation to the log of the task that paid for the reply."""
    frame = _inside(visitor)
    expect(frame.get_by_role("heading", name="Cohorts")).to_be_visible()
    expect(frame.get_by_role("row", name="page_main").get_by_text("failed", exact=True)).to_be_visible()
    visitor.picture("list")
    frame.get_by_role("link", name="page_main", exact=True).click()
    expect(frame.get_by_role("heading", name="page_main")).to_be_visible()
    expect(frame.get_by_role("region", name="Coverage matrix")).to_contain_text("● 2/2")
    visitor.picture("cohort")
    row = frame.get_by_role("row", name=f"e_essay{FIRST}")
    row.get_by_role("link", name=re.compile("complete")).first.click()
    expect(frame.get_by_role("table")).to_contain_text("page_pilot")
    visitor.picture("cell")
    frame.get_by_role("table").get_by_role("link", name=re.compile("^v_")).first.click()
    expect(frame.get_by_text("The marked line decides the score.")).to_be_visible()
    expect(frame.locator("h1")).to_contain_text("novelty by judge-a, replicate 1")
    gen_id = frame.locator("main > p code").first.inner_text()
    visitor.picture("evaluation")
    frame.get_by_role("link", name="Log of the task that made it").click()
    visitor.page.wait_for_url(re.compile(rf"/dags/{DAG_ID}/runs/.+/tasks/evaluation\.evaluation_raw/mapped/\d+"))
    expect(visitor.page.get_by_text(re.compile(rf"{gen_id}: reply stored")).first).to_be_visible(timeout=20_000)
    visitor.picture("log")


def test_the_numbers_are_those_of_the_command_line(visitor: Visitor, cohorts: Stage) -> None:
    """The totals in the header equal those of `status --json` over the same data root."""
    command = [sys.executable, "-m", "essay_cohorts", "status", "page_main", "--json"]
    done = subprocess.run(
        [*command, "--data-root", str(cohorts.store.root)], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    cells = json.loads(done.stdout)["cells"]
    totals = {state: sum(cell[state] for cell in cells) for state in ("scored", "unscored", "failed", "no_reply")}
    page = visitor.see("c/page_main")
    shown = {each.get_attribute("data-count"): each.inner_text() for each in page.locator("[data-count]").all()}
    assert int(shown["scored"]) + int(shown["reused"]) == totals["scored"]
    assert [int(shown[name]) for name in ("unscored", "failed", "missing")] == [
        totals["unscored"],
        totals["failed"],
        totals["no_reply"],
    ]
    assert totals["unscored"] > 0
    assert totals["failed"] > 0


def test_the_log_of_a_deleted_run_is_not_linked(visitor: Visitor, cohorts: Stage) -> None:
    """If a run was deleted with its logs, the page says so and shows no link."""
    row = next(row for row in cohorts.store.rows("cohorts/page_main/scores.csv") if row["outcome"] == "scored")
    path = cohorts.store.root / "gens/evaluation" / row["gen_id"] / "raw_metadata.json"
    record = path.read_text()
    path.write_text(json.dumps({**json.loads(record), "run_id": "a deleted run"}))
    try:
        page = visitor.see(f"evaluation/{row['gen_id']}")
        expect(page.get_by_text("its run was deleted")).to_be_visible()
        expect(page.get_by_role("link", name="Log of the task that made it")).to_have_count(0)
    finally:
        path.write_text(record)


def test_two_cohorts_are_compared(visitor: Visitor) -> None:
    """The comparison opens from a cohort's page, where the visitor chooses the other cohort."""
    page = visitor.see("c/page_pilot")
    page.get_by_role("link", name="Compare", exact=True).last.click()
    page.get_by_label("Second").select_option("page_main")
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_text("8 in both")).to_be_visible()
    expect(page.get_by_text("40 joined: only in the second")).to_be_visible()
    expect(page.get_by_role("region", name="Differences by cell")).to_contain_text("+0.00")
    visitor.picture("compare")


def test_scores_are_downloaded(visitor: Visitor, cohorts: Stage, tmp_path: Path) -> None:
    """The CSV that is downloaded inside Airflow's frame equals scores.csv."""
    frame = _inside(visitor)
    frame.get_by_role("link", name="page_main", exact=True).click()
    frame.get_by_role("link", name="Scores").click()
    expect(frame.get_by_role("heading", name="Ranking of essays")).to_be_visible()
    visitor.picture("scores")
    with visitor.page.expect_download() as download:
        frame.get_by_role("link", name="CSV", exact=True).click()
    download.value.save_as(tmp_path / "scores.csv")
    rows = [line.split(",")[:6] for line in (tmp_path / "scores.csv").read_text("utf-8").splitlines()]
    assert rows == [line.split(",")[:6] for line in cohorts.cohort("page_main", "scores.csv").splitlines()]


def test_a_plan_is_shown_with_its_conf_and_its_command(visitor: Visitor, cohorts: Stage) -> None:
    """The page shows a dry run, copies the command and links to the DAG; no run is started."""
    runs = len(cohorts.airflow.api.dag_runs(DAG_ID))
    frame = _inside(visitor)
    frame.get_by_role("link", name="page_main", exact=True).click()
    frame.get_by_role("link", name="Plan again").click()
    expect(frame.locator(".totals")).to_contain_text("call")
    visitor.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    frame.get_by_role("button", name="Copy the command").click()
    expect(frame.get_by_role("button", name="Copied")).to_be_visible()
    command = visitor.page.evaluate("navigator.clipboard.readText()")
    assert f"airflow dags trigger {DAG_ID} --conf '" in command
    visitor.picture("plan")
    frame.get_by_role("link", name=f"Open the DAG {DAG_ID}").click()
    visitor.page.wait_for_url(f"{visitor.url}/dags/{DAG_ID}")
    assert len(cohorts.airflow.api.dag_runs(DAG_ID)) == runs


def test_a_running_cohort_updates_its_page(visitor: Visitor, cohorts: Stage) -> None:
    """The calls done, and then the scores, rise to the end of the run without a reload by the visitor."""
    cohorts.judge.faults({"fault": "latency", "seconds": 1.5})
    essays = [cohorts.store.essay(number) for number in range(911, 915)]
    conf = {"cohort_id": "page_moving", "essay_ids": essays, "templates": ["novelty"], "max_concurrency": 2}
    run_id = cohorts.airflow.api.trigger(DAG_ID, {**conf, "replicates": 1})
    membership = cohorts.store.root / "cohorts" / "page_moving" / "membership.csv"
    for _ in range(200):
        if membership.exists():
            break
        visitor.page.wait_for_timeout(100)
    page = visitor.see("c/page_moving")
    page.evaluate("window.untouched = true")
    expect(page.locator("[data-count=calls_done]")).to_have_text(re.compile("[1-7] of 8"), timeout=60_000)
    expect(page.locator("#run .state")).to_have_text("running")
    visitor.picture("progress")
    assert visitor.overflow() == 0
    assert visitor.violations() == []
    expect(page.locator("[data-count=scored]")).to_have_text("8", timeout=60_000)
    assert page.evaluate("window.untouched") is True
    assert cohorts.wait(run_id).state == "success"
    cohorts.judge.faults()


def test_a_hostile_essay_and_a_hostile_reply_execute_nothing(visitor: Visitor, cohorts: Stage) -> None:
    """No page that shows the hostile texts runs their scripts, neither inside Airflow's frame nor outside."""
    gen_id = next(
        row["gen_id"]
        for row in cohorts.store.rows("cohorts/page_main/scores.csv")
        if row["parent_gen_id"] == f"e_essay{HOSTILE_ESSAY}"
    )
    cell = f"c/page_main/cell?essay=e_essay{HOSTILE_ESSAY}&template=novelty&model=judge-a"
    for path in (f"evaluation/{gen_id}?cohort=page_main", cell, *PAGES.values()):
        page = visitor.see(path)
        assert page.evaluate("window.hacked") is None
        assert page.locator('img:not([src*="/figures/"])').count() == 0
    visitor.see(f"evaluation/{gen_id}?cohort=page_main")
    assert visitor.page.get_by_text("<script>window.hacked = 1</script>").count() >= 3
    visitor.page.goto(f"{visitor.url}/plugin/cohorts/cohorts/evaluation/{gen_id}")
    expect(visitor.page.frame_locator("iframe").get_by_text("The marked line decides")).to_be_visible()
    assert visitor.page.evaluate("window.hacked") is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_the_pages_fit_and_are_accessible(browser: Browser, cohorts: Stage, width: int, scheme: str) -> None:
    """No page is wider than the window, dark pages are dark, and axe-core finds nothing serious."""
    visitor = Visitor.logged_in(browser, cohorts.airflow, color_scheme=scheme)
    visitor.page.set_viewport_size({"width": width, "height": 900})
    for name, path in PAGES.items():
        page = visitor.see(path)
        visitor.picture(f"{name}_{width}_{scheme}")
        assert visitor.overflow() == 0, name
        red = int(re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).backgroundColor"))[0])
        assert (red < 60) == (scheme == "dark"), name
        assert visitor.violations() == [], name
    visitor.leave()
    assert visitor.errors == []


def test_dark_follows_airflow(visitor: Visitor) -> None:
    """Inside Airflow the pages have Airflow's theme and change with it."""
    frame = _inside(visitor)
    body = frame.locator("body")
    expect(body).to_have_css("background-color", "rgb(255, 255, 255)")
    visitor.page.evaluate("document.documentElement.classList.replace('light', 'dark')")
    expect(body).to_have_css("background-color", "rgb(17, 17, 19)")


def test_the_keyboard_is_enough(visitor: Visitor) -> None:
    """A visitor without a mouse can skip the navigation with one key and open a cell."""
    page = visitor.see("c/page_main")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    link = page.get_by_role("region", name="Coverage matrix").get_by_role("link", name=re.compile("complete")).first
    for _ in range(80):
        page.keyboard.press("Tab")
        if link.evaluate("node => node === document.activeElement"):
            break
    expect(link).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/cell"))
