"""What is left below the caps of a day and a month."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from essay_cohorts.amounts import dollars
from essay_cohorts.files.clock import first_of_month, today
from essay_cohorts.ledger.ledger import Ledger
from essay_cohorts.ledger.records import BillBy
from essay_cohorts.settings import Settings


def is_day(text: str) -> bool:
    """Return True for a day such as 2026-01-31."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def left_below_caps(settings: Settings) -> Iterator[str]:
    """Yield a line for each cap of the environment: how much of it is spent, and how much is left."""
    day = today()
    for name, cap, since, words in (
        ("DD_MAX_USD_PER_DAY", settings.max_usd_per_day, day, "today"),
        ("DD_MAX_USD_PER_MONTH", settings.max_usd_per_month, first_of_month(day), "this month"),
    ):
        if cap is not None:
            total = Ledger.for_reading(settings).bill(BillBy.DAY, since).total
            spent = total.settled_usd + total.in_flight_usd + total.unknown_usd
            yield f"{name} {cap:g}: {dollars(spent)} spent {words} (UTC), {dollars(max(0.0, cap - spent))} left."
