"""A sheet to draw on, in pixels from its upper left corner, with the fonts and colours of all figures.

Text and lines have the colour `ink`. The colours of marks are those of Okabe and Ito (Color Universal Design, 2008),
which people with any kind of colour vision can distinguish.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from essay_cohorts.encoding import storable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

# Matplotlib counts text and lines in points, 72 an inch; a pixel here is a hundredth of an inch.
PIXELS_AN_INCH = 100
_POINTS_A_PIXEL = 72 / PIXELS_AN_INCH
TEXT_PIXELS, SMALL_PIXELS, TITLE_PIXELS = 11.0, 9.0, 15.0
LINE_HEIGHT = 1.4
# A letter's mean width as a part of the size of the text, on the wide side.
_LETTER = 0.58

_GRID_OPACITY = 0.18
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


class Theme(StrEnum):
    """The colour of the page behind a figure."""

    LIGHT = "light"
    DARK = "dark"

    @property
    def ink(self) -> str:
        """The colour of text and lines."""
        return "#18181b" if self is Theme.LIGHT else "#f4f4f5"

    @property
    def accent(self) -> str:
        """The colour of marks: blue, or a light blue on a dark page."""
        return "#0072b2" if self is Theme.LIGHT else "#56b4e9"


@dataclass(frozen=True, kw_only=True, slots=True)
class Sheet:
    """A sheet of `width` x `height` pixels. Its first `margin` pixels from the left stay empty."""

    canvas: Canvas
    width: float
    height: float
    theme: Theme
    margin: float = 0.0

    @property
    def ink(self) -> str:
        """The colour of text and lines."""
        return self.theme.ink

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Return a plot of this size with thin lines, whose upper left corner is at (left, top)."""
        bottom = self.height - top - height
        axes = self.canvas.add_axes(
            ((self.margin + left) / self.width, bottom / self.height, width / self.width, height / self.height)
        )
        axes.set_facecolor("none")
        for name, spine in axes.spines.items():
            spine.set_visible(name == "bottom")
            spine.set(color=self.ink, linewidth=0.8)
        axes.tick_params(colors=self.ink, labelsize=points(TEXT_PIXELS), width=0.8, length=3)
        axes.set_axisbelow(True)
        return axes

    def grid(self, axes: Axes, which: str) -> None:
        """Draw faint lines at the ticks of the axis `which`, "x", "y" or "both"."""
        axes.grid(axis=which, color=self.ink, alpha=_GRID_OPACITY, linewidth=0.8)  # type: ignore[arg-type]

    def text(
        self,
        left: float,
        top: float,
        text: str,
        *,
        size: float = TEXT_PIXELS,
        bold: bool = False,
        align: str = "left",
        middle: bool = False,
    ) -> None:
        """Write one line of text at (left, top), or with `middle` around the height `top`."""
        self.canvas.text(
            (self.margin + left) / self.width,
            1 - top / self.height,
            drawable(text),
            fontsize=points(size),
            fontweight="bold" if bold else "normal",
            color=self.ink,
            ha=align,
            va="center" if middle else "top",
        )


def points(pixels: float) -> float:
    """Return a size in points."""
    return pixels * _POINTS_A_PIXEL


def drawable(text: str) -> str:
    """Return the text without lone surrogates, and without characters that XML does not allow even escaped."""
    return _NOT_XML.sub("", storable(text))


def letters(pixels: float, size: float = TEXT_PIXELS) -> int:
    """Return how many letters of this size fit into a width."""
    return max(1, int(pixels / (size * _LETTER)))


def shortened(text: str, pixels: float) -> str:
    """Return as much of a text as fits into a width, with an ellipsis for the rest, in a form that can be drawn."""
    text, width = drawable(text), 0.0
    for place, character in enumerate(text):
        width += _em(character) * TEXT_PIXELS
        if width > pixels:
            return f"{text[: max(1, place - 2)].rstrip()}…"
    return text


def _em(character: str) -> float:
    """Return about how wide a character is, as a part of the size of the text."""
    if character in "iljtfr.,:;'|!()[] ":
        return 0.4
    if unicodedata.east_asian_width(character) in "WF" or character in "MW@%":
        return 1.0
    return 0.75 if character.isupper() or character in "mw" else 0.62
