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
        answer.headers["content-disposition"]
        == 'attachment; filename="main-judge-a-against-judge-b-under-novelty.svg"'
    )
    words = " ".join(texts(answer.text))
    assert "judge-b against judge-a under novelty" in words
    assert "n = 3 essays; mean of judge-b minus judge-a" in words
    assert "On the dashed line both give the same score" in words
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


def test_the_interval_is_turned_with_the_sentence(pages: TestClient, main: PlayedDag) -> None:
    """Whoever is named first, "is higher by" is followed by an interval that contains the distance."""
    for first, second in (("judge-a", "judge-b"), ("judge-b", "judge-a")):
        html = pages.get(f"/c/main/differences?template=novelty&first={first}&second={second}").text
        found = re.search(r"by (\d\.\d+) \(95 % interval ([−+\d.]+) to ([−+\d.]+)\)", html)
        if found is not None:
            low, high = (float(end.replace("−", "-")) for end in found.groups()[1:])
            assert low <= float(found[1]) <= high


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param(0.003, "+0.003", id="just above 0"),
        pytest.param(-0.003, "−0.003", id="just below 0"),
        pytest.param(-0.00004, "−0.000040", id="very near 0"),
        pytest.param(0.0, "+0.00", id="0"),
        pytest.param(0.4, "+0.40", id="far from 0"),
    ],
)
def test_an_end_of_an_interval_shows_its_side_of_0(value: float, shown: str) -> None:
    """An end that rounds to 0 has as many decimals as tell whether 0 is inside."""
    from essay_cohorts_airflow.pages.rendering import signed_end

    assert signed_end(value) == shown


def test_what_was_asked_for_in_vain_is_said(pages: TestClient, main: PlayedDag) -> None:
    """A page that shows another template or side than asked for says so."""
    assert "nope has no evaluation in this cohort" in pages.get("/c/main/scores?template=nope").text
    assert "There is no criterion nope" in pages.get("/c/main/scores?criterion=nope").text
    people = pages.get("/c/main/differences?first=human-ann&second=human-ann").text
    assert "human-ann" not in re.sub(r"<[^>]*>", "", people)
    same = pages.get("/c/main/differences?first=judge-a&second=judge-a").text
    assert "Two different sides are needed: judge-a and judge-b are shown." in same
    assert "nobody has no score here: judge-a is shown." in pages.get("/c/main/differences?first=nobody").text
    assert 'class="problem"' not in pages.get("/c/main/differences?first=judge-b&second=judge-a").text


def test_people_are_compared_with_the_judges(pages: TestClient, main: PlayedDag, store: StoreBuilder) -> None:
    """With ratings the page Scores has a table of judges against people."""
    for number, score in ((1, 5.0), (3, 2.0), (4, 7.0)):
        store.rating(f"v_ann{number}", f"e_essay{number}", "ann", score)
        store.rating(f"v_ben{number}", f"e_essay{number}", "ben", score)
    listed = rows(pages.get("/c/main/scores").text, "Agreement with people")
    assert [row.split()[1] for row in listed] == ["all", "judge-a", "judge-b", "ann", "ben"]
    assert "ann (person) 3 +0.00" in listed[3]


def test_judges_are_compared_with_one_person(pages: TestClient, main: PlayedDag, store: StoreBuilder) -> None:
    """A chosen person's scores alone count, and each judge links to the comparison with this person."""
    for number, score in ((1, 5.0), (3, 2.0), (4, 7.0)):
        store.rating(f"v_ann{number}", f"e_essay{number}", "ann", score)
        store.rating(f"v_ben{number}", f"e_essay{number}", "ben", 0.0)
    html = pages.get("/c/main/scores?rater=ben").text
    frame = cohort_frame(
        row for row in read_snapshot(main.settings, "main").rows if row.member.template_id == "novelty"
    )
    mean = (
        frame[frame["model"] == "judge-a"]
        .groupby("essay")["score"]
        .mean()
        .loc[[f"e_essay{n}" for n in (1, 3, 4)]]
        .mean()
    )
    (judge,) = [row for row in rows(html, "Agreement with people") if row.startswith("novelty judge-a ")]
    assert judge.split()[2:4] == ["3", f"+{mean:.2f}"]
    assert "first=human-ben&amp;second=judge-a" in html
    assert not any("(person)" in row for row in rows(html, "Agreement with people"))
    assert pages.get("/c/main/scores?rater=nobody").text.count('aria-current="page">all people') == 1


def test_the_harshest_and_the_kindest_judge(pages: TestClient, main: PlayedDag) -> None:
    """Each template has a row that names the harsher judge first, with a positive distance."""
    listed = rows(pages.get("/c/main/scores").text, "Harshest and kindest judge")
    assert [row.split()[0] for row in listed] == ["novelty", "coherence"]
    for row in listed:
        harshest, kindest = row.split()[1:3]
        assert {harshest, kindest} == {"judge-a", "judge-b"}
        assert float(row.split()[4]) >= 0


def test_a_person_without_a_score_under_a_template(pages: TestClient, main: PlayedDag, store: StoreBuilder) -> None:
    """The page says where this person's scores are."""
    store.rating("v_ann1", "e_essay1", "ann", 5.0)
    html = pages.get("/c/main/differences?template=coherence&first=human-ann&second=judge-a").text
    assert "There is nothing to compare: ann (person) has scores only under novelty." in html
