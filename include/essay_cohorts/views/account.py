"""What a cohort holds and what it cost: where its scores were made, and what all runs and the last one spent.

A run reuses and calls; the same cohort is *reused* altogether by its second run. So what is said of the cohort does
not hang on its last run: its scores were made here, for this cohort, or elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from essay_cohorts.amounts import dollars
from essay_cohorts.calls import Spending
from essay_cohorts.domain import ScoreRow


@dataclass(frozen=True, kw_only=True, slots=True)
class CohortAccount:
    """Scores by where they were made, and the requests of all runs and of the last one."""

    made_here: int
    made_elsewhere: int
    all_runs: Spending
    last_run: Spending

    def __str__(self) -> str:
        return (
            f"{self.made_here} made here, {self.made_elsewhere} made elsewhere. "
            f"All runs: {spent_in_words(self.all_runs)}; the last run: {spent_in_words(self.last_run)}."
        )


NO_ACCOUNT = CohortAccount(made_here=0, made_elsewhere=0, all_runs=Spending(), last_run=Spending())


def account_of(cohort_id: str, origins: Iterable[str], all_runs: Spending, last_run: Spending) -> CohortAccount:
    """Return the account of a cohort; `origins` are the origin_cohort_ids of its evaluations that have a score."""
    here = [origin == cohort_id for origin in origins]
    return CohortAccount(
        made_here=sum(here), made_elsewhere=len(here) - sum(here), all_runs=all_runs, last_run=last_run
    )


def origins_of(rows: Iterable[ScoreRow]) -> list[str]:
    """Return the origin_cohort_ids of the rows that have a score."""
    return [row.origin_cohort_id for row in rows if row.score is not None]


def cost_of(spending: Spending) -> float | None:
    """Return what was spent for sure, in USD; None when there were requests and none had a price."""
    return spending.settled_usd if spending.settled_usd or not spending.calls else None


def spent_in_words(spending: Spending) -> str:
    """Return the requests and what they cost."""
    return f"{spending.calls:,} request{'' if spending.calls == 1 else 's'}, {dollars(cost_of(spending))}"
