"""Figures as files: the words in them, their sizes and colours, and names that are hostile."""

from __future__ import annotations

import re
import struct
from concurrent.futures import ThreadPoolExecutor

import pytest

from essay_cohorts.figures.agreement_matrix import shown
from essay_cohorts.figures.cohort_figures import Chosen, CohortScores, FigureName, draw
from essay_cohorts.figures.dot_whisker import DotWhiskers
from essay_cohorts.figures.figure import Width
from essay_cohorts.figures.rendering import size_of, to_printable_png, to_printable_svg, to_svg
from essay_cohorts.figures.sheet import Theme
from tests.figures.conftest import cohort_scores, random_rows
from tests.figures.svg import SVG, parse, texts

HOSTILE = "\"><script>alert(1)</script> $\\frac{1$ & 'é' \u202e\x00\x1b\ud800\uffff \U0001f600 \u6f22"
PAIR = {"first": "judge-a", "second": "judge-b"}


@pytest.fixture(params=FigureName)
def name(request: pytest.FixtureRequest) -> FigureName:
    """Return each kind of figure in turn."""
    return FigureName(request.param)


def test_a_file_has_the_words_of_its_figure(scores: CohortScores, name: FigureName) -> None:
    """The printable SVG is black on white, with the title, the number of essays or scores, and the caption."""
    figure = draw(name, scores, Chosen(template_id="novelty", **PAIR))
    assert figure is not None
    svg = to_printable_svg(figure)
    shown = " ".join(texts(svg))
    for words in (figure.title, figure.note, figure.caption):
        assert words in shown
    assert figure.note.startswith("n = ")
    assert parse(svg).findtext(f"{SVG}title") == figure.title


def test_a_png_is_large_enough_for_print(scores: CohortScores) -> None:
    """The PNG has three pixels for each of the SVG."""
    figure = draw(FigureName.AGREEMENT, scores, Chosen(template_id="novelty"))
    assert figure is not None
    png = to_printable_png(figure)
    assert png.startswith(b"\x89PNG")
    assert struct.unpack(">I", png[16:20])[0] == 3 * (Width.WIDE.pixels + 2 * 12)


@pytest.mark.parametrize("width", Width)
def test_a_page_knows_the_size_of_a_figure(scores: CohortScores, name: FigureName, width: Width) -> None:
    """A figure has the width that was asked for and the height that the page leaves for it."""
    figure = draw(name, scores, Chosen(template_id="novelty", **PAIR))
    assert figure is not None
    _, _, *size = map(float, (parse(to_svg(figure, width)).get("viewBox") or "").split())
    assert size == pytest.approx([pixels * 0.72 for pixels in size_of(figure, width)], abs=0.5)
    assert size[0] == pytest.approx(width.pixels * 0.72)


@pytest.mark.parametrize("theme", Theme)
def test_a_figure_has_the_ink_of_its_theme(scores: CohortScores, name: FigureName, theme: Theme) -> None:
    """All text but the numbers on colours is dark on a light page, and light on a dark page."""
    figure = draw(name, scores, Chosen(template_id="novelty", **PAIR))
    assert figure is not None
    inks = {
        re.search(r"fill: (#[0-9a-f]+)", text.get("style") or "")
        for text in parse(to_svg(figure, theme=theme)).iter(f"{SVG}text")
        if "".join(text.itertext()) not in {shown(each / 100) for each in range(-100, 101)}
    }
    assert {found[1] for found in inks if found} == {theme.ink}


def test_the_same_figure_is_the_same_file(scores: CohortScores, name: FigureName) -> None:
    """Drawn twice, even by two threads at once, a figure gives the same bytes."""
    figure = draw(name, scores, Chosen(template_id="novelty", **PAIR))
    assert figure is not None
    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(lambda _: to_printable_svg(figure), range(4)))) == 1


@pytest.mark.parametrize("width", Width)
def test_hostile_names_stay_text(name: FigureName, width: Width) -> None:
    """A judge and titles with markup are shown as text, and no element or expression comes of them."""
    rows = random_rows(24, ("judge-a", f"judge-b{HOSTILE}"))
    scores = cohort_scores(rows)
    titled = CohortScores(
        rows=rows,
        statistics=scores.statistics,
        groups=scores.groups,
        people=(),
        titles=lambda essays: {essay: f"{essay} {HOSTILE}" for essay in essays},
    )
    chosen = {"first": "judge-a", "second": f"judge-b{HOSTILE}"}
    figure = draw(name, titled, Chosen(template_id="novelty", **chosen))
    assert figure is not None
    for svg in (to_svg(figure, width), to_printable_svg(figure)):
        assert not any(element.tag.endswith("script") for element in parse(svg).iter())
    assert to_printable_png(figure)


def test_essays_with_one_title_keep_their_rows() -> None:
    """Two essays with the same title and rank have a row each, told apart by their ids."""
    rows = random_rows(12)
    scores = cohort_scores(rows)
    same = CohortScores(
        rows=rows,
        statistics=scores.statistics,
        groups=None,
        people=(),
        titles=lambda essays: dict.fromkeys(essays, "Rivers"),
    )
    figure = draw(FigureName.RANKING, same, Chosen(template_id="novelty"))
    assert figure is not None
    assert isinstance(figure.plot, DotWhiskers)
    names = [row.name for row in figure.plot.panels[0].rows]
    assert len(set(names)) == len(names) == 12
