"""Tests that concurrent runs of one DAG work one after the other, and that no run waits forever."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

DAYS = [datetime(2026, 1, day, tzinfo=UTC) for day in range(1, 5)]


@dataclass
class Runs:
    """A fake of Airflow's side as run number `me` sees it: the runs' logical dates, and the runs at work."""

    dates: list[datetime | None]
    me: int
    at_work: set[int] = field(default_factory=set)
    dag_id: str = "scheduled_backfill"

    def get_previous_dagrun(self, state: str) -> Any:
        mine = self.dates[self.me]
        earlier = [date for date in self.dates if date and mine and date < mine]
        return SimpleNamespace(run_id=f"run of {max(earlier):%d}") if earlier else None

    def get_dr_count(self, *, dag_id: str, states: list[str]) -> int:
        return len(self.dates)

    def get_ti_count(self, *, dag_id: str, task_ids: list[str], states: list[str]) -> int:
        return len(self.at_work)


@pytest.mark.parametrize(
    ("dates", "at_work", "may_begin"),
    [
        pytest.param([DAYS[0]], set(), [True], id="alone"),
        pytest.param(DAYS[:3], set(), [True, False, False], id="earlier-dates-first"),
        pytest.param([DAYS[3], DAYS[0]], {0}, [False, False], id="a-later-one-at-work-is-not-overtaken"),
        pytest.param([None], set(), [True], id="without-a-date-alone"),
        pytest.param([None, DAYS[1], DAYS[2]], set(), [False, True, False], id="without-a-date-last"),
    ],
)
def test_at_most_one_run_may_begin(dates: list[datetime | None], at_work: set[int], may_begin: list[bool]) -> None:
    """The answers of all runs agree, and when no run is at work exactly one may begin."""
    from essay_cohorts_airflow.run_order import run_to_wait_for

    answers = [
        run_to_wait_for(Runs(dates, me, at_work), SimpleNamespace(logical_date=date), ["select_missing"])
        for me, date in enumerate(dates)
    ]
    assert [answer is None for answer in answers] == may_begin
    assert sum(may_begin) == (0 if at_work else 1)
