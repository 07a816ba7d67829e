"""The page of what all runs have cost."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from essay_cohorts.files.clock import is_day
from essay_cohorts.ledger.ledger import Ledger, left_below_caps
from essay_cohorts.ledger.records import Bill, BillBy
from essay_cohorts.settings import read_settings
from essay_cohorts_airflow.pages.rendering import render

router = APIRouter()


@router.get("/spend")
def spend(request: Request, by: str = "", since: str = "") -> Response:
    """Show the bill of the data root by day, cohort, model, template or run; a day that is none shows all days."""
    settings = read_settings()
    ledger = Ledger.for_reading(settings)
    bill = ledger.bill(BillBy(by) if by in list(BillBy) else BillBy.DAY, since if is_day(since) else "")
    return render(
        request,
        "spend",
        bill=bill,
        by_all=list(BillBy),
        bars=_bars(bill),
        caps=list(left_below_caps(settings)),
    )


def _bars(bill: Bill) -> list[tuple[float, float, float]]:
    """Return the lengths of what is settled, in flight and in doubt, in percent of the largest line."""
    usd = [(row.spending.settled_usd, row.spending.in_flight_usd, row.spending.unknown_usd) for row in bill.rows]
    largest = max(map(sum, usd), default=0.0) or 1.0
    return [(100 * settled / largest, 100 * live / largest, 100 * doubt / largest) for settled, live, doubt in usd]
