"""What the pages show: totals, downloads, figures, histories, links, the list and the plan."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
from typing import TYPE_CHECKING

import pytest

from essay_cohorts.domain import Action
from essay_cohorts.reparsing.reparse import reparse
from essay_cohorts.reparsing.rules import ReparseRequest
from essay_cohorts.settings import Settings
from essay_cohorts.views.status import cohort_status
from tests.cli.command import run_command
from tests.conftest import PlayedDag, task_ref
from tests.judge_server import JudgeServer
from tests.store_builder import StoreBuilder

if TYPE_CHECKING:
    from starlette.testclient import TestClient

CELL = {"essay": "e_essay1", "template": "novelty", "model": "judge-a"}


def _counts(html: str) -> dict[str, str]:
    return dict(re.findall(r'data-count="(\w+)">([^<]*)<', html))


def test_the_totals_agree_with_status_with_the_csv_and_with_the_store(
    pages: TestClient, main: PlayedDag, store: StoreBuilder
) -> None:
    """Each total of the page equals the counts of `status`, of scores.csv and of the files on disk."""
    shown = {name: int(value) for name, value in _counts(pages.get("/c/main").text).items() if value.isdigit()}
    written = [row["outcome"] for row in store.rows("cohorts/main/scores.csv")]
    status = cohort_status(main.settings, "main")
    cells = status.cells
    states = {state.value: sum(cell.counts[state] for cell in cells) for state in cells[0].counts}
    on_disk = [
        gen_id
        for gen_id in (row["gen_id"] for row in store.rows("cohorts/main/scores.csv"))
        if (store.root / f"gens/evaluation/{gen_id}/parsed.txt").exists()
    ]
    assert shown["members"] == len(written) == 64
    assert (shown["made_here"], shown["made_elsewhere"]) == (status.account.made_here, status.account.made_elsewhere)
    assert shown["made_here"] > 0 < shown["made_elsewhere"]
    assert shown["made_here"] + shown["made_elsewhere"] == states["scored"]
    assert shown["called"] == status.account.last_run.calls > 0
    assert shown["reused"] + shown["scored"] == states["scored"] == len(on_disk)
    for outcome in ("reused", "scored", "unscored", "failed"):
        assert shown[outcome] == written.count(outcome) > 0, outcome
    assert shown["unscored"] == states["unscored"]
    assert shown["failed"] == states["failed"]
    assert shown["missing"] == states["no_reply"] == 0


def test_downloads_are_the_cohorts_scores(pages: TestClient, main: PlayedDag, store: StoreBuilder) -> None:
    """The CSV equals scores.csv, and the JSONL has the same rows with typed values."""
    downloaded = pages.get("/c/main/scores.csv")
    assert downloaded.text.splitlines()[0] == store.read("cohorts/main/scores.csv").splitlines()[0]
    rows = list(csv.DictReader(io.StringIO(downloaded.text, newline="")))
    columns = ("gen_id", "outcome", "score", "origin_cohort_id", "replicate")
    assert [[row[name] for name in columns] for row in rows] == [
        [row[name] for name in columns] for row in store.rows("cohorts/main/scores.csv")
    ]
    assert 'filename="main-scores.csv"' in downloaded.headers["content-disposition"]
    lines = [json.loads(line) for line in pages.get("/c/main/scores.jsonl").text.splitlines()]
    assert [line["gen_id"] for line in lines] == [row["gen_id"] for row in rows]
    assert [line["score"] for line in lines] == [float(row["score"]) if row["score"] else None for row in rows]


def test_figures_have_their_intervals_and_counts(pages: TestClient, main: PlayedDag) -> None:
    """Scores and Compare show scored / planned, and say why a figure has no interval."""
    reasons = {
        "/c/main/scores": "too few essays",
        "/compare?first=pilot&second=main": "all essays have the same value",
    }
    for path, reason in reasons.items():
        page = " ".join(pages.get(path).text.split())
        assert "95 % interval" in page
        assert "2,000 resamples, seed 20260101" in page
        assert reason in page
        assert re.search(r">\d+ / \d+<", page)
        assert "nan" not in re.sub(r"<[^>]*>", "", page).lower().split()
    assert "Mean difference" in pages.get("/compare?first=pilot&second=main").text


def test_the_pivot_can_be_downloaded(pages: TestClient, main: PlayedDag, store: StoreBuilder) -> None:
    """The download has the header of the score_pivot.csv that the run wrote."""
    downloaded = pages.get("/c/main/score_pivot.csv")
    assert downloaded.text.splitlines()[0] == store.read("cohorts/main/score_pivot.csv").splitlines()[0]
    assert 'filename="main-score-pivot.csv"' in downloaded.headers["content-disposition"]


def test_an_evaluation_shows_the_verdicts_that_were_replaced(pages: TestClient, store: StoreBuilder) -> None:
    """The page of an evaluation that was scored again shows the former score and record in its history."""
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


def test_a_run_of_the_command_line_has_no_link_into_airflow(
    pages: TestClient, store: StoreBuilder, judge_server: JudgeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow knows nothing of `cohorts run`, so its evaluations say who made them instead of linking to a log."""
    connection = json.dumps({"host": judge_server.base_url, "password": "sk-local"})
    monkeypatch.setenv("AIRFLOW_CONN_LLM_DEFAULT", connection)
    store.backfill(store.essay(1))
    assert run_command("run", "--cohort", "here", "--yes", "--data-root", store.root).returncode == 0
    gen_id = next((store.root / "gens" / "evaluation").iterdir()).name
    cell = "essay=e_essay1&template=novelty&model=judge-a"
    for address in ("c/here", f"c/here/cell?{cell}", f"evaluation/{gen_id}?cohort=here", ""):
        html = pages.get(f"/{address}").text
        assert "cohorts run" in html
        assert "/dags/command_line" not in html


