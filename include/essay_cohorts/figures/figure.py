"""What a figure is: its data as a plot, its width, and the words that belong to it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from essay_cohorts.figures.sheet import Sheet


class Width(StrEnum):
    """The room that a figure has: a page or a sheet of paper, or the screen of a phone."""

    WIDE = "wide"
    NARROW = "narrow"

    @property
    def pixels(self) -> int:
        """The width of the whole figure; a pixel is a hundredth of an inch on paper."""
        return 720 if self is Width.WIDE else 340

    @property
    def label_pixels(self) -> int:
        """The width of the names left of a plot."""
        return 190 if self is Width.WIDE else 110


class Plot(Protocol):
    """The data of a figure, exact, and how to draw them."""

    def height(self, width: Width, /) -> float:
        """Return the height in pixels."""

    def draw(self, sheet: Sheet, top: float, width: Width, /) -> None:
        """Draw on the sheet, from `top` downwards."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """A figure that can be printed.

    `name` is the stem of its file names. `note` says how much it is drawn from, such as "n = 12 essays". `caption`
    says what is drawn and how to read it. `source` says where a printed figure comes from.
    """

    name: str
    title: str
    note: str
    caption: str
    plot: Plot
    source: str = ""

    @property
    def description(self) -> str:
        """The figure in words, for those who cannot see it."""
        return f"{self.title}. {self.note}. {self.caption}"
