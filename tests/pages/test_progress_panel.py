"""The totals and the progress of a run on the cohort's page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from essay_cohorts.planning.planned_run import PlannedRun
from tests.conftest import PlayedDag
from tests.pages.conftest import ESSAYS
from tests.pages.run_progress import report

if TYPE_CHECKING:
    from starlette.testclient import TestClient

CONF: dict[str, Any] = {"cohort_id": "main", "essay_ids": ESSAYS, "templates": ["novelty"], "replicates": 4}


@pytest.fixture
def planned(played: PlayedDag) -> PlannedRun:
    """Plan cohort `main`: four scores of `pilot` at each judge are reused for two essays, the others are to call."""
    return played.plan(CONF, run_id="run-main")


def shown(html: str) -> dict[str, str]:
    """Return the figures of the page by name."""
    return dict(re.findall(r'data-count="(\w+)">([^<]*)<', html))


def test_a_run_under_way_shows_its_calls(pages: TestClient, played: PlayedDag, planned: PlannedRun) -> None:
    """The page and the polled part show the same figures, in all and by judge, instead of the last run's account."""
    report(
        played,
        planned,
        judge_a={
            "done": 5,
            "failed": 1,
            "requests": 9,
            "refused": 3,
            "retried": 4,
            "spent_usd": 0.5,
            "per_second": 1.5,
        },
        judge_b={"done": 2, "requests": 2, "unpriced": 2, "per_second": 0.05},
    )
    for address in ("/c/main", "/c/main/progress"):
        html = " ".join(pages.get(address).text.split())
        expected = {
            "calls_done": "7 of 16",
            "rate": "1.6/s",
            "time_left": "about 2 min",
            "run_cost": "$0.5000",
            "refused": "3",
            "retried": "4",
            "missing": "16",
        }
        assert {name: shown(html)[name] for name in expected} == expected
        assert "scored" not in shown(html)
        assert "Judges are being called." in html
        rows = [re.sub("<[^>]*>", "|", row) for row in re.findall(r'<tr><th scope="row">judge-.*?</tr>', html)]
        cells = [[cell for cell in row.split("|") if cell.strip()] for row in rows]
        assert cells == [
            ["judge-a", "5 of 8", "1", "1.5/s", "about 2 s", "$0.5000", "3", "4"],
            ["judge-b", "2 of 8", "0", "3.0/min", "about 2 min", "unknown", "0", "0"],
        ]
        assert 'aria-valuetext="7 of 16 calls done"' in html


def test_the_account_of_the_last_run_is_shown_after_its_end(
    pages: TestClient, played: PlayedDag, planned: PlannedRun
) -> None:
    """A page that is opened after the run shows the account; one that shows the run's progress goes on to show it."""
    played.run_planned(planned, run_id="run-main")
    html = pages.get("/c/main").text
    assert "calls_done" not in shown(html)
    assert (shown(html)["reused"], shown(html)["scored"], shown(html)["called"]) == ("16", "16", "16")
    watched = shown(pages.get("/c/main/progress?watched=run-main").text)
    assert (watched["calls_done"], watched["rate"], watched["scored"]) == ("16 of 16", "–", "16")
    assert "calls_done" not in shown(pages.get("/c/main/progress?watched=run-pilot").text)


def test_replies_that_wait_are_replied_on_every_page(
    pages: TestClient, played: PlayedDag, planned: PlannedRun
) -> None:
    """Between calls and scoring, the list, the totals, the bar, the matrix, the cell and the evaluation say so."""
    played.call_planned(planned, run_id="run-main")
    html = pages.get("/c/main").text
    assert (shown(html)["replied"], shown(html)["missing"], shown(html)["made_elsewhere"]) == ("16", "0", "16")
    assert "All calls are done; the replies are being scored." in html
    assert 'aria-label="State of the cohort: 16 made elsewhere, 16 replied"' in html
    assert html.count('<td class="s-replied">') == 4
    assert "16 replied</span>" in pages.get("/").text
    cell = pages.get("/c/main/cell", params={"essay": "e_essay3", "template": "novelty", "model": "judge-a"}).text
    assert cell.count("<td>◇ replied<") == 4
    [gen_id, *_] = re.findall(r"/evaluation/(v_\w+)", cell)
    assert '<b class="word">replied</b>' in pages.get(f"/evaluation/{gen_id}").text
    assert pages.get("/c/main?state=replied").text.count('<tr><th scope="row">') == 4


def test_a_hostile_run_id_stays_text(pages: TestClient, played: PlayedDag) -> None:
    """A run_id with quotes and tags is only text, in the page and in the address that a page polls."""
    hostile = '"><script>window.hacked = 1</script>'
    played.plan(CONF, run_id=hostile)
    html = pages.get("/c/main/progress", params={"watched": hostile}).text
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
