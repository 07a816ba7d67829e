"""Measured figures: repeated runs of a program, and of the programs that it is compared with, taken in turn."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from rich.progress import track
from rich.table import Table

T = TypeVar("T")
_NUMBERS = ("median", "limit", "ratio")


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A measured figure in `unit`; its median must not exceed `limit` (None: no limit is promised).

    `others` has the runs of the alternatives by name; each gives a ratio of medians.
    """

    name: str
    unit: str
    runs: Sequence[float]
    limit: float | None = None
    others: Mapping[str, Sequence[float]]

    @property
    def median(self) -> float:
        """The median of the runs."""
        return statistics.median(self.runs)

    @property
    def holds(self) -> bool | None:
        """Whether the limit is kept; None without one."""
        return None if self.limit is None else self.median <= self.limit

    def ratio(self, other: str) -> float | None:
        """Return this figure's median divided by the other's; None when the other's is 0."""
        median = statistics.median(self.others[other])
        return self.median / median if median else None

    def to_json(self) -> dict[str, Any]:
        """Return the figure without its name, in the form of results.json."""
        others = {
            name: {
                "runs": _rounded(runs),
                "median": _round(statistics.median(runs)),
                "ratio": _round(self.ratio(name)),
            }
            for name, runs in self.others.items()
        }
        figure = {"unit": self.unit, "median": _round(self.median), "limit": self.limit}
        return {**figure, "holds": self.holds, "runs": _rounded(self.runs), "others": others}


def in_turn(
    subjects: Mapping[str, Callable[[], T]], runs: int, description: str, *, warm_up: bool = True
) -> dict[str, list[T]]:
    """Run all subjects `runs` times, one after the other in each round.

    With `warm_up` each subject runs once before, without being counted. `description` is shown with the progress.
    """
    results: dict[str, list[T]] = {name: [] for name in subjects}
    if warm_up:
        for subject in subjects.values():
            subject()
    for _ in track(range(runs), description=description):
        for name, subject in subjects.items():
            results[name].append(subject())
    return results


def table_of(figures: Sequence[Figure]) -> Table:
    """Return the figures as a table: medians, limits and comparisons."""
    table = Table(box=None, pad_edge=False)
    for heading in ("measured", "unit", "median", "limit", "", "compared with", "median", "ratio"):
        table.add_column(heading, no_wrap=True, justify="right" if heading in _NUMBERS else "left")
    for figure in figures:
        limit = "" if figure.limit is None else f"{figure.limit:g}"
        verdict = {None: "", True: "holds", False: "MISSED"}[figure.holds]
        first = (figure.name, figure.unit, f"{figure.median:.3g}", limit, verdict)
        rows = [
            (name, f"{statistics.median(runs):.3g}", f"{figure.ratio(name) or 0:.2f}")
            for name, runs in figure.others.items()
        ]
        for number, row in enumerate(rows or [("", "", "")]):
            table.add_row(*(first if number == 0 else ("",) * 5), *row)
    return table


def _rounded(values: Sequence[float]) -> list[float]:
    return [float(f"{value:.4g}") for value in values]


def _round(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
