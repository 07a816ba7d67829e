"""Summarises a cohort's score rows: counts by outcome, cells, and the distribution of each judge's scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pandas as pd

from essay_cohorts.domain import Cell, Outcome, ScoreRow
from essay_cohorts.rubric import MOST_STEPS, Scale, points
from essay_cohorts.statistics.frame import scale_of

_MISSING = (Outcome.NOT_RUN, Outcome.DEFERRED, Outcome.IN_FLIGHT_ELSEWHERE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Totals:
    """Counts of a run's evaluations. Each planned evaluation has exactly one of the outcomes `reused` to `not_run`.

    `called` counts the evaluations whose reply this run paid for; `cost_usd` is the cost of these replies, None if
    the price of one of them is unknown.
    """

    planned: int
    reused: int
    scored: int
    unscored: int
    failed: int
    in_flight_elsewhere: int
    deferred: int
    not_run: int
    called: int
    cost_usd: float | None

    def count(self, outcome: Outcome) -> int:
        """Return how many evaluations have this outcome."""
        number: int = getattr(self, outcome.value)
        return number

    @property
    def adds_up(self) -> bool:
        """True when each planned evaluation has exactly one outcome."""
        return self.planned == sum(self.count(outcome) for outcome in Outcome)


@dataclass(frozen=True, kw_only=True, slots=True)
class CellSummary:
    """One cell: `scored` of its `members` have a score; `mean` is the mean of these scores, None without a score.

    `missing` counts the evaluations that a run can still score: not run, deferred, or in flight elsewhere.
    """

    cell: Cell
    members: int
    scored: int
    mean: float | None
    unscored: int
    failed: int
    missing: int

    @property
    def state(self) -> str:
        """The worst state that applies: failed, missing or unscored; else complete."""
        for name in ("failed", "missing", "unscored"):
            if getattr(self, name):
                return name
        return "complete" if self.scored == self.members else "unscored"


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


def count_totals(rows: Sequence[ScoreRow], planned: int) -> Totals:
    """Return the totals of `rows`; `planned` comes from the plan, so that a lost row is noticed."""
    outcomes = pd.Series([row.outcome.value for row in rows], dtype="object").value_counts()
    costs = [row.cost_usd for row in rows if row.called]
    known = [cost for cost in costs if cost is not None]
    return Totals(
        planned=planned,
        called=len(costs),
        cost_usd=round(sum(known), 6) if len(known) == len(costs) else None,
        **{outcome.value: int(outcomes.get(outcome.value, 0)) for outcome in Outcome},
    )


def summarise_cells(rows: Sequence[ScoreRow]) -> tuple[CellSummary, ...]:
    """Return one summary per cell, in the order of the rows."""
    frame = _frame(rows)
    if frame.empty:
        return ()
    groups = frame.groupby(["essay", "template", "model"], sort=False)
    summary = groups.agg(
        members=("score", "size"),
        scored=("score", "count"),
        mean=("score", "mean"),
        unscored=("unscored", "sum"),
        failed=("failed", "sum"),
        missing=("missing", "sum"),
    )
    return tuple(
        CellSummary(
            cell=Cell(row["essay"], row["template"], row["model"]),
            members=row["members"],
            scored=row["scored"],
            mean=_known(row["mean"]),
            unscored=row["unscored"],
            failed=row["failed"],
            missing=row["missing"],
        )
        for row in summary.reset_index().to_dict("records")
    )


def summarise_judges(rows: Sequence[ScoreRow]) -> tuple[JudgeSummary, ...]:
    """Return one summary per template and model, in the order of the rows."""
    frame = _frame(rows)
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


def _frame(rows: Sequence[ScoreRow]) -> pd.DataFrame:
    frame = pd.DataFrame(
        [(*row.member.cell, row.score, row.outcome.value, row.scale) for row in rows],
        columns=["essay", "template", "model", "score", "outcome", "scale"],
    )
    frame["score"] = pd.to_numeric(frame["score"])
    for outcome in (Outcome.UNSCORED, Outcome.FAILED):
        frame[outcome.value] = frame["outcome"] == outcome.value
    frame["missing"] = frame["outcome"].isin([outcome.value for outcome in _MISSING])
    return frame


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
