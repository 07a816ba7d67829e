"""Figures on the pages and as downloads, and two sides compared."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from essay_cohorts.statistics.differences import between_templates
from essay_cohorts.statistics.frame import cohort_frame
from essay_cohorts.views.snapshot import read_snapshot
from tests.conftest import PlayedDag
from tests.figures.svg import drawn_axes, parse, texts
from tests.pages.test_essay_pages import rows
from tests.store_builder import StoreBuilder

if TYPE_CHECKING:
    from starlette.testclient import TestClient


def images(html: str) -> list[tuple[str, int, int]]:
    """Return the address, width and height of each image for a wide, light page."""
    found = re.findall(r'<img loading="lazy" src="([^"]+theme=light[^"]*)" width="(\d+)" height="(\d+)"', html)
    return [(address.replace("&amp;", "&"), int(width), int(height)) for address, width, height in found]


def test_each_image_has_the_size_that_the_page_leaves_for_it(pages: TestClient, main: PlayedDag) -> None:
    """Nothing moves when a figure arrives: its size is that of its place."""
    found = images(pages.get("/c/main/scores").text)
    assert len(found) == 5
    for address, width, height in found:
        answer = pages.get(address)
        assert answer.headers["content-type"] == "image/svg+xml"
        _, _, *size = map(float, (parse(answer.text).get("viewBox") or "").split())
        assert size == pytest.approx([width * 0.72, height * 0.72], abs=0.5)


def test_the_image_is_drawn_from_the_scores_of_the_page(pages: TestClient, main: PlayedDag) -> None:
    """The dots of the means are where the table says, for the overall score."""
    html = pages.get("/c/main/scores").text
    means = [float(row.split(" / ")[1].split()[2]) for row in rows(html, "Means")]
    panels = drawn_axes(pages.get("/c/main/figures/means-by-judge.svg?on=page").text)
    assert [panel.x(x) for panel in panels for x, _ in panel.dots("dot-")] == pytest.approx(means, abs=0.006)


def test_a_download_carries_its_words(pages: TestClient, main: PlayedDag) -> None:
    """The file has title, n and caption, and a name that any system takes."""
    answer = pages.get("/c/main/figures/scatter.svg?template=novelty&first=judge-a&second=judge-b")
    assert (
        answer.headers["content-disposition"] == 'attachment; filename="main-judge-a-against-judge-b-by-novelty.svg"'
    )
    words = " ".join(texts(answer.text))
    assert "judge-b against judge-a, by novelty" in words
    assert "n = 3 essays; mean difference" in words
    assert "On the broken line both give the same score" in words
    png = pages.get("/c/main/figures/ranking.png?template=novelty")
    assert (png.headers["content-type"], png.content[:4]) == ("image/png", b"\x89PNG")


def test_two_judges_are_compared(pages: TestClient, main: PlayedDag, store: StoreBuilder) -> None:
    """The page says who is higher and whether that may be noise, and lists each essay's difference."""
    html = pages.get("/c/main/differences?template=coherence&first=judge-a&second=judge-b").text
    listed = rows(html, "Differences by essay")
    gaps = [float(row.split()[-1].replace("−", "-")) for row in listed]
    assert gaps == sorted(gaps)
    assert len(gaps) == 2
    for order, key in (("gains", lambda gap: -gap), ("size", lambda gap: -abs(gap))):
        page = pages.get(f"/c/main/differences?template=coherence&first=judge-a&second=judge-b&order={order}").text
        assert [float(row.split()[-1].replace("−", "-")) for row in rows(page, "Differences by essay")] == sorted(
            gaps, key=key
        )
    assert re.search(r'class="verdict">\s*(<strong>)?judge-[ab] is higher', html)


def test_a_person_can_be_one_side(pages: TestClient, main: PlayedDag, store: StoreBuilder) -> None:
    """A rater is in the list of judges and is compared on the essays that both scored."""
    for number in (1, 3, 4):
        store.rating(f"v_ann{number}", f"e_essay{number}", "ann", 5.0)
    html = pages.get("/c/main/differences?template=novelty&first=human-ann&second=judge-a").text
    assert "ann (person)" in html
    assert [row.split()[-3] for row in rows(html, "Differences by essay")] == ["5.00"] * 3


def test_two_templates_are_compared(pages: TestClient, main: PlayedDag) -> None:
    """The mean difference is that of the statistics."""
    html = " ".join(pages.get("/c/main/differences?by=template&first=novelty&second=coherence").text.split())
    frame = cohort_frame(read_snapshot(main.settings, "main").rows)
    difference = between_templates("novelty", "coherence", frame)[0].difference.value
    assert difference is not None
    assert f"is higher</strong> by {abs(difference):.2f}" in html or f"is higher by {abs(difference):.2f}" in html


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("", id="nothing chosen"),
        pytest.param("first=nobody&second=judge-b", id="an unknown judge"),
        pytest.param("first=judge-a&second=judge-a", id="the same judge twice"),
        pytest.param("by=template&first=novelty&second=novelty", id="the same template twice"),
        pytest.param("template=nope&criterion=nope&order=nope&page=99", id="unknown values"),
    ],
)
def test_strange_choices_give_two_known_sides(pages: TestClient, main: PlayedDag, query: str) -> None:
    """Two different sides that exist are compared, whatever the address says."""
    html = pages.get(f"/c/main/differences?{query}").text
    chosen = re.findall(r"<option value=\"([^\"]+)\" selected>", html)[:2]
    assert len(set(chosen)) == 2


def test_one_judge_has_nothing_to_compare(pages: TestClient, store: StoreBuilder, dag: PlayedDag) -> None:
    """With a single judge the page says what would fill it."""
    store.essay(1)
    dag.run({"cohort_id": "c", "essay_ids": ["e_essay1"], "models": ["judge-a"], "templates": ["novelty"]})
    html = pages.get("/c/c/differences").text
    assert "There is only one judge here." in html
    assert "cohorts import scores" in html


def test_a_cohort_without_a_score_says_what_to_do(pages: TestClient, store: StoreBuilder, dag: PlayedDag) -> None:
    """Before the first score the page leads to the plan instead of showing empty tables."""
    store.essay(1)
    dag.plan({"cohort_id": "c", "essay_ids": ["e_essay1"]})
    html = pages.get("/c/c/scores").text
    assert "Figures appear here with the first score." in html
    assert "<table" not in html


def test_a_note_is_said_once(pages: TestClient, main: PlayedDag) -> None:
    """Intervals of few essays have a mark, and each table explains the mark once below."""
    html = pages.get("/c/main/scores").text
    marks, notes = html.count('<span class="few">*</span>'), html.count("* unreliable: fewer than 20 essays.")
    assert marks > notes > 0
    assert html.count("unreliable") < 20
