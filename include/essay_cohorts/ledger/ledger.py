"""The ledger of a data root: what the rest of the product asks and tells it. SQL is in this package alone.

The ledger coordinates; it never decides what exists. Whether an evaluation has a reply or a score, the store decides.
If a ledger is lost, it is made again, and no reply and no score is lost with it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.engine import Connection

from essay_cohorts.amounts import dollars
from essay_cohorts.calls import Spending
from essay_cohorts.domain import RunRef
from essay_cohorts.errors import StoreError
from essay_cohorts.files.clock import first_of_month, today
from essay_cohorts.ledger import requests, schema, sums
from essay_cohorts.ledger.budget import Budget
from essay_cohorts.ledger.callers import Caller, dead_here, remove_dead
from essay_cohorts.ledger.database import Database, open_database
from essay_cohorts.ledger.evaluation_index import EvaluationIndex
from essay_cohorts.ledger.pace import ModelLimits
from essay_cohorts.ledger.records import Bill, BillBy, RecordedRequest, Settlement
from essay_cohorts.ledger.requests import RunRequests
from essay_cohorts.ledger.schema import announced, completions, turns
from essay_cohorts.ledger.slots import Slots
from essay_cohorts.settings import Settings

log = logging.getLogger(__name__)

T = TypeVar("T")

_PLANNING = "planning"
_PATIENCE_S, _PAUSE_S = 600.0, 0.05


@dataclass(frozen=True, kw_only=True, slots=True)
class Announcement:
    """The task that announces something: the run's key, and a name that is unique in the run."""

    cohort_id: str
    run_key: str
    task: str


_NO_LIMITS: Mapping[str, ModelLimits] = {}
_BILL_KEYS: dict[BillBy, list[ColumnElement[str]]] = {
    BillBy.DAY: [func.substr(schema.requests.c.sent_at, 1, len("2026-01-31"))],
    BillBy.COHORT: [schema.requests.c.cohort_id],
    BillBy.MODEL: [schema.requests.c.model_id],
    BillBy.TEMPLATE: [schema.requests.c.template_id],
    BillBy.RUN: [schema.requests.c.cohort_id, schema.requests.c.dag_id, schema.requests.c.run_id],
}


