"""The pages of essays: lists, one essay with everybody's scores, and an evaluation with its neighbours."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.conftest import PlayedDag
from tests.pages.conftest import HOSTILE
from tests.store_builder import StoreBuilder

if TYPE_CHECKING:
    from starlette.testclient import TestClient


def rows(html: str, label: str) -> list[str]:
    """Return the text of each row of the table with this label."""
    found = re.search(rf'aria-label="{label}"><table[^>]*>.*?<tbody>(.*?)</tbody>', html, re.DOTALL)
    assert found is not None, label
    return [
        " ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in re.findall(r"<tr>(.*?)</tr>", found[1], re.DOTALL)
    ]


def test_all_essays_are_listed(pages: TestClient, main: PlayedDag, store: StoreBuilder) -> None:
    """The list of the data root has each essay with its words and coverage, and the number of ratings by people."""
    store.rating("v_ann", "e_essay1", "ann", 5.0)
    listed = rows(pages.get("/essays").text, "List of essays")
    assert len(listed) == 4
    (first,) = [row for row in listed if "e_essay1" in row]
    assert first == "Essay number 1. e_essay1 6 16 / 16 1"
    assert len(rows(pages.get("/essays?text=number+2").text, "List of essays")) == 1
    assert "No essay matches." in pages.get("/essays?text=nothing").text


def test_an_empty_data_root_says_how_to_begin(pages: TestClient, store: StoreBuilder) -> None:
    """Without an essay the page names the command that imports some."""
    assert "cohorts import essays FOLDER" in pages.get("/essays").text


def test_the_essays_of_a_cohort_by_disagreement(pages: TestClient, main: PlayedDag) -> None:
    """The list has means, and the judges that differ most; one template can be chosen."""
    html = pages.get("/c/main/essays?template=novelty&sort=disagreement&order=desc").text
    listed = rows(html, "List of essays")
    assert len(listed) == 4
    apart = [float(found[1]) for row in listed if (found := re.search(r"(\d\.\d\d) judge-[ab] \d", row))]
    assert apart == sorted(apart, reverse=True)
    assert len(apart) >= 2
    assert 'aria-sort="descending"' in html
    assert rows(pages.get("/c/main/essays?template=nope").text, "List of essays")


def test_an_essay_has_everybody_s_scores(pages: TestClient, main: PlayedDag, store: StoreBuilder) -> None:
    """The page has the text, each judge's scores under each template, a person's note, and the replies."""
    store.rating("v_ann", "e_essay1", "ann", 5.0, more={"note": f"Good. {HOSTILE}"})
    html = pages.get("/essay/e_essay1?cohort=main").text
    assert "<h1><bdi>Essay number 1.</bdi></h1>" in html
    assert [row.split()[0] for row in rows(html, "Scores under novelty")] == ["judge-a", "judge-b", "ann"]
    assert html.count('<details class="reply">') == 17
    assert HOSTILE not in html
    assert "Note by ann" in html
    for gen_id in re.findall(r'href="/evaluation/([^"?]+)\?cohort=main"', html):
        assert pages.get(f"/evaluation/{gen_id}").status_code == 200


def test_an_essay_without_scores_leads_to_a_plan(pages: TestClient, store: StoreBuilder) -> None:
    """An essay that nobody judged has a link to a plan of just this essay."""
    store.essay(1)
    html = pages.get("/essay/e_essay1").text
    assert "No judge and no person has scored this essay." in html
    link = re.search(r'href="([^"]*/plan\?[^"]*)"', html)
    assert link is not None
    assert "need a call" in pages.get(link[1].replace("&amp;", "&")).text


def test_titles_lead_to_the_essay_everywhere(pages: TestClient, main: PlayedDag) -> None:
    """On each page that names an essay, its title is a link to the essay's page."""
    for path in (
        "/essays",
        "/c/main",
        "/c/main/essays",
        "/c/main/scores",
        "/c/main/differences",
        "/compare?first=pilot&second=main",
    ):
        html = pages.get(path).text
        assert re.search(r'<a href="/essay/e_essay1(\?[^"]+)?"><bdi>Essay number 1\.</bdi></a>', html), path


def test_an_evaluation_is_headed_by_what_it_is(pages: TestClient, main: PlayedDag, store: StoreBuilder) -> None:
    """The heading is essay, template, judge and replicate; previous and next follow the cohort's members."""
    members = [row["gen_id"] for row in store.rows("cohorts/main/membership.csv") if row["stage"] == "evaluation"]
    first, second = (pages.get(f"/evaluation/{gen_id}?cohort=main").text for gen_id in members[:2])
    heading = re.search(r"<h1>(.*?)</h1>", first)
    assert heading is not None
    assert heading[1] == "<bdi>Essay number 1.</bdi>: novelty by judge-a, replicate 1"
    assert 'rel="prev"' not in first
    assert f'rel="next" href="/evaluation/{members[1]}?cohort=main"' in first
    assert f'rel="prev" href="/evaluation/{members[0]}?cohort=main"' in second
    last = pages.get(f"/evaluation/{members[-1]}?cohort=main").text
    assert 'rel="next"' not in last


def test_without_a_cohort_an_evaluation_leads_through_its_essay(
    pages: TestClient, main: PlayedDag, store: StoreBuilder
) -> None:
    """A person's evaluation, which is in no cohort, has its essay's other evaluations as neighbours."""
    store.rating("v_000", "e_essay1", "ann", 5.0)
    html = pages.get("/evaluation/v_000").text
    following = re.search(r'rel="next" href="/evaluation/([^"]+)"', html)
    assert following is not None
    assert 'href="/essay/e_essay1' in pages.get(f"/evaluation/{following[1]}").text


@pytest.mark.parametrize(
    ("reply", "shown"),
    [
        pytest.param("# Verdict\n\n**SCORE: 6**\n", "<mark><strong>SCORE: 6</strong></mark>", id="prose"),
        pytest.param('{"score": 6}\nSCORE: 6\n', "<mark>SCORE: 6</mark>", id="as it is written"),
    ],
)
def test_the_deciding_line_is_marked(pages: TestClient, store: StoreBuilder, reply: str, shown: str) -> None:
    """The line that gives the score is marked in the prose, or in the text where it cannot be prose."""
    store.evaluation("v_1", store.essay(1), score=6.0, reply=reply)
    assert shown in pages.get("/evaluation/v_1").text


def test_a_damaged_cohort_does_not_hide_its_evaluations(
    pages: TestClient, main: PlayedDag, store: StoreBuilder
) -> None:
    """The page of a sound evaluation opens although its home cohort's membership is damaged."""
    gen_id = next(row["gen_id"] for row in store.rows("cohorts/pilot/scores.csv"))
    store.write("cohorts/pilot/membership.csv", "not,a,membership\n1,2,3\n")
    assert pages.get(f"/evaluation/{gen_id}").status_code == 200


def test_an_image_may_be_opened_alone(pages: TestClient, main: PlayedDag) -> None:
    """A figure as a page of its own may have inline styles, and can load and run nothing."""
    policy = pages.get("/c/main/figures/means-by-judge.svg?on=page").headers["content-security-policy"]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"
