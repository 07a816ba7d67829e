"""report.html: its content, and that nothing in it can run or be fetched.

`UPDATE_GOLDEN=1 pytest tests/backfill/report/test_html_report.py` writes the golden page again; look at the page in a
browser before you commit it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from essay_cohorts.backfill.report.html_report import ReportInputs, render_report
from essay_cohorts.backfill.report.methods_text import methods_paragraph
from essay_cohorts.backfill.report.report_figures import report_figures
from essay_cohorts.backfill.summaries import count_totals
from essay_cohorts.calls import Spending
from essay_cohorts.domain import Cell, Outcome, ScoreRow
from essay_cohorts.provenance import MADE_UP_BANNER, UNKNOWN, Provenance
from essay_cohorts.statistics.all_statistics import statistics_of
from essay_cohorts.statistics.frame import cohort_frame
from essay_cohorts.statistics.mixed import find_mixed_figures_of_rows
from essay_cohorts.views.account import NO_ACCOUNT, account_of, origins_of
from tests.figures.conftest import cohort_scores, random_rows
from tests.score_rows import score_row

SPENT, LAST = Spending(calls=12, settled_usd=0.15), Spending(calls=8, settled_usd=0.1, unknown=1)
GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "report.html"
PROPERTY = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
CELL = Cell("e_1", "novelty", "judge-a")
VOID = {"meta", "br", "hr", "img", "link", "input"}


@dataclass
class Page(HTMLParser):
    """A page as a browser parses it: its elements with their attributes, and its text."""

    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    open_tags: list[str] = field(default_factory=list)
    mismatched: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    @classmethod
    def of(cls, html: str) -> Page:
        page = cls()
        page.feed(html)
        page.close()
        return page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open_tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open_tags or self.open_tags.pop() != tag:
            self.mismatched.append(tag)

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.text.append(data.strip())

    @property
    def tags(self) -> set[str]:
        return {tag for tag, _ in self.elements}

    def attributes(self, name: str) -> list[str | None]:
        return [attributes[name] for _, attributes in self.elements if name in attributes]


def row(
    gen_id: str,
    outcome: Outcome,
    score: float | None = None,
    cell: Cell = CELL,
    *,
    reason: str = "",
    cost: float | None = None,
    called: bool = False,
    provenance: Provenance = UNKNOWN,
) -> ScoreRow:
    found = score_row(score, cell, outcome=outcome, gen_id=gen_id, cost=cost, called=called, provenance=provenance)
    member = replace(found.member, cohort_id="novelty_v2_backfill")
    return replace(found, member=member, reason=reason, origin_cohort_id="old")


def report_of(rows: Sequence[ScoreRow], **changes: Any) -> ReportInputs:
    inputs = ReportInputs(
        cohort_id="novelty_v2_backfill",
        written_at="2025-05-01T12:00:00Z",
        replicates=2,
        totals=count_totals(rows, planned=len(rows)),
        account=account_of("novelty_v2_backfill", origins_of(rows), SPENT, LAST),
        rows=tuple(rows),
        titles={one.member.parent_gen_id: f"Title of {one.member.parent_gen_id}" for one in rows},
        statistics=statistics_of(cohort_frame(rows), find_mixed_figures_of_rows(rows)),
        methods=methods_paragraph(rows, 2),
    )
    return replace(inputs, **changes)


def fixed_rows() -> list[ScoreRow]:
    """Return rows of two essays, two templates, two judges and two replicates, with every outcome among them."""
    rows: list[ScoreRow] = []
    for essay, template, model, start in [
        ("e_tides", "novelty", "judge-a", 6.0),
        ("e_tides", "novelty", "judge-b", 4.5),
        ("e_tides", "coherence", "judge-a", 8.0),
        ("e_tides", "coherence", "judge-b", 0.0),
        ("e_ledgers", "novelty", "judge-a", 7.5),
        ("e_ledgers", "novelty", "judge-b", 9.0),
    ]:
        cell = Cell(essay, template, model)
        number = len(rows)
        # One cell was judged with two wordings of its prompt.
        earlier = Provenance("v/a", "model=v/a", "old" if number == 0 else "new")
        rows.append(row(f"v_{number:02}", Outcome.REUSED, start, cell, provenance=earlier))
        today, score = earlier._replace(prompt_sha256="new"), 9.0 - start / 2
        rows.append(
            row(f"v_{number + 1:02}", Outcome.SCORED, score, cell, cost=0.0125, called=True, provenance=today)
        )
    last, other = Cell("e_ledgers", "coherence", "judge-a"), Cell("e_ledgers", "coherence", "judge-b")
    several = "the score line states several numbers: '7 or 8'"
    rows.append(row("v_12", Outcome.UNSCORED, None, last, reason=several, cost=0.0125, called=True))
    rows.append(row("v_13", Outcome.NOT_RUN, None, last, reason="no call was made"))
    rows.append(row("v_14", Outcome.FAILED, None, other, reason='HTTP 402 & "payment <required>" (attempts: 1)'))
    rows.append(row("v_15", Outcome.SCORED, 3.25, other, cost=0.0125, called=True))
    return rows


def fixed_report() -> str:
    titles = {"e_tides": "Tides & ledgers <i>of</i> the moon", "e_ledgers": "„Schuld“ und 潮汐 🌊"}
    return render_report(report_of(fixed_rows(), titles=titles, banner=MADE_UP_BANNER))


def test_the_page_is_the_golden_one() -> None:
    """The report of a fixed cohort is identical to the reviewed page that was committed."""
    html = fixed_report()
    if os.environ.get("UPDATE_GOLDEN") == "1":
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(html, encoding="utf-8")
    assert html == GOLDEN.read_text(encoding="utf-8")


def test_the_page_is_whole_html() -> None:
    """The page begins with a doctype, and every element that is opened is closed in order."""
    page = Page.of(fixed_report())
    assert fixed_report().startswith("<!doctype html>\n<html")
    assert (page.open_tags, page.mismatched) == ([], [])
    assert page.attributes("lang") == ["en"]
    assert page.attributes("charset") == ["utf-8"]
    ids = page.attributes("id")
    assert len(ids) == len(set(ids))


def assert_inert(html: str) -> Page:
    """Check that a page has no script, event handler, form or frame, and nothing that a browser would fetch."""
    page = Page.of(html)
    assert not page.tags & {
        "script",
        "iframe",
        "object",
        "embed",
        "form",
        "link",
        "base",
        "audio",
        "video",
        "a",
    }
    for tag, attributes in page.elements:
        if tag == "img":
            assert str(attributes.pop("src")).startswith("data:image/svg+xml;base64,")
        assert not [name for name in attributes if name.startswith("on")], tag
        assert not {"src", "href", "xlink:href", "srcset", "action", "formaction", "style", "background"} & set(
            attributes
        )
    style = html[html.index("<style>") : html.index("</style>")]
    assert not re.search(r"url\(|@import|expression\(", style)
    assert "default-src 'none'" in str(page.attributes("content"))
    assert (page.open_tags, page.mismatched) == ([], [])
    return page


def test_nothing_is_fetched_from_anywhere() -> None:
    """The page is self-contained: no script, handler or reference to another file, and a policy that forbids them."""
    page = assert_inert(fixed_report())
    assert not [value for _, attributes in page.elements for value in attributes.values() if "//" in (value or "")]


HOSTILE = [
    pytest.param("<script>alert(1)</script>", id="script"),
    pytest.param("</title><script>alert(1)</script>", id="closing the title"),
    pytest.param("</style><script>alert(1)</script>", id="closing the style"),
    pytest.param("</td></tr></table><img src=x onerror=alert(1)>", id="closing the table"),
    pytest.param('" onmouseover="alert(1)', id="double quote"),
    pytest.param("' onmouseover='alert(1)", id="single quote"),
    pytest.param("--><script>alert(1)</script><!--", id="closing a comment"),
    pytest.param("<svg/onload=alert(1)>", id="svg"),
    pytest.param("<a href='javascript:alert(1)'>x</a>", id="link"),
    pytest.param("&lt;script&gt; &amp; &#60;b&#62;", id="entities"),
    pytest.param("{{ 7 * 7 }}{% include 'x' %}", id="template code"),
    pytest.param("<!-- <!doctype html> ]]>", id="markup declarations"),
    pytest.param("x\u2028y \x01 🙂", id="strange characters"),
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("place", ["title", "reason", "gen_id", "essay_id", "template_id", "model_id", "cohort_id"])
def test_hostile_text_is_inert_everywhere(text: str, place: str) -> None:
    """Markup in a title, a reason or an id is shown as text: it creates no element and no attribute."""
    fields = {"title": "T", "reason": "R", "gen_id": "v_1", "essay_id": "e_1", "template_id": "t", "model_id": "m"}
    fields = {**fields, "cohort_id": "c", place: text}
    cell = Cell(fields["essay_id"], fields["template_id"], fields["model_id"])
    rows = [
        row(fields["gen_id"], Outcome.FAILED, None, cell, reason=fields["reason"]),
        row("v_2", Outcome.SCORED, 5.0, cell),
    ]
    titles = {fields["essay_id"]: fields["title"]}
    page = assert_inert(render_report(report_of(rows, titles=titles, cohort_id=fields["cohort_id"])))
    plain = assert_inert(render_report(report_of(rows[:0])))
    assert page.tags <= plain.tags | {"tr", "td", "th"} | {
        "code",
        "table",
        "div",
        "br",
        "span",
        "title",
    }
    assert [each for each in page.text if text.strip() in each]


texts = st.text(alphabet="<>&\"'/= ax{}%!-\n\x00é", max_size=20)


@PROPERTY
@given(texts, texts, texts, texts, texts)
def test_any_text_is_inert(title: str, reason: str, gen_id: str, template_id: str, model_id: str) -> None:
    """Whatever the texts are, the page has the same elements and attributes as with harmless texts."""

    def page(*parts: str) -> Page:
        title, reason, gen_id, template_id, model_id = parts
        rows = [row(gen_id, Outcome.UNSCORED, None, Cell("e_1", template_id, model_id), reason=reason)]
        return assert_inert(render_report(report_of(rows, titles={"e_1": title})))

    found, harmless = page(title, reason, gen_id, template_id, model_id), page("a", "b", "c", "d", "e")
    assert [(tag, sorted(attributes)) for tag, attributes in found.elements] == [
        (tag, sorted(attributes)) for tag, attributes in harmless.elements
    ]


def test_an_empty_cohort_renders() -> None:
    """A cohort without evaluations has a page with zeros."""
    page = assert_inert(render_report(report_of([], account=NO_ACCOUNT)))
    assert page.text.count("0") == 6
    assert "No evaluation has a score yet." in page.text
    assert "All runs: 0 requests, $0.0000. The last run: 0 reused, 0 called, 0 requests, $0.0000." in page.text
    assert "Every planned evaluation has a score." in page.text


def test_the_totals_are_shown() -> None:
    """The page shows the cohort's totals by name, and what all runs and the last run did."""
    texts = Page.of(fixed_report()).text
    assert {
        ("16", "evaluations"),
        ("0", "made here"),
        ("13", "made elsewhere"),
        ("1", "unscored"),
        ("1", "failed"),
        ("1", "not run"),
    } <= set(pairwise(texts))
    assert "All runs: 12 requests, $0.1500. The last run: 6 reused, 8 called, 8 requests, $0.1000." in texts


