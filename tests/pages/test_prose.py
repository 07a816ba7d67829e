"""Markdown of essays and replies as HTML: titles are titles, nothing else happens, and a mark stays in its line."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from essay_cohorts_airflow.pages.essays.prose import LONGEST_PROSE, is_prose, prose, prose_with_mark

_ALLOWED = {
    *("p", "br", "h3", "h4", "h5", "h6", "em", "strong", "ul", "ol", "li", "blockquote", "pre", "code", "hr", "mark"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}


@pytest.mark.parametrize(
    ("text", "html"),
    [
        pytest.param("# Tides", "<h3>Tides</h3>", id="title"),
        pytest.param("#### Tides", "<h3>Tides</h3>", id="a small title alone"),
        pytest.param("## a\n###### b", "<h3>a</h3>\n<h6>b</h6>", id="two titles"),
        pytest.param("Tides\n=====", "<h3>Tides</h3>", id="underlined title"),
        pytest.param("one\ntwo", "<p>one<br />\ntwo</p>", id="lines stay lines"),
        pytest.param("*a* **b**", "<p><em>a</em> <strong>b</strong></p>", id="emphasis"),
        pytest.param("<script>x</script>", "<p>&lt;script&gt;x&lt;/script&gt;</p>", id="html is text"),
        pytest.param("[a](javascript:x)", "<p>[a](javascript:x)</p>", id="no links"),
        pytest.param("![a](http://b/c.png)", "<p>![a](http://b/c.png)</p>", id="no images"),
        pytest.param("<http://a.b>", "<p>&lt;http://a.b&gt;</p>", id="no addresses"),
        pytest.param("[x]: http://a.b\n\n[x]", "<p>[x]: http://a.b</p>\n<p>[x]</p>", id="no references"),
        pytest.param(
            "|a|b|\n|:-|-:|", "<table>\n<thead>\n<tr>\n<th>a</th>\n<th>b</th>\n</tr>\n</thead>\n</table>", id="sides"
        ),
    ],
)
def test_markdown_becomes_html(text: str, html: str) -> None:
    """Titles, emphasis and lines are shown; HTML, links and images stay text."""
    assert prose(text).strip() == html


@pytest.mark.parametrize(
    ("lines", "marked", "found"),
    [
        pytest.param(["Why.", "", "SCORE: 7"], 2, "<mark>SCORE: 7</mark>", id="plain"),
        pytest.param(["**SCORE: 7**"], 0, "<mark><strong>SCORE: 7</strong></mark>", id="bold"),
        pytest.param(["## Score: 8", "x"], 0, "<h3><mark>Score: 8</mark></h3>", id="title"),
        pytest.param(["- Score: 3"], 0, "<li><mark>Score: 3</mark></li>", id="list"),
        pytest.param(["> 1. Score: 3"], 0, "<mark>Score: 3</mark>", id="quoted list"),
        pytest.param(["```", "SCORE: 4", "```"], 1, "<code><mark>SCORE: 4</mark>", id="code"),
        pytest.param(["a *b", "SCORE: 4* c"], 1, None, id="emphasis over two lines"),
        pytest.param(["|a|b|", "|-|-|", "|SCORE:|5|"], 2, None, id="a row of a table"),
        pytest.param(["x", ""], 1, None, id="an empty line"),
        pytest.param(["|a|", "|-|", "|a &#xE001; | SCORE: 9|"], 2, None, id="a mark in the text, and a lost cell"),
    ],
)
def test_one_line_is_marked(lines: list[str], marked: int, found: str | None) -> None:
    """The line is marked where the Markdown leaves it whole; else there is no prose."""
    html = prose_with_mark(lines, marked)
    if found is None:
        assert html is None
    else:
        assert html is not None
        assert found in html


@settings(deadline=None, max_examples=300)
@given(st.text(alphabet="ab#*_`~<>[]()!|-+.:\n \t\ue000\ue001'\"&\\1", max_size=60), st.integers(0, 8))
def test_any_text_gives_only_harmless_elements(text: str, marked: int) -> None:
    """Whatever the text is, the HTML has only elements of text without attributes but a column's side, all closed."""
    lines = text.split("\n")
    for html in (prose(text), prose_with_mark(lines, min(marked, len(lines) - 1)) or ""):
        tags = re.findall(r"<(/?)([^\s/>]+)([^>]*)>", html)
        assert {name for _, name, _ in tags} <= _ALLOWED
        attributes = {rest.strip(" /") for _, _, rest in tags} - {""}
        assert all(re.fullmatch(r'class="language-[^"<>]*"|start="[0-9]+"', each) for each in attributes)
        assert html.count("<mark>") == html.count("</mark>") <= 1
        opened: list[str] = []
        for closes, name, rest in tags:
            if closes:
                assert opened.pop() == name
            elif not rest.endswith("/") and name not in {"br", "hr"}:
                opened.append(name)
        assert not opened


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("An essay.", True, id="text"),
        pytest.param('{"score": 7}', False, id="json"),
        pytest.param(" [1, 2]", False, id="json list"),
        pytest.param("x" * (LONGEST_PROSE + 1), False, id="too long"),
        pytest.param("|a" * 250 + "\n" + "|-" * 250 + "\n|x" * 250, False, id="a table that Markdown fills up"),
        pytest.param("|a|b|\n|-|-|\n" + "|1|2|\n" * 50, True, id="an ordinary table"),
    ],
)
def test_what_is_prose(text: str, shown: bool) -> None:
    """JSON and very long texts are shown as they are written."""
    assert is_prose(text) is shown
