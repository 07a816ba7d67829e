"""Means with their intervals: a row for each name, a dot for the mean, a whisker for the interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from essay_cohorts.amounts import figure as two_decimals
from essay_cohorts.figures.figure import Width
from essay_cohorts.figures.sheet import TEXT_PIXELS, Sheet, points, shortened
from essay_cohorts.rubric import Scale
from essay_cohorts.statistics.bootstrap import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROW_PIXELS, _AXIS_PIXELS, _TITLE_PIXELS = 22.0, 46.0, 20.0
# The room right of a plot for the mean in figures.
_VALUE_PIXELS = 50.0

WHISKERS = "Dots are means, whiskers 95 % intervals."
UNRELIABLE = "Dashed whiskers are unreliable: fewer than 20 essays."


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A named estimate that has a value; `strong` marks the row that sums up the others."""

    name: str
    estimate: Estimate
    strong: bool = False

    @property
    def mean(self) -> float:
        """The value."""
        return self.estimate.value or 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """Rows on one scale, below a title of their own; `axis` names the scale."""

    title: str
    rows: Sequence[Row]
    scale: Scale
    axis: str

    @property
    def height(self) -> float:
        """The height in pixels, with title and axis."""
        return (_TITLE_PIXELS if self.title else 0) + len(self.rows) * _ROW_PIXELS + _AXIS_PIXELS


@dataclass(frozen=True, kw_only=True, slots=True)
class DotWhiskers:
    """Panels below each other, with their plots in line."""

    panels: Sequence[Panel]

    @property
    def legend(self) -> str:
        """What the marks mean, in sentences."""
        estimates = [row.estimate for panel in self.panels for row in panel.rows]
        with_interval = [each for each in estimates if each.low is not None]
        parts = [WHISKERS if with_interval else "Dots are means; there is no interval."]
        if any(not each.reliable for each in with_interval):
            parts.append(UNRELIABLE)
        return " ".join(parts)

    def height(self, _width: Width) -> float:
        """Return the height in pixels."""
        return sum(panel.height for panel in self.panels)

    def draw(self, sheet: Sheet, top: float, width: Width) -> None:
        """Draw the panels."""
        for number, panel in enumerate(self.panels):
            _draw_panel(sheet, top, width, panel, number)
            top += panel.height


def _draw_panel(sheet: Sheet, top: float, width: Width, panel: Panel, number: int) -> None:
    left = width.label_pixels
    if panel.title:
        sheet.text(0, top, shortened(panel.title, width.pixels * 0.9), bold=True)
        top += _TITLE_PIXELS
    room = width.pixels - left - _VALUE_PIXELS
    axes = sheet.axes(left, top, room, _ROW_PIXELS * len(panel.rows))
    axes.set_xlim(panel.scale.low, panel.scale.high)
    axes.set_ylim(len(panel.rows) - 0.5, -0.5)
    axes.set_yticks([])
    axes.locator_params(axis="x", nbins=10 if width is Width.WIDE else 5)
    axes.set_xlabel(panel.axis, color=sheet.ink, fontsize=points(TEXT_PIXELS))
    sheet.grid(axes, "x")
    for place, row in enumerate(panel.rows):
        _draw_row(sheet, axes, place, row, f"{number}-{place}")
        middle = top + (place + 0.5) * _ROW_PIXELS
        sheet.text(left - 8, middle, shortened(row.name, left - 8), align="right", middle=True, bold=row.strong)
        sheet.text(width.pixels - _VALUE_PIXELS + 10, middle, two_decimals(row.mean), middle=True)


def _draw_row(sheet: Sheet, axes: Axes, place: int, row: Row, key: str) -> None:
    found, colour = row.estimate, sheet.theme.accent
    if found.low is not None and found.high is not None:
        line = "-" if found.reliable else (0, (2, 2))
        ends = [found.low, found.high]
        axes.plot(ends, [place] * 2, linestyle=line, color=colour, linewidth=1.6, gid=f"whisker-{key}")
    marker = "D" if row.strong else "o"
    axes.plot([row.mean], [place], marker=marker, markersize=6.0, color=colour, clip_on=False, gid=f"dot-{key}")
