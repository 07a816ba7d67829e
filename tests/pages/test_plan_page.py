"""The plan page: what can be chosen, and the run that its button offers."""

from __future__ import annotations

import html
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import PlayedDag
from tests.pages.conftest import HOSTILE
from tests.store_builder import StoreBuilder

if TYPE_CHECKING:
    from starlette.testclient import TestClient

PRICES = "id,model,for_evaluation,max_tokens,input_usd_per_mtok,output_usd_per_mtok,connection\n"
PRICED = PRICES + "judge-a,example/judge-a,true,100,0.15,0.60,\n"
PLAN = "/plan?show=1&essay_ids=e_essay1&templates=novelty&replicates=2"


def _offer(page: str) -> dict[str, Any]:
    found = re.search(r'data-offer="([^"]*)"', page)
    assert found is not None, page
    offer: dict[str, Any] = json.loads(html.unescape(found.group(1)))
    return offer


def _label(page: str) -> str:
    found = re.search(r"data-start hidden>([^<]*)<", page)
    assert found is not None, page
    return found.group(1)


@pytest.mark.parametrize(
    ("judges", "query", "label"),
    [
        pytest.param(PRICED, "", "Run this (2 calls, up to $0.000129)", id="calls-with-their-cost"),
        pytest.param(PRICED, "&replicates=1", "Run this (1 call, up to $0.000064)", id="one-call"),
        pytest.param(None, "&models=judge-a", "Run this (2 calls, cost unknown)", id="a-judge-without-a-price"),
    ],
)
def test_the_button_shows_the_calls_and_the_cost_of_the_plan(
    pages: TestClient, store: StoreBuilder, judges: str | None, query: str, label: str
) -> None:
    """The label has the number of calls of the plan and the most that they may cost."""
    store.essay(1)
    if judges:
        store.write("1_raw/llm_models.csv", judges)
    address = PLAN.replace("&replicates=2", "") + (query if "replicates" in query else f"&replicates=2{query}")
    assert _label(pages.get(address).text) == label


def test_a_plan_without_calls_can_still_be_run(pages: TestClient, played: PlayedDag) -> None:
    """If every evaluation exists, the button says that there is nothing to call."""
    page = pages.get("/plan?show=1&essay_ids=e_essay1&templates=novelty&cohort_id=again").text
    assert _label(page) == "Run this (nothing to call)"


def test_the_offered_run_has_exactly_the_conf_that_is_shown(pages: TestClient, store: StoreBuilder) -> None:
    """The conf of the offer is the conf that the page prints, with the limits of the form."""
    store.essay(1)
    store.write("1_raw/llm_models.csv", PRICED)
    page = pages.get(f"{PLAN}&max_llm_calls=5&max_cost_usd=0.25&max_concurrency=3&cohort_id=mine").text
    shown = re.search(r"data-copied>(\{.*?\})</pre>", page, re.DOTALL)
    assert shown is not None
    expected = {
        "cohort_id": "mine",
        "essay_ids": ["e_essay1"],
        "templates": ["novelty"],
        "replicates": 2,
        "max_concurrency": 3,
        "max_llm_calls": 5,
        "max_cost_usd": 0.25,
    }
    assert _offer(page)["conf"] == json.loads(html.unescape(shown.group(1))) == expected
    assert _offer(page)["cohort_id"] == "mine"


def test_the_same_plan_has_the_same_run_id_and_another_plan_another(
    pages: TestClient, store: StoreBuilder, dag: PlayedDag
) -> None:
    """A reload offers the same run; another conf, or a plan that a run has changed, offers another run."""
    store.essay(1)
    first = _offer(pages.get(f"{PLAN}&cohort_id=mine").text)
    assert _offer(pages.get(f"{PLAN}&cohort_id=mine").text)["run_id"] == first["run_id"]
    assert re.fullmatch(r"plan__mine__[0-9a-f]{12}", first["run_id"])
    assert first["run_id"].startswith(first["run_id_prefix"])
    others = [f"{PLAN}&cohort_id=mine{more}" for more in ("&max_llm_calls=5", "&retry_unscored=1", "&existing=no")]
    ids = [_offer(pages.get(address).text)["run_id"] for address in others]
    dag.run(first["conf"])
    ids.append(_offer(pages.get(f"{PLAN}&cohort_id=mine").text)["run_id"])
    assert len({first["run_id"], *ids}) == 5


