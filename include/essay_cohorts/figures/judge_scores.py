"""The scores of each judge: how many, their mean and spread, and how often each score was given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pandas as pd

from essay_cohorts.domain import ScoreRow
from essay_cohorts.rubric import MOST_STEPS, Scale, points
from essay_cohorts.statistics.frame import cohort_frame, scale_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Bin:
    """A bar of a distribution: `count` scores from `low` to below `high`; the last holds the highest score too."""

    low: float
    high: float
    count: int
    is_last: bool

    @property
    def words(self) -> str:
        """The scores in the bin as a person reads them."""
        if not self.is_last:
            return f"from {points(self.low)} to below {points(self.high)}"
        return points(self.low) if self.low == self.high else f"from {points(self.low)} to {points(self.high)}"


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgeSummary:
    """The scores of one judge, that is, of one template by one model.

    `sd` is the sample standard deviation. `bins` is the distribution over the whole scale.
    """

    template_id: str
    model_id: str
    members: int
    scored: int
    mean: float | None
    sd: float | None
    lowest: float | None
    highest: float | None
    scale: Scale
    bins: tuple[Bin, ...]


def summarise_judges(rows: Sequence[ScoreRow]) -> tuple[JudgeSummary, ...]:
    """Return one summary per template and model, in the order of the rows."""
    frame = cohort_frame(rows)
    if frame.empty:
        return ()
    return tuple(
        JudgeSummary(
            template_id=str(template),
            model_id=str(model),
            members=len(group),
            scored=int(group["score"].count()),
            mean=_known(group["score"].mean()),
            sd=_known(group["score"].std()),
            lowest=_known(group["score"].min()),
            highest=_known(group["score"].max()),
            scale=(scale := scale_of(group)),
            bins=count_bins(group["score"], scale),
        )
        for (template, model), group in frame.groupby(["template", "model"], sort=False)
    )


def count_bins(scores: pd.Series[float], scale: Scale) -> tuple[Bin, ...]:
    """Return the distribution of scores in equal bins: whole points if the scale has few steps, else tenths of it."""
    low, high = scale.bounds
    in_points = bool(scale.whole_points)
    width = Decimal(1) if in_points else (high - low) / MOST_STEPS
    number = int((high - low) / width) + in_points
    lows = [float(low + step * width) for step in range(number)]
    # `right` puts a score on an edge into the bin that begins there.
    counts = np.bincount(np.searchsorted(lows, scores.dropna(), side="right") - 1, minlength=number)
    return tuple(
        Bin(low=start, high=end, count=int(count), is_last=start == lows[-1])
        for start, end, count in zip(lows, [*lows[1:], scale.high], counts, strict=True)
    )


def _known(value: float) -> float | None:
    return None if pd.isna(value) else float(value)