@pytest.mark.parametrize(("number", "mark"), [pytest.param(0, True, id="mixed"), pytest.param(1, False, id="alike")])
def test_what_is_mixed_is_marked(number: int, mark: bool) -> None:
    """A cell and a judge whose scores answer several prompts have a mark; others have none."""
    provenances = [Provenance("v/a", "", "old"), Provenance("v/a", "", "new" if number == 0 else "old")]
    rows = [row(f"v_{place}", Outcome.SCORED, 5.0, provenance=each) for place, each in enumerate(provenances)]
    texts = Page.of(render_report(report_of(rows))).text
    assert ("≠ several prompts" in texts) is mark
    html = render_report(report_of(rows))
    assert html.count('<span title="mixes several prompts in 1 cell">≠</span>') == (4 if mark else 0)


def test_an_unknown_cost_is_said_to_be_unknown() -> None:
    """An unknown cost is not shown as 0."""
    rows = [row("v_1", Outcome.SCORED, 5.0, called=True)]
    spent = replace(NO_ACCOUNT, all_runs=Spending(calls=1), last_run=Spending(calls=1))
    texts = Page.of(render_report(report_of(rows, account=spent))).text
    assert "All runs: 1 request, cost unknown. The last run: 0 reused, 1 called, 1 request, cost unknown." in texts


