"""From an essay's or a reply's Markdown to HTML that is safe in a page: text, titles, emphasis, lists and tables.

The text comes from an LLM and is not trusted. HTML in it stays text; links and images are not made, so that nothing
can be loaded or followed. Titles become smaller ones than those of the page.
"""

from __future__ import annotations

import re
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

# A longer text is shown as it is written, because a browser would take long to lay it out.
LONGEST_PROSE = 40_000
_FIRST_TITLE, _LAST_TITLE = 3, 6
# Private characters that no text should have; they carry the marked line through the Markdown.
_START, _END = "\ue000", "\ue001"
_TAG = re.compile(r"<(/?)([a-z][a-z0-9]*)(?:[^>]*[^/>])?>")
_LINE = re.compile(r"(?P<lead>[ \t]*(?:(?:#{1,6}|>|[-*+]|[0-9]{1,9}[.)])[ \t]+)*)(?P<text>.*)", re.DOTALL)


def prose(text: str) -> Markup:
    """Return a text as HTML."""
    return Markup(_markdown().render(_without_marks(text)))  # noqa: S704 (the parser escapes all HTML)


def prose_with_mark(lines: list[str], marked: int | None) -> Markup | None:
    """Return the lines as HTML with one of them marked; None if the mark does not survive the Markdown."""
    whole = [_without_marks(line) for line in lines]
    if marked is None:
        return prose("\n".join(whole))
    found = _LINE.fullmatch(whole[marked])
    if found is None or not found["text"].strip():
        return None
    whole[marked] = f"{found['lead']}{_START}{found['text']}{_END}"
    html = _markdown().render("\n".join(whole))
    before, start, rest = html.partition(_START)
    inside, end, after = rest.partition(_END)
    if not (start and end) or _START in rest or _END in before + after or not _is_balanced(inside):
        return None
    return Markup(html.replace(_START, "<mark>").replace(_END, "</mark>"))  # noqa: S704 (as above)


def is_prose(text: str) -> bool:
    """Return True if a text is short enough to be shown as prose, and is no JSON."""
    return len(text) <= LONGEST_PROSE and not text.lstrip().startswith(("{", "["))


def _is_balanced(html: str) -> bool:
    """Return True if each element that begins in the HTML also ends in it."""
    open_tags: list[str] = []
    for closes, name in _TAG.findall(html):
        if not closes:
            open_tags.append(name)
        elif not open_tags or open_tags.pop() != name:
            return False
    return not open_tags


def _without_marks(text: str) -> str:
    return text.replace(_START, "").replace(_END, "")


@cache
def _markdown() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable("table")
    parser.disable(["link", "image", "autolink", "reference", "html_block", "html_inline"])
    parser.core.ruler.push("smaller_titles", _make_titles_smaller)
    return parser


def _make_titles_smaller(state: object) -> None:
    tokens: list[Token] = getattr(state, "tokens", [])
    titles = [token for token in tokens if token.type in ("heading_open", "heading_close")]
    # The largest title of a text becomes the first below the page's own, so that no level is left out.
    largest = min((int(token.tag[1]) for token in titles), default=1)
    for token in titles:
        token.tag = f"h{min(_LAST_TITLE, int(token.tag[1]) - largest + _FIRST_TITLE)}"
