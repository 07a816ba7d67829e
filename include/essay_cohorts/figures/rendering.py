"""From a figure to SVG and PNG, by matplotlib, without a browser.

A page shows the title, the note and the caption as text around the figure. A downloaded file carries them itself.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings, filterwarnings

from essay_cohorts.figures.figure import Figure, Width
from essay_cohorts.figures.sheet import (
    LINE_HEIGHT,
    PIXELS_AN_INCH,
    SMALL_PIXELS,
    TEXT_PIXELS,
    TITLE_PIXELS,
    Sheet,
    Theme,
    drawable,
    letters,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

# Enough for print: a figure that is 720 pixels wide becomes 2,160 pixels wide.
_PNG_SCALE = 3
_MARGIN = 12.0
# The SVG names the font that it was measured with; a browser has narrower ones that look better on a page.
_MEASURED_FONT, _FONTS = "'DejaVu Sans'", "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans'"
# Text stays text, a $ is a $, and the same figure always gives the same file.
_SETTINGS: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "essay-cohorts",
    "font.sans-serif": ["DejaVu Sans"],
    "text.parse_math": False,
}
# Matplotlib's settings belong to the process, and its drawing is not made for threads.
_drawing = Lock()


def to_svg(figure: Figure, width: Width = Width.WIDE, theme: Theme = Theme.LIGHT) -> str:
    """Return the SVG for a page, without the figure's words, and without a background."""
    return _drawn(figure, width, theme, "svg", with_words=False).decode()


def to_printable_svg(figure: Figure) -> str:
    """Return the SVG as a file of its own: on white, with the title, the note and the caption."""
    return _drawn(figure, Width.WIDE, Theme.LIGHT, "svg", with_words=True).decode()


def to_printable_png(figure: Figure) -> bytes:
    """Return `to_printable_svg` as a PNG with three pixels in width and height for each of its pixels."""
    return _drawn(figure, Width.WIDE, Theme.LIGHT, "png", with_words=True)


def size_of(figure: Figure, width: Width) -> tuple[int, int]:
    """Return the width and height of `to_svg` in pixels, so that a page can leave room for it."""
    return width.pixels, round(figure.plot.height(width))


def _drawn(figure: Figure, width: Width, theme: Theme, form: str, *, with_words: bool) -> bytes:
    # Only a process that draws needs the library, whose import takes half a second.
    from matplotlib import rc_context
    from matplotlib.figure import Figure as Canvas

    margin = _MARGIN if with_words else 0.0
    head = [_Block.of(figure.title, TITLE_PIXELS, width), _Block.of(figure.note, TEXT_PIXELS, width)]
    foot = [_Block.of(figure.caption, TEXT_PIXELS, width), _Block.of(figure.source, SMALL_PIXELS, width)]
    if not with_words:
        head = foot = []
    plot_top = margin + sum(block.height for block in head) + margin
    plot_end = plot_top + figure.plot.height(width) + margin
    height = round(plot_end + sum(block.height for block in foot) + margin)
    with _drawing, rc_context(_SETTINGS), catch_warnings():
        # An SVG keeps such text for the fonts of its reader; a PNG shows a box.
        filterwarnings("ignore", r"Glyph .* missing from font")
        canvas = Canvas(
            figsize=((width.pixels + 2 * margin) / PIXELS_AN_INCH, height / PIXELS_AN_INCH),
            facecolor="white" if with_words else "none",
        )
        sheet = Sheet(canvas=canvas, width=width.pixels + 2 * margin, height=height, theme=theme, margin=margin)
        _write(sheet, head, margin)
        figure.plot.draw(sheet, plot_top, width)
        _write(sheet, foot, plot_end)
        return _saved(canvas, form, figure)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Block:
    """A text in lines of one size; the largest size is that of titles, in bold."""

    lines: tuple[str, ...]
    size: float

    @classmethod
    def of(cls, text: str, size: float, width: Width) -> _Block:
        return cls(lines=tuple(textwrap.wrap(text, letters(width.pixels, size))), size=size)

    @property
    def height(self) -> float:
        return len(self.lines) * self.size * LINE_HEIGHT


def _write(sheet: Sheet, blocks: Iterable[_Block], top: float) -> None:
    for block in blocks:
        for line in block.lines:
            sheet.text(0, top, line, size=block.size, bold=block.size == TITLE_PIXELS)
            top += block.size * LINE_HEIGHT


def _saved(canvas: Canvas, form: str, figure: Figure) -> bytes:
    file = io.BytesIO()
    if form == "png":
        canvas.savefig(file, format="png", dpi=PIXELS_AN_INCH * _PNG_SCALE)
        return file.getvalue()
    text = io.StringIO()
    canvas.savefig(
        text,
        format="svg",
        metadata={"Date": None, "Title": drawable(figure.title), "Description": drawable(figure.description)},
    )
    return text.getvalue().replace(_MEASURED_FONT, _FONTS).encode()