@pytest.mark.parametrize(
    ("outcome", "score", "shown"),
    [
        pytest.param(Outcome.SCORED, 5.0, "● 1/2", id="scored"),
        pytest.param(Outcome.REUSED, 5.0, "● 1/2", id="reused"),
        pytest.param(Outcome.UNSCORED, None, "◐ 0/2", id="unscored"),
        pytest.param(Outcome.FAILED, None, "✕ 0/2", id="failed"),
        pytest.param(Outcome.NOT_RUN, None, "○ 0/2", id="not run"),
    ],
)
def test_a_cells_state_is_shown_by_shape_and_number(outcome: Outcome, score: float | None, shown: str) -> None:
    """The coverage matrix shows a cell's state without colour, together with the number of its scores."""
    assert shown in Page.of(render_report(report_of([row("v_1", outcome, score)]))).text


def test_essays_and_columns_come_in_the_plans_order() -> None:
    """The matrix has a row for each essay and a column for each judge, in the order of the plan."""
    html = fixed_report()
    coverage = html[html.index("<h2>Coverage</h2>") : html.index("<h2>Means</h2>")]
    heads = re.findall(r'<th scope="col">(\w+)<br><span class="soft">([\w-]+)</span>', coverage)
    assert heads == [(t, m) for t in ("novelty", "coherence") for m in ("judge-a", "judge-b")]
    assert re.findall(r'<code class="soft">(\w+)</code>', coverage) == ["e_tides", "e_ledgers"]
    assert coverage.count("<td") == 8


