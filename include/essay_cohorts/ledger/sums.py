"""Sums over the requests of a run, a cohort or all: what is settled, under way and in doubt."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, select
from sqlalchemy.engine import Connection

from essay_cohorts.calls import CallEnd, Spending
from essay_cohorts.domain import RunRef
from essay_cohorts.ledger import schema
from essay_cohorts.ledger.records import BillRow
from essay_cohorts.ledger.schema import callers, requests

_MOST_USD = func.coalesce(requests.c.cost_usd, requests.c.worst_usd, 0.0)
SUM_OF_MOST = func.coalesce(func.sum(_MOST_USD), 0.0)
_IS_OPEN = requests.c.ending.is_(None)
IS_UNSETTLED = _IS_OPEN | (requests.c.ending == CallEnd.UNKNOWN)
IS_UNDER_WAY = callers.c.name.is_not(None)
# A request whose cost nobody knows, although it was or may have been paid for.
_IS_UNPRICED = requests.c.cost_usd.is_(None) & requests.c.worst_usd.is_(None)
_FIELDS = 6


def of_run(cohort_id: str, run: RunRef | None) -> ColumnElement[bool]:
    """Return the condition that a request belongs to a cohort, or to one run of the cohort."""
    of_cohort = requests.c.cohort_id == cohort_id
    if run is None:
        return of_cohort
    return and_(of_cohort, requests.c.dag_id == run.dag_id, requests.c.run_id == run.run_id)


def spending_of(connection: Connection, *conditions: ColumnElement[bool], dead: Collection[str] = ()) -> Spending:
    """Return the sums over the requests that meet all conditions; `dead` callers can settle nothing any more."""
    found = connection.execute(with_callers(dead, *_sums()).where(*conditions)).one()
    return _as_spending(found)


def bill_by(
    connection: Connection, keys: Sequence[ColumnElement[str]], since: str, dead: Collection[str]
) -> list[BillRow]:
    """Return the sums over the requests since a time, by these keys and in their order."""
    unpriced = func.coalesce(func.sum(case((_IS_UNPRICED, 1), else_=0)), 0)
    sums = with_callers(dead, *_sums(), unpriced, *keys).where(requests.c.sent_at >= since)
    found = sums.group_by(*keys).order_by(*keys)
    return [
        BillRow(key=tuple(row[_FIELDS + 1 :]), spending=_as_spending(row[:_FIELDS]), unpriced=row[_FIELDS])
        for row in connection.execute(found)
    ]


def unpriced_models(connection: Connection, since: str = "") -> list[str]:
    """Return the judges with requests of unknown cost since a time."""
    found = select(requests.c.model_id).where(_IS_UNPRICED, requests.c.sent_at >= since).distinct()
    return sorted(connection.execute(found).scalars())


def with_callers(dead: Collection[str], *columns: Any) -> Select[Any]:
    """Return a query of requests, joined to the callers that can still write how a request ended."""
    living = and_(callers.c.name == requests.c.caller, _IS_OPEN, schema.was_seen(), callers.c.name.not_in(dead))
    return select(*columns).select_from(requests.outerjoin(callers, living))


def _sums() -> list[ColumnElement[Any]]:
    """Return the sums that make a Spending, in the order of its fields."""

    def usd(condition: ColumnElement[bool]) -> ColumnElement[float]:
        return func.coalesce(func.sum(case((condition, _MOST_USD), else_=0.0)), 0.0)

    def number(condition: ColumnElement[bool]) -> ColumnElement[int]:
        return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)

    lost = IS_UNSETTLED & ~IS_UNDER_WAY
    return [func.count(), usd(~IS_UNSETTLED), number(IS_UNDER_WAY), usd(IS_UNDER_WAY), number(lost), usd(lost)]


def _as_spending(sums: Sequence[Any]) -> Spending:
    calls, settled_usd, in_flight, in_flight_usd, unknown, unknown_usd = sums
    return Spending(
        calls=calls,
        settled_usd=settled_usd,
        in_flight=in_flight,
        in_flight_usd=in_flight_usd,
        unknown=unknown,
        unknown_usd=unknown_usd,
    )
