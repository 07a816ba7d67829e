"""How often each score was given: a panel of bars for each judge, all on one vertical scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from essay_cohorts.amounts import counted
from essay_cohorts.figures.figure import Figure, Width
from essay_cohorts.figures.judge_scores import JudgeSummary
from essay_cohorts.figures.sheet import SMALL_PIXELS, TEXT_PIXELS, Sheet, points, shortened
from essay_cohorts.rubric import points as score_text

_COLUMNS = {Width.WIDE: 3, Width.NARROW: 1}
_TITLE_PIXELS, _BARS_PIXELS, _AXIS_PIXELS, _GAP_PIXELS = 34.0, 110.0, 44.0, 6.0
_LEFT_PIXELS, _BETWEEN_PIXELS = 58.0, 46.0
# The width of a digit in small text.
_DIGIT_PIXELS = 5.6
# The part of the height that the tallest bar leaves for its number.
_HEADROOM = 0.12


@dataclass(frozen=True, kw_only=True, slots=True)
class Distributions:
    """The judges' bins of scores; each judge has a score."""

    judges: Sequence[JudgeSummary]

    @property
    def tallest(self) -> int:
        """The largest number of scores in a bin, which decides the scale of all panels."""
        return max(bar.count for judge in self.judges for bar in judge.bins)

    def height(self, width: Width) -> float:
        """Return the height in pixels."""
        return -(-len(self.judges) // self._columns(width)) * _panel_height()

    def draw(self, sheet: Sheet, top: float, width: Width) -> None:
        """Draw the panels from left to right, then below."""
        columns = self._columns(width)
        room = (width.pixels - _LEFT_PIXELS - _BETWEEN_PIXELS * (columns - 1)) / columns
        for number in range(len(self.judges)):
            row, column = divmod(number, columns)
            left = _LEFT_PIXELS + column * (room + _BETWEEN_PIXELS)
            self._draw_panel(sheet, left, top + row * _panel_height(), room, number)

    def _columns(self, width: Width) -> int:
        return min(_COLUMNS[width], max(2, len(self.judges)))

    def _draw_panel(self, sheet: Sheet, left: float, top: float, room: float, number: int) -> None:
        judge = self.judges[number]
        sheet.text(left, top, shortened(judge.model_id, room), bold=True)
        sheet.text(left, top + 15, f"n = {judge.scored:,}", size=SMALL_PIXELS)
        axes = sheet.axes(left, top + _TITLE_PIXELS, room, _BARS_PIXELS)
        bin_pixels = room / len(judge.bins)
        numbers_fit = len(f"{self.tallest:,}") * _DIGIT_PIXELS <= bin_pixels
        for place, bar in enumerate(judge.bins):
            axes.bar([place], [bar.count], width=0.84, color=sheet.theme.accent)[0].set_gid(f"bar-{number}-{place}")
            if bar.count and numbers_fit:
                axes.text(
                    place,
                    bar.count,
                    f"{bar.count:,}",
                    ha="center",
                    va="bottom",
                    color=sheet.ink,
                    fontsize=points(SMALL_PIXELS),
                )
        axes.set_ylim(0, self.tallest * (1 + _HEADROOM))
        axes.locator_params(axis="y", nbins=4, integer=True)
        names = [score_text(round(bar.low, 4)) for bar in judge.bins]
        # Of names that are too wide for their bins, only each second, third, ... is shown.
        every = ceil((max(map(len, names)) + 1) * _DIGIT_PIXELS * TEXT_PIXELS / SMALL_PIXELS / bin_pixels)
        axes.set_xticks(range(0, len(names), every), names[::every])
        axes.tick_params(axis="x", length=0)
        axes.set_xlabel(f"score ({judge.scale})", color=sheet.ink, fontsize=points(TEXT_PIXELS))
        if left == _LEFT_PIXELS:
            axes.set_ylabel("scores", color=sheet.ink, fontsize=points(TEXT_PIXELS))
        sheet.grid(axes, "y")


def distribution_figure(judges: Sequence[JudgeSummary]) -> Figure | None:
    """Return the distributions of one template's judges; None if nobody has a score."""
    scored = [judge for judge in judges if judge.scored]
    if not scored:
        return None
    template_id, scores = scored[0].template_id, sum(judge.scored for judge in scored)
    return Figure(
        name=f"distribution-{template_id}",
        title=f"Distribution of scores under {template_id}",
        note=f"n = {counted(scores, 'score')} of {counted(len(scored), 'judge')}",
        caption="Each bar counts the scores of one judge. All panels have the same vertical scale.",
        plot=Distributions(judges=scored),
    )


def _panel_height() -> float:
    return _TITLE_PIXELS + _BARS_PIXELS + _AXIS_PIXELS + _GAP_PIXELS
