"""From an essay's or a reply's Markdown to HTML that is safe in a page: text, titles, emphasis, lists and tables.

The text comes from an LLM and is not trusted. HTML in it stays text; links and images are not made, so that nothing
can be loaded or followed. Titles become smaller ones than those of the page.
"""

from __future__ import annotations

import re
from functools import cache
from secrets import token_hex

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

# A longer text is shown as it is written, because a browser would take long to lay it out.
LONGEST_PROSE = 40_000
_FIRST_TITLE, _LAST_TITLE = 3, 6
# The most cells of tables that a text may have, because Markdown fills up the cells that a row lacks.
_MOST_CELLS = 2_000
_TAG = re.compile(r"<(/?)([a-z][a-z0-9]*)(?:[^>]*[^/>])?>")
_LINE = re.compile(r"(?P<lead>[ \t]*(?:(?:#{1,6}|>|[-*+]|[0-9]{1,9}[.)])[ \t]+)*)(?P<text>.*)", re.DOTALL)


def prose(text: str) -> Markup:
    """Return a text as HTML."""
    return Markup(_markdown().render(text))  # noqa: S704 (the parser escapes all HTML)


def prose_with_mark(lines: list[str], marked: int | None) -> Markup | None:
    """Return the lines as HTML with one of them marked; None if the mark does not survive the Markdown."""
    if marked is None:
        return prose("\n".join(lines))
    found = _LINE.fullmatch(lines[marked])
    if found is None or not found["text"].strip():
        return None
    # Marks that no text can have in it, not even as an entity, carry the line through the Markdown.
    token = token_hex(8)
    start, end = f"\ue000{token}\ue001", f"\ue002{token}\ue003"
    line = f"{found['lead']}{start}{found['text']}{end}"
    html = _markdown().render("\n".join([*lines[:marked], line, *lines[marked + 1 :]]))
    before, opened, rest = html.partition(start)
    inside, closed, after = rest.partition(end)
    if not (opened and closed) or token in before + inside + after or not _is_balanced(inside):
        return None
    return Markup(f"{before}<mark>{inside}</mark>{after}")  # noqa: S704 (as above)


def is_prose(text: str) -> bool:
    """Return True if a text is short enough to be shown as prose, is not JSON, and has no huge table."""
    if len(text) > LONGEST_PROSE or text.lstrip().startswith(("{", "[")):
        return False
    columns = [line.count("|") + 1 for line in text.splitlines() if "|" in line]
    return len(columns) * max(columns, default=0) <= _MOST_CELLS


def _is_balanced(html: str) -> bool:
    """Return True if each element that begins in the HTML also ends in it."""
    open_tags: list[str] = []
    for closes, name in _TAG.findall(html):
        if not closes:
            open_tags.append(name)
        elif not open_tags or open_tags.pop() != name:
            return False
    return not open_tags


@cache
def _markdown() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable("table")
    parser.disable(["link", "image", "autolink", "reference", "html_block", "html_inline"])
    parser.core.ruler.push("fit_the_page", _fit_the_page)
    return parser


def _fit_the_page(state: object) -> None:
    tokens: list[Token] = getattr(state, "tokens", [])
    titles = [token for token in tokens if token.type in ("heading_open", "heading_close")]
    # The largest title of a text becomes the first below the page's own, so that no level is left out.
    largest = min((int(token.tag[1]) for token in titles), default=1)
    for token in tokens:
        # The side of a column would be an inline style, which the pages forbid.
        token.attrs.pop("style", None)
    for token in titles:
        token.tag = f"h{min(_LAST_TITLE, int(token.tag[1]) - largest + _FIRST_TITLE)}"
