"""The page of scores with another scale, with criteria, and with groups of essays."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from essay_cohorts.views.snapshot import read_snapshot
from tests.conftest import PlayedDag
from tests.figures.svg import drawn_axes, texts
from tests.store_builder import StoreBuilder

if TYPE_CHECKING:
    from starlette.testclient import TestClient

HOSTILE = "<b>group</b>"
TEXT = (
    "{{ response }}\nScores are from {{ score_min }} to {{ score_max }}:\n"
    "{% for name in criteria %}{{ name }}: <number>\n{% endfor %}SCORE: <number>"
)


@pytest.fixture
def judged(store: StoreBuilder, dag: PlayedDag) -> StoreBuilder:
    """Judge four essays of two groups by a template with two criteria from 1 to 5."""
    header = "template_id,active,score_min,score_max,criteria"
    store.write("1_raw/evaluation_templates.csv", f"{header}\nown,1,1,5,novelty;use of evidence\n")
    store.write("1_raw/templates/evaluation/own.txt", TEXT)
    store.models("judge-a")
    essays = [store.essay(number) for number in (1, 2, 3, 4)]
    for number, essay in enumerate(essays):
        path = f"gens/essay/{essay}/metadata.json"
        store.json(path, {**json.loads(store.read(path)), "group": [HOSTILE, "people"][number % 2]})
    dag.run({"cohort_id": "c", "essay_ids": essays, "replicates": 2})
    return store


def table(html: str, label: str) -> list[list[str]]:
    """Return the cells of the table with this label, without tags."""
    found = re.search(rf'aria-label="{label}"><table[^>]*>.*?<tbody>(.*?)</tbody>', html, re.DOTALL)
    assert found is not None, label
    rows = re.findall(r"<tr>(.*?)</tr>", found[1], re.DOTALL)
    return [[re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<t[dh].*?</t[dh]>", row)] for row in rows]


def test_the_page_is_on_the_template_s_scale(pages: TestClient, judged: StoreBuilder) -> None:
    """The distribution has a bar for each point of the scale, and the ranking's dots are where the table says."""
    html = pages.get("/c/c/scores").text
    distribution, ranking = (
        pages.get(f"/c/c/figures/{name}.svg?template=own&on=page").text for name in ("distribution", "ranking")
    )
    assert [name for name, _ in drawn_axes(distribution)[0].marks("bar-")] == [f"0-{place}" for place in range(5)]
    (axes,) = drawn_axes(ranking)
    means = [float(row[2]) for row in table(html, "Ranking of essays")]
    assert [axes.x(x) for x, _ in axes.dots("dot-")] == pytest.approx(means, abs=0.006)
    assert "mean score (1 to 5)" in texts(ranking)


def test_the_matrix_names_the_scale(pages: TestClient, judged: StoreBuilder, dag: PlayedDag) -> None:
    """One scale is named once; of several, each column has its own."""
    assert "and the mean (from 1 to 5)." in pages.get("/c/c").text
    judged.write("1_raw/evaluation_templates.csv", "template_id,active,score_max\nown,1,5\nwide,1,100\n")
    judged.write("1_raw/templates/evaluation/wide.txt", TEXT)
    conf = {"cohort_id": "two", "essay_ids": ["e_essay1"], "replicates": 1, "changed_inputs": "keep"}
    dag.run(conf, run_id="two")
    html = pages.get("/c/two").text
    assert "and the mean." in html
    assert '<span class="soft sub">0 to 100</span>' in html


def test_a_criterion_is_chosen(pages: TestClient, judged: StoreBuilder) -> None:
    """Every figure is of the chosen criterion; the page of an evaluation shows all criteria."""
    overall, novelty = (pages.get(f"/c/c/scores{query}").text for query in ("", "?criterion=novelty"))
    assert "All figures below are of the criterion <strong>novelty</strong>." in novelty
    rows = [row for row in judged.rows("cohorts/c/criteria.csv") if row["criterion"] == "novelty"]
    mean = sum(float(row["score"]) for row in rows) / len(rows)
    assert float(table(novelty, "Means")[0][4]) == pytest.approx(mean, abs=0.006)
    assert table(overall, "Means") != table(novelty, "Means")
    strange = pages.get("/c/c/scores?criterion=<b>").text
    assert "There is no criterion &lt;b&gt;: the overall scores are shown." in strange
    assert table(strange, "Means") == table(overall, "Means")
    download = pages.get("/c/c/criteria.csv")
    assert download.text == judged.read("cohorts/c/criteria.csv")
    shown = pages.get(f"/evaluation/{rows[0]['gen_id']}").text
    assert [row[0] for row in table(shown, "Criteria")] == ["novelty", "use of evidence"]
    assert "from 1 to 5" in shown


def test_groups_are_compared(pages: TestClient, judged: StoreBuilder) -> None:
    """The page shows each group's mean and their difference, and escapes their names."""
    html = pages.get("/c/c/scores").text
    assert HOSTILE not in html
    means = {row[1]: row[4] for row in table(html, "Means of groups")}
    assert list(means) == ["&lt;b&gt;group&lt;/b&gt;", "people"]
    [difference] = table(html, "Differences between groups")
    first, second = (float(mean) for mean in means.values())
    assert float(difference[4].replace("\N{MINUS SIGN}", "-")) == pytest.approx(second - first, abs=0.011)


def test_without_groups_or_criteria_there_is_no_section(pages: TestClient, main: PlayedDag) -> None:
    """A cohort without groups and criteria has the page as before."""
    html = pages.get("/c/main/scores").text
    assert "Groups of essays" not in html
    assert 'name="criterion"' not in html


def test_a_criterion_that_a_reply_lacks_is_not_missing(
    pages: TestClient, store: StoreBuilder, dag: PlayedDag
) -> None:
    """A scored reply without one criterion is unscored in the criterion's matrix, because no run can add it."""
    store.write("1_raw/evaluation_templates.csv", "template_id,active,criteria\nown,1,novelty;clarity\n")
    store.write("1_raw/templates/evaluation/own.txt", "{{ response }} {{ criteria }} {{ boundary }} SCORE: <number>")
    store.models("judge-a")
    essays = [store.essay(number) for number in (1, 2)]
    dag.run({"cohort_id": "c", "essay_ids": essays, "replicates": 1, "max_unscored": 9})
    html = " ".join(pages.get("/c/c?criterion=clarity").text.split())
    assert "0/1" in html
    assert html.count('<span class="hidden"> missing</span>') == 0


def test_the_ranking_says_which_judge_was_lowest(pages: TestClient, main: PlayedDag) -> None:
    """An essay's row has how far its judges are apart, and the lowest of them, as the essay's page says."""
    ranking = table(pages.get("/c/main/scores?template=novelty").text, "Ranking of essays")
    assert {"–"} < {row[6] for row in ranking}
    rows = [row for row in read_snapshot(main.settings, "main").rows if row.member.template_id == "novelty"]
    for row in ranking:
        means: dict[str, list[float]] = {}
        for each in rows:
            if each.member.parent_gen_id in row[1] and each.score is not None:
                means.setdefault(each.member.llm_model_id, []).append(each.score)
        by_mean = sorted((sum(scores) / len(scores), judge) for judge, scores in means.items())
        if len(means) < 2:
            assert row[6:] == ["–", ""]
            continue
        assert float(row[6]) == pytest.approx(by_mean[-1][0] - by_mean[0][0], abs=0.006)
        lowest, judge = by_mean[0]
        assert row[7] == (f"{judge} {lowest:.2f}" if float(row[6]) else "all judges agree")
