"""Summarises a cohort's score rows: counts by outcome, cells, and the distribution of each judge's scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from essay_cohorts.domain import Cell, Outcome, ScoreRow

BINS = 10
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
class JudgeSummary:
    """The scores of one judge, that is, of one template by one model.

    `sd` is the sample standard deviation. `bins` counts the scores in bins of width 1, from 0 to 9.
    """

    template_id: str
    model_id: str
    members: int
    scored: int
    mean: float | None
    sd: float | None
    lowest: float | None
    highest: float | None
    bins: tuple[int, ...]


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
            bins=_count_bins(group["score"]),
        )
        for (template, model), group in frame.groupby(["template", "model"], sort=False)
    )


def _frame(rows: Sequence[ScoreRow]) -> pd.DataFrame:
    frame = pd.DataFrame(
        [(*row.member.cell, row.score, row.outcome.value) for row in rows],
        columns=["essay", "template", "model", "score", "outcome"],
    )
    frame["score"] = pd.to_numeric(frame["score"])
    for outcome in (Outcome.UNSCORED, Outcome.FAILED):
        frame[outcome.value] = frame["outcome"] == outcome.value
    frame["missing"] = frame["outcome"].isin([outcome.value for outcome in _MISSING])
    return frame


def _count_bins(scores: pd.Series[float]) -> tuple[int, ...]:
    counts = scores.dropna().astype(int).clip(0, BINS - 1).value_counts()
    return tuple(int(counts.get(number, 0)) for number in range(BINS))


def _known(value: float) -> float | None:
    return None if pd.isna(value) else float(value)