def test_what_has_no_score_is_listed_with_its_reason() -> None:
    """Each evaluation that was refused, failed or not run is listed with its outcome and reason; others are not."""
    html = fixed_report()
    texts = Page.of(html[html.index("<h2>Without a score</h2>") :]).text
    assert [text for text in texts if text.startswith("v_")] == ["v_12", "v_13", "v_14"]
    assert 'HTTP 402 & "payment <required>" (attempts: 1)' in texts
    assert "not run" in texts


@pytest.mark.parametrize(
    ("count", "more"),
    [pytest.param(500, None, id="as many as listed"), pytest.param(503, "And 3 more; see scores.csv.", id="more")],
)
def test_a_long_list_is_cut_and_its_rest_counted(count: int, more: str | None) -> None:
    """Of many evaluations without a score the first 500 are listed, followed by the number of the others."""
    rows = [row(f"v_{number}", Outcome.NOT_RUN, reason="no call was made") for number in range(count)]
    texts = Page.of(render_report(report_of(rows))).text
    assert sum(text.startswith("v_") for text in texts) == 500
    assert [text for text in texts if text.startswith("And ")] == ([more] if more else [])


def test_a_reused_evaluation_without_a_readable_score_is_listed() -> None:
    """The page does not claim that every evaluation has a score if one has none."""
    reason = "parsed.txt holds no number from 0 to 9"
    texts = Page.of(render_report(report_of([row("v_1", Outcome.REUSED, None, reason=reason)]))).text
    assert "Every planned evaluation has a score." not in texts
    assert reason in texts


def test_a_lost_cell_shows_instead_of_breaking_the_page() -> None:
    """Lost rows leave an empty cell: the page, which shows the loss, is written anyway."""
    rows = [
        row("v_1", Outcome.SCORED, 5.0, Cell("e_1", "novelty", "judge-a")),
        row("v_2", Outcome.SCORED, 5.0, Cell("e_2", "style", "judge-a")),
    ]
    assert_inert(render_report(report_of(rows)))


def test_the_figures_are_in_the_page() -> None:
    """Each figure is an image in the page itself, with its title, n and caption, and a description in words."""
    rows = random_rows(24)
    scores = cohort_scores(rows)
    figures = report_figures(scores)
    html = render_report(report_of(rows, statistics=scores.statistics, figures=figures))
    page = assert_inert(html)
    images = [attributes for tag, attributes in page.elements if tag == "img"]
    assert len(images) == len(figures) == 9
    assert {image["alt"] for image in images} == {each.figure.description for each in figures}
    for each in figures:
        assert {each.figure.title, each.figure.note, each.figure.caption} <= set(page.text)


def test_a_cohort_that_is_too_large_has_no_statistics() -> None:
    """The report of such a cohort says where the statistics are."""
    page = assert_inert(render_report(report_of(fixed_rows(), statistics=None)))
    assert any(text.startswith("This cohort is too large for statistics in this report.") for text in page.text)


def test_the_methods_can_go_into_a_paper() -> None:
    """The paragraph names essays, judges with their models, templates with their scales, and the methods."""
    text = methods_paragraph(fixed_rows(), 2)
    assert text.startswith(
        "2 essays were judged by 2 LLM judges under 2 templates: novelty (scores from 0 to 9) and coherence (scores "
        "from 0 to 9), with 2 replicates per essay, template and judge: 16 evaluations, of which 13 gave a score."
    )
    assert "Judges: judge-a (v/a, model=v/a); judge-b" in text
    assert "2,000 resamples, seed 20260101" in text
    assert "Krippendorff, Content Analysis" in text
