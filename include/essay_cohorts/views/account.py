"""Counts where a cohort's scores were made, and what all its runs and its last run spent.

The words "reused" and "called" describe a run, not a cohort: a second run of a cohort reuses all scores that the
first run paid for. The account of a cohort must not depend on its last run. Therefore it counts the scores that were
made here, that is, by evaluations that this cohort planned first, and the scores that were made elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from essay_cohorts.amounts import counted, dollars
from essay_cohorts.calls import Spending
from essay_cohorts.domain import ScoreRow


@dataclass(frozen=True, kw_only=True, slots=True)
class CohortAccount:
    """The number of scores by where they were made, and the spending of all runs and of the last run."""

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
    """Return the account of a cohort; `origins` has the origin_cohort_id of each evaluation that has a score."""
    here = [origin == cohort_id for origin in origins]
    return CohortAccount(
        made_here=sum(here), made_elsewhere=len(here) - sum(here), all_runs=all_runs, last_run=last_run
    )


def origins_of(rows: Iterable[ScoreRow]) -> list[str]:
    """Return the origin_cohort_id of each row that has a score."""
    return [row.origin_cohort_id for row in rows if row.score is not None]


def cost_of(spending: Spending) -> float | None:
    """Return the known cost in USD; None if there were requests and none of them has a known price."""
    return spending.settled_usd if spending.settled_usd or not spending.calls else None


def spent_in_words(spending: Spending) -> str:
    """Return the number of requests and their cost, in words."""
    return f"{counted(spending.calls, 'request')}, {dollars(cost_of(spending))}"
