"""Two judges, a judge and a person, or two templates, on the same essays: one against the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np

from essay_cohorts.amounts import counted
from essay_cohorts.amounts import figure as two_decimals
from essay_cohorts.figures.figure import Figure, Width
from essay_cohorts.figures.sheet import PIXELS_AN_INCH, TEXT_PIXELS, Sheet, points, shortened
from essay_cohorts.rubric import Scale
from essay_cohorts.statistics.differences import EssayPair, SideBySide

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# More points would cover each other, so squares with counts replace them.
MOST_POINTS = 500
_SQUARES = 18
# A part of the scale: dots of essays with the same two scores lie beside each other, but near their true place.
_JITTER = 0.012
_LEFT_PIXELS, _BOTTOM_PIXELS, _KEY_PIXELS, _LARGEST = 54.0, 46.0, 90.0, 400.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Scatter:
    """The values of essays on two sides, `first` across and `second` upwards, on one scale."""

    first: str
    second: str
    scale: Scale
    essays: Sequence[EssayPair]

    @property
    def is_dense(self) -> bool:
        """True if squares with counts replace the dots."""
        return len(self.essays) > MOST_POINTS

    def places(self) -> list[tuple[float, float]]:
        """Return where the dots are: the essays' means, each moved a little."""
        return [
            (
                _moved(each.first, f"x{each.essay_id}", self.scale),
                _moved(each.second, f"y{each.essay_id}", self.scale),
            )
            for each in self.essays
        ]

    def squares(self) -> dict[tuple[int, int], int]:
        """Return how many essays are in each square, by column and row from the lowest scores."""
        pairs = ((_square(each.first, self.scale), _square(each.second, self.scale)) for each in self.essays)
        return dict(sorted(Counter(pairs).items()))

    def height(self, width: Width) -> float:
        """Return the height in pixels."""
        return self._side(width) + _BOTTOM_PIXELS + 8

    def draw(self, sheet: Sheet, top: float, width: Width) -> None:
        """Draw the essays and the diagonal of equal scores."""
        side = self._side(width)
        axes = sheet.axes(_LEFT_PIXELS, top + 8, side, side)
        axes.spines["left"].set_visible(True)
        ends = self.scale.low, self.scale.high
        if self.is_dense:
            self._draw_squares(sheet, axes, top, side)
        else:
            axes.scatter(
                [x for x, _ in self.places()],
                [y for _, y in self.places()],
                s=20,
                color=sheet.theme.accent,
                alpha=0.65,
                linewidths=0,
                gid="essays",
                clip_on=False,
            )
        axes.plot(ends, ends, linestyle=(0, (4, 4)), color=sheet.ink, linewidth=0.8, gid="diagonal")
        axes.set(xlim=ends, ylim=ends)
        axes.locator_params(nbins=10 if width is Width.WIDE else 5)
        for set_label, judge in ((axes.set_xlabel, self.first), (axes.set_ylabel, self.second)):
            label = f"{shortened(judge, side * 0.55)}: mean score ({self.scale})"
            set_label(label, color=sheet.ink, fontsize=points(TEXT_PIXELS))
        sheet.grid(axes, "both")

    def _side(self, width: Width) -> float:
        return min(width.pixels - _LEFT_PIXELS - (_KEY_PIXELS if self.is_dense else 12), _LARGEST)

    def _draw_squares(self, sheet: Sheet, axes: Axes, top: float, side: float) -> None:
        from matplotlib import colormaps
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import LogNorm
        from matplotlib.patches import Rectangle

        squares, step = self.squares(), self.scale.span / _SQUARES
        shades = ScalarMappable(norm=LogNorm(1, max(2, *squares.values())), cmap=colormaps["cividis_r"])
        for (column, row), count in squares.items():
            corner = (self.scale.low + column * step, self.scale.low + row * step)
            square = Rectangle(
                corner, step, step, facecolor=shades.to_rgba(np.array([count]))[0], gid=f"square-{column}-{row}"
            )
            axes.add_patch(square)
        key = sheet.axes(_LEFT_PIXELS + side + 22, top + 28, 12, min(side * 0.6, 1.6 * PIXELS_AN_INCH))
        bar = axes.figure.colorbar(shades, cax=key, format="{x:.0f}")
        bar.outline.set_visible(False)
        sheet.text(_LEFT_PIXELS + side + 22, top + 8, "essays")


def scatter_figure(sides: SideBySide) -> Figure | None:
    """Return the second side against the first; None if they share no essay."""
    if not sides.essays:
        return None
    first, second, under = sides.first, sides.second, f" under {sides.template_id}" if sides.template_id else ""
    plot = Scatter(first=first, second=second, scale=sides.scale, essays=sides.essays)
    how = (
        f"Each square counts the essays in it, because there are more than {MOST_POINTS}."
        if plot.is_dense
        else "Each dot is an essay, jittered by up to 1.2 % of the scale."
    )
    return Figure(
        name=f"{first}-against-{second}" + (f"-under-{sides.template_id}" if sides.template_id else ""),
        title=f"{second} against {first}{under}",
        note=f"n = {counted(len(sides.essays), 'essay')}; {_difference(sides)}{_correlation(sides)}",
        caption=f"{how} On the dashed line both give the same score; above it {second} gives more.",
        plot=plot,
    )


def _moved(score: float, key: str, scale: Scale) -> float:
    """Return the score moved by a small part of the scale, always the same for the same key, within the scale."""
    part = crc32(key.encode(errors="replace")) / 0xFFFFFFFF * 2 - 1
    return min(max(score + part * _JITTER * scale.span, scale.low), scale.high)


def _square(score: float, scale: Scale) -> int:
    # Rounded, because the quotient of a score on an edge may be just below a whole number.
    return min(int(round((score - scale.low) / scale.span * _SQUARES, 6)), _SQUARES - 1)


def _difference(sides: SideBySide) -> str:
    found = sides.difference
    if found.value is None:
        return found.note
    ends = [two_decimals(end, signed=True) for end in (found.low, found.high) if end is not None]
    interval = f" (95 % interval {' to '.join(ends)}{'' if found.reliable else f', {found.note}'})" if ends else ""
    return f"mean of {sides.second} minus {sides.first} {two_decimals(found.value, signed=True)}{interval}"


def _correlation(sides: SideBySide) -> str:
    return "" if sides.correlation is None else f"; r = {two_decimals(sides.correlation)}"
