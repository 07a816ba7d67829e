"""The agreement of judges as a matrix: Krippendorff's alpha of each pair, and of each judge with itself."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from essay_cohorts.amounts import counted, with_minus_sign
from essay_cohorts.amounts import figure as two_decimals
from essay_cohorts.figures.figure import Figure, Width
from essay_cohorts.figures.sheet import TEXT_PIXELS, Sheet, points, shortened
from essay_cohorts.statistics.agreement import PairAlpha

_WIDEST_CELL, _CELL_HEIGHT, _HEAD_PIXELS = 64.0, 34.0, 92.0
# A narrower cell shows its colour only; the numbers are in the table beside the figure.
_NARROWEST_WITH_NUMBER = 30.0
# Five colours show alpha, the darkest the highest. Krippendorff accepts 0.8, and 0.667 for tentative conclusions.
_BOUNDS = (0.2, 0.4, 0.667, 0.8)
_COLOURS = ("#eff3ff", "#bdd7e7", "#6baed6", "#2f7fbc", "#08519c")
_WHITE_FROM = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class AgreementMatrix:
    """Alpha of each pair of judges; `pairs` has each pair once, and each judge with itself."""

    judges: Sequence[str]
    pairs: Sequence[PairAlpha]

    def cells(self) -> dict[tuple[int, int], PairAlpha]:
        """Return the cells by row and column, each pair of two judges twice."""
        place = {judge: number for number, judge in enumerate(self.judges)}
        found = {}
        for each in self.pairs:
            row, column = place[each.first], place[each.second]
            found[row, column] = found[column, row] = each
        return found

    def height(self, _width: Width) -> float:
        """Return the height in pixels."""
        return _HEAD_PIXELS + len(self.judges) * _CELL_HEIGHT

    def draw(self, sheet: Sheet, top: float, width: Width) -> None:
        """Draw a coloured cell with its number for each pair."""
        from matplotlib.patches import Rectangle

        judges, left = len(self.judges), width.label_pixels
        cell = min(_WIDEST_CELL, (width.pixels - left - 40) / judges)
        top += _HEAD_PIXELS
        axes = sheet.axes(left, top, cell * judges, _CELL_HEIGHT * judges)
        axes.set(xlim=(0, judges), ylim=(judges, 0), xticks=[], yticks=[])
        axes.spines["bottom"].set_visible(False)
        for (row, column), each in self.cells().items():
            shade = None if each.alpha is None else bisect_right(_BOUNDS, each.alpha)
            ink = sheet.ink if shade is None else "#ffffff" if shade >= _WHITE_FROM else "#18181b"
            colour = "none" if shade is None else _COLOURS[shade]
            axes.add_patch(
                Rectangle((column, row), 1, 1, facecolor=colour, edgecolor="#ffffff", gid=f"cell-{row}-{column}")
            )
            number = shown(each.alpha) if cell >= _NARROWEST_WITH_NUMBER else ""
            axes.text(
                column + 0.5, row + 0.5, number, color=ink, ha="center", va="center", fontsize=points(TEXT_PIXELS),
                gid=f"alpha-{row}-{column}",
            )  # fmt: skip
        for place, judge in enumerate(self.judges):
            middle = top + (place + 0.5) * _CELL_HEIGHT
            sheet.text(left - 8, middle, shortened(judge, left - 8), align="right", middle=True)
            axes.text(
                place + 0.45, -0.15, shortened(judge, _HEAD_PIXELS * 1.25), rotation=40, ha="left", va="bottom",
                color=sheet.ink, fontsize=points(TEXT_PIXELS), rotation_mode="anchor",
            )  # fmt: skip


def agreement_matrix(template_id: str, pairs: Sequence[PairAlpha]) -> Figure | None:
    """Return the matrix of one template; None for fewer than two judges. `pairs` has each pair once."""
    judges = list(dict.fromkeys(name for each in pairs for name in (each.first, each.second)))
    if len(judges) < 2:
        return None
    essays = max(each.essays for each in pairs)
    return Figure(
        name=f"agreement-{template_id}",
        title=f"Agreement of judges under {template_id}",
        note=f"n = up to {counted(essays, 'essay')}, {counted(len(judges), 'judge')}",
        caption="Krippendorff's alpha for interval data: 1 is full agreement, 0 is what chance would give. "
        "Darker is higher, with steps at 0.2, 0.4, 0.667 and 0.8. The diagonal compares the replicates of one judge, "
        "which are single scores and so noisier than the means of the other cells. A dash means too few scores, or "
        "that all scores are the same.",
        plot=AgreementMatrix(judges=judges, pairs=pairs),
    )


def shown(alpha: float | None) -> str:
    """Return how a cell shows alpha."""
    return "–" if alpha is None else with_minus_sign(two_decimals(alpha))