def test_no_run_is_offered_without_a_plan(pages: TestClient, store: StoreBuilder) -> None:
    """The empty form and a form with a problem have no button that starts a run."""
    store.essay(1)
    for address in ("/plan", f"{PLAN}&max_llm_calls=many", f"{PLAN}&max_cost_usd=1e400"):
        page = pages.get(address).text
        assert "data-start" not in page, address
    assert "conf: max_llm_calls: &#39;many&#39; is not valid" in pages.get(f"{PLAN}&max_llm_calls=many").text


def test_choices_say_what_a_person_must_know(pages: TestClient, store: StoreBuilder) -> None:
    """A template shows its scale and criteria, and a judge shows its model, its prices and its connection."""
    store.write(
        "1_raw/evaluation_templates.csv",
        "template_id,active,parser,score_min,score_max,criteria\nnovelty,true,json,1,5,flow;order\ncoherence,true,,,,\n",
    )
    store.write(
        "1_raw/llm_models.csv",
        PRICED + "judge-b,example/judge-b,true,,2.5,,vllm\njudge-c,example/judge-c,true,,,,\n",
    )
    shown = dict(
        re.findall(r'value="([\w-]+)"[^>]*> <span>[\w-]+ <small class="soft">([^<]*)<', pages.get("/plan").text)
    )
    assert shown == {
        "novelty": "1 to 5, 2 criteria",
        "coherence": "0 to 9",
        "judge-a": "example/judge-a, $0.15 in and $0.60 out per million tokens",
        "judge-b": "example/judge-b, $2.50 in per million tokens, vllm",
        "judge-c": "example/judge-c, no price",
    }


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("", ["e_essay1", "e_essay2", "e_essay3"], id="all"),
        pytest.param("TIDES", ["e_essay1", "e_essay3"], id="a-word-of-the-title"),
        pytest.param("essay3", ["e_essay3"], id="a-part-of-the-id"),
        pytest.param("poets tides", ["e_essay3"], id="every-word"),
        pytest.param("nothing like this", [], id="nothing"),
    ],
)
def test_essays_are_found_by_title_id_and_group(
    pages: TestClient, store: StoreBuilder, text: str, found: list[str]
) -> None:
    """The search ignores case, and each word must be in the title, the id or the group."""
    store.essay(1, "About tides\n\nWater.")
    store.essay(2, "About ledgers\n\nTides are not in this title.")
    store.essay(3, "More tides")
    store.metadata(
        "essay", "e_essay3", {**json.loads(store.read("gens/essay/e_essay3/metadata.json")), "group": "poets"}
    )
    answer = pages.get("/plan/essays", params={"text": text}).json()
    assert [essay["essay_id"] for essay in answer["essays"]] == found
    assert answer["found"] == len(found)


def test_a_found_essay_shows_its_words_and_how_much_of_it_is_scored(pages: TestClient, played: PlayedDag) -> None:
    """The list has the title, the number of words, the evaluations and how many of them have a score."""
    (essay,) = pages.get("/plan/essays?text=e_essay1").json()["essays"]
    assert (essay["title"], essay["words"]) == ("Essay number 1.", 6)
    assert essay["scored"] == essay["evaluations"] > 0


def test_many_essays_come_in_pages(pages: TestClient, store: StoreBuilder) -> None:
    """A page has 50 essays; a page number beyond the last gives the last page."""
    for number in range(1, 54):
        store.essay(number)
    first, last = (pages.get(f"/plan/essays?page={page}").json() for page in (1, 999))
    assert (first["found"], first["pages"], len(first["essays"])) == (53, 2, 50)
    assert (last["page"], len(last["essays"])) == (2, 3)


def test_a_strange_title_can_be_sent_and_stays_text(pages: TestClient, store: StoreBuilder) -> None:
    """A title with HTML or with half of a surrogate pair can be sent as JSON, and the page shows it escaped."""
    store.essay(1, HOSTILE)
    store.essay(2)
    metadata = {**json.loads(store.read("gens/essay/e_essay2/metadata.json")), "title": "\ud800!"}
    store.write("gens/essay/e_essay2/metadata.json", json.dumps(metadata))
    titles = [essay["title"] for essay in pages.get("/plan/essays").json()["essays"]]
    assert titles == [HOSTILE, "?!"]
    page = pages.get("/plan?show=1&essay_ids=e_essay1%20e_essay2&templates=novelty").text
    assert "&lt;script&gt;window.hacked" in page
    assert "<script>" not in page
