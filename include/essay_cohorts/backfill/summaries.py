"""Summarises a cohort's score rows: counts by outcome, and cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from essay_cohorts.domain import Cell, Outcome, ScoreRow

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


def _known(value: float) -> float | None:
    return None if pd.isna(value) else float(value)