def test_an_evaluation_leads_to_the_log_of_the_task_that_made_it(pages: TestClient, main: PlayedDag) -> None:
    """The link of a reused evaluation names the run that paid for the evaluation."""
    html = pages.get("/c/main/cell", params=CELL).text
    logs = re.findall(r'data-airflow data-log-of="[^"]+" href="([^"]+)">log<', html)
    assert len(logs) == 4
    for log in logs:
        assert re.fullmatch(
            r"/dags/evaluation_backfill/runs/run-pilot/tasks/evaluation\.evaluation_raw/mapped/\d\?try_number=1", log
        )
    assert html.count("pilot</td>") == 4


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
    """The list shows the cohorts that match, in the requested order."""
    for name, created in (("pilot", "2026-01-01T00:00:00+00:00"), ("main", "2026-02-01T00:00:00+00:00")):
        manifest = json.loads(store.read(f"cohorts/{name}/manifest.json"))
        store.json(f"cohorts/{name}/manifest.json", {**manifest, "created_at": created})
    assert re.findall(r'<tr><th scope="row"><a href="/c/(\w+)">', pages.get(f"/{query}").text) == names


def test_the_plan_is_the_dry_run_and_its_conf_starts_it(pages: TestClient, main: PlayedDag) -> None:
    """The page has the counts of a dry run with the shown conf, and the command carries this conf."""
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


@pytest.mark.parametrize(
    ("connections", "shown"),
    [
        pytest.param({"a": "", "b": "llm_default"}, False, id="one connection"),
        pytest.param({"a": "", "b": "vllm"}, True, id="two connections"),
        pytest.param({"a": "vllm", "b": "vllm"}, True, id="only another connection"),
    ],
)
def test_the_plan_shows_the_connections_if_there_are_others(
    pages: TestClient, store: StoreBuilder, connections: dict[str, str], shown: bool
) -> None:
    """A column names the connection of each judge, unless every judge has the default one."""
    store.judges_at(**connections)
    store.essay(1)
    html = pages.get("/plan?show=1&essay_ids=e_essay1").text
    assert ('<th scope="col">Connection</th>' in html, "<td>vllm</td>" in html) == (shown, shown)


def test_a_plan_that_cannot_be_made_names_every_problem(pages: TestClient, main: PlayedDag) -> None:
    """The page names all problems at once, as the command line does."""
    html = pages.get("/plan?show=1&essay_ids=e_nope%20e_gone&models=judg-a&replicates=many").text
    for name in ("e_nope", "e_gone", "judg-a", "many", "judge-a"):
        assert name in html
    assert "This cohort cannot be planned" in html


def test_a_person_s_evaluation_shows_the_rater_instead_of_a_reply(pages: TestClient, store: StoreBuilder) -> None:
    """Rater, score with its scale, criteria and note; no prompt, no reply, and no link to a cohort that is none."""
    more = {"note": "Fine <b>.", "criteria": {"flow": {"score": 2.0, "note": "Choppy."}, "order": {"score": None}}}
    version = "1+scale=1..5+criteria=flow;order"
    store.rating("v_bo", store.essay(1), "bo", 4.0, template="coherence", version=version, more=more)
    for address in ("/evaluation/v_bo", "/evaluation/v_bo?cohort=some"):
        html = pages.get(address).text
        for shown in (
            ">bo</b>rater",
            "4.00</b>score<small>from 1 to 5<",
            "Choppy.",
            "Fine &lt;b&gt;.",
            "Essay number 1",
        ):
            assert shown in html, shown
        for missing in ("<h2>Reply</h2>", "<h2>Prompt</h2>", "model that answered", "/c/human", "cell?"):
            assert missing not in html, missing
    store.rating("v_al", "e_essay1", "al", 4.0)
    html = pages.get("/evaluation/v_al").text
    assert ("The rater left no note." in html, "<h2>Criteria</h2>" in html) == (True, False)


def test_a_cohort_leads_straight_to_its_results(pages: TestClient, main: PlayedDag) -> None:
    """The links at the top of a cohort's page lead to pages that show what each link says."""
    html = pages.get("/c/main").text
    results = re.search(r'<nav class="tabs results".*?</nav>', html, re.DOTALL)
    assert results is not None
    links = dict(re.findall(r'<a href="([^"]+)">([^<]+)</a>', results.group()))
    shown = {words: pages.get(address.replace("&amp;", "&")).text for address, words in links.items()}
    for address, words in links.items():
        assert "#" not in address or f'id="{address.split("#")[1]}"' in shown[words], address
    assert 'aria-sort="descending"' in shown["Essays that judges disagree on"]
    assert "Essays, largest difference first" in shown["Two judges side by side"]
    assert "largest loss first" in shown["Two templates side by side"]