class Ledger:
    """The ledger of one data root, as this process uses it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def of(cls, settings: Settings) -> Ledger:
        """Return the ledger of a data root, made if it does not exist. BadInput if DD_LEDGER is wrong."""
        return cls(open_database(settings.data_root, settings.ledger))

    @classmethod
    def for_reading(cls, settings: Settings) -> Ledger:
        """Return the ledger of a data root for reading; nothing is written into the data root."""
        return cls(open_database(settings.data_root, settings.ledger, for_reading=True))

    @property
    def index(self) -> EvaluationIndex:
        """The index of the data root's evaluations."""
        return EvaluationIndex(self._database)

    def caller(self, who: str) -> Caller:
        """Return this process as a caller; it counts as alive within a `with` block."""
        return Caller(self._database, who)

    def slots(self, caller: Caller, cohort_id: str, count: int) -> Slots:
        """Return the slots of a cohort, of which all callers together hold at most `count`."""
        return Slots(database=self._database, caller=caller, cohort_id=cohort_id, count=count)

    @contextmanager
    def planning_turn(self, who: str) -> Iterator[None]:
        """Wait until no other process writes a plan or an input, and keep the others waiting until the block ends.

        Concurrent planners would mint the same replicate numbers. The turn of a process that died is taken over: at
        once on the same machine, else after LEASE_S. StoreError if others have the turn for over 10 minutes.
        """
        with self.caller(who) as caller:
            self._wait_for_turn(caller.name)
            try:
                yield
            finally:
                own = (turns.c.name == _PLANNING) & (turns.c.caller == caller.name)
                self._database.run(lambda connection: connection.execute(delete(turns).where(own)))

    def _wait_for_turn(self, caller: str) -> None:
        until, has_waited = time.monotonic() + _PATIENCE_S, False
        while not self._database.run(lambda connection: _take_turn(connection, caller)):
            if not has_waited:
                log.info("Another process is planning. Waiting up to %g s for its end.", _PATIENCE_S)
            has_waited = True
            if time.monotonic() > until:
                msg = (
                    f"{self._database.run(_planner)} was planning for {_PATIENCE_S:g} s. "
                    "Find out what takes so long to plan, end it, and clear this run."
                )
                raise StoreError(msg)
            time.sleep(_PAUSE_S)

    def announce(self, by: Announcement, gen_ids: Iterable[str]) -> list[str]:
        """Return the evaluations that no other task of the cohort has announced, and record them for this task.

        A task gets the same evaluations again when it asks again: its first try may have died before Airflow knew.
        """
        wanted = list(gen_ids)
        rows = [
            {"cohort_id": by.cohort_id, "gen_id": gen_id, "run_key": by.run_key, "task": by.task} for gen_id in wanted
        ]

        def add(connection: Connection) -> set[str]:
            if rows:
                connection.execute(schema.insert(connection, announced).on_conflict_do_nothing(), rows)
            own = select(announced.c.gen_id).where(
                announced.c.cohort_id == by.cohort_id, announced.c.run_key == by.run_key, announced.c.task == by.task
            )
            return set(connection.execute(own).scalars())

        mine = self._database.run(add)
        return [gen_id for gen_id in wanted if gen_id in mine]

    def complete(self, cohort_id: str, run_key: str, scores_sha256: str) -> bool:
        """Return True if the cohort was not announced with these scores by another run, and record them."""
        new = {"cohort_id": cohort_id, "run_key": run_key, "scores_sha256": scores_sha256}

        def record(connection: Connection) -> bool:
            schema.lock(connection)
            known = connection.execute(select(completions).where(completions.c.cohort_id == cohort_id)).first()
            if known is not None and known.scores_sha256 == scores_sha256 and known.run_key != run_key:
                return False
            statement = schema.insert(connection, completions).values(new)
            connection.execute(statement.on_conflict_do_update(index_elements=["cohort_id"], set_=new))
            return True

        return self._database.run(record)

    def requests(
        self,
        caller: Caller,
        cohort_id: str,
        run: RunRef,
        budget: Budget,
        limits: Mapping[str, ModelLimits] = _NO_LIMITS,
    ) -> RunRequests:
        """Return the claims and requests of a caller for a run with this budget; `limits` are those of models."""
        return RunRequests(
            database=self._database, caller=caller, cohort_id=cohort_id, run=run, budget=budget, limits=limits
        )

    def spending(self, cohort_id: str, run: RunRef | None = None) -> Spending:
        """Return what one run of a cohort has spent so far; without `run`, the sum of all its runs."""
        [found] = self.spendings(cohort_id, run)
        return found

    def spendings(self, cohort_id: str, *runs: RunRef | None) -> list[Spending]:
        """Return the spending of each run of a cohort at one moment; None stands for all its runs."""
        return self._read(
            lambda connection, dead: [
                sums.spending_of(connection, sums.of_run(cohort_id, run), dead=dead) for run in runs
            ]
        )

    def bill(self, by: BillBy, since: str = "") -> Bill:
        """Return what all runs have spent since a day (such as "2026-01-31"; "" is the beginning), broken down."""

        def read(connection: Connection, dead: list[str]) -> Bill:
            rows = sums.bill_by(connection, _BILL_KEYS[by], since, dead)
            unpriced = sums.unpriced_models(connection, since)
            return Bill(by=by, since=since, rows=tuple(rows), unpriced_models=tuple(unpriced))

        return self._read(read)

    def unsettled(self, cohort_id: str | None = None) -> list[RecordedRequest]:
        """Return the requests whose end is not known, without those under way."""
        return self._read(lambda connection, dead: requests.unsettled(connection, cohort_id, dead))

    def paid_in_vain(self, cohort_id: str | None = None) -> list[RecordedRequest]:
        """Return the requests that were paid for but brought no reply that could be kept."""
        return self._read(lambda connection, _: requests.paid_in_vain(connection, cohort_id))

    def settle(self, settlements: Sequence[Settlement]) -> None:
        """Record how requests of dead callers ended."""
        if settlements:
            self._database.run(lambda connection: requests.settle(connection, settlements))

    def claim(self, caller: Caller, gen_ids: Collection[str]) -> set[str]:
        """Claim evaluations, unless a living caller has them; return those that this caller has now."""

        def take(connection: Connection) -> set[str]:
            schema.lock(connection)
            return requests.claim(connection, caller.name, gen_ids)

        return self._database.run(take)

    def release(self, caller: Caller, gen_ids: Collection[str]) -> None:
        """Give back claims of this caller."""
        self._database.run(lambda connection: requests.release(connection, caller.name, gen_ids))

    def holders(self) -> dict[str, str]:
        """Return gen_id -> the task that works on the evaluation now, in words."""
        return self._read(requests.holders)

    def _read(self, action: Callable[[Connection, list[str]], T]) -> T:
        """Return what `action` reads; it gets the callers of this machine whose processes no longer exist."""
        return self._database.run(lambda connection: action(connection, dead_here(connection)), is_reading=True)


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


def _take_turn(connection: Connection, caller: str) -> bool:
    """Take the planning turn unless a living caller has it; return whether this caller has it now."""
    schema.lock(connection)
    remove_dead(connection)
    statement = schema.insert(connection, turns).values(name=_PLANNING, caller=caller)
    free = (turns.c.caller == caller) | ~schema.is_alive(turns.c.caller)
    statement = statement.on_conflict_do_update(index_elements=["name"], set_={"caller": caller}, where=free)
    return connection.execute(statement.returning(turns.c.caller)).first() is not None


def _planner(connection: Connection) -> str:
    who = select(schema.callers.c.who).join(turns, turns.c.caller == schema.callers.c.name)
    return connection.execute(who.where(turns.c.name == _PLANNING)).scalar() or "Another process"
