"""Claims on evaluations, and the requests that may cost money: what callers tell the ledger, and what it answers.

A claim is the right to ask a judge for an evaluation, or to score it again; one caller at a time has it. A request is
recorded before it is sent, with the most that it can cost, and settled after its end, with what it did cost. One
transaction takes what many workers have to tell and to ask, because a transaction costs as much as a dozen rows.

A crash never makes a run spend more than its budget: a request that was recorded and never settled counts with its
worst case, even if it was never sent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Select, bindparam, delete, select, update
from sqlalchemy.engine import Connection, Row

from essay_cohorts.calls import CallEnd, Room, Spending
from essay_cohorts.domain import RunRef
from essay_cohorts.files.clock import first_of_month, now, today
from essay_cohorts.ledger import schema
from essay_cohorts.ledger.budget import Budget, Spent
from essay_cohorts.ledger.callers import Caller, remove_dead
from essay_cohorts.ledger.database import Database
from essay_cohorts.ledger.model_paces import ModelPaces
from essay_cohorts.ledger.pace import AT_ONCE, ModelLimits
from essay_cohorts.ledger.records import Answer, RecordedRequest, Request, Settlement, Told, Wanted
from essay_cohorts.ledger.schema import callers, claims, clock, requests
from essay_cohorts.ledger.sums import IS_UNDER_WAY, IS_UNSETTLED, SUM_OF_MOST, of_run, spending_of, with_callers

_NO_BUDGET = Budget()
# A request whose turn comes in less than this time, in s, does not wait for it.
_AT_ONCE_S = 0.005


@dataclass(kw_only=True, slots=True)
class RunRequests:
    """The claims and requests of one caller for a run, within a budget.

    Every thread may use it. Names and evaluations are chosen by the user, so a transaction may be repeated.
    """

    database: Database
    caller: Caller
    cohort_id: str
    run: RunRef
    budget: Budget = _NO_BUDGET
    limits: Mapping[str, ModelLimits] = field(default_factory=dict)
    _this_month: tuple[str, float] = ("", 0.0)

    def exchange(self, told: Sequence[Told], wanted: Sequence[Wanted] = ()) -> list[Answer]:
        """Record what workers tell, then answer what they want, in this order; all in one transaction.

        A request whose `room` is YES is recorded and may be sent. Without its claim no request is recorded.
        """
        return self.database.run(lambda connection: self._exchange(connection, told, wanted))

    def _exchange(self, connection: Connection, told: Sequence[Told], wanted: Sequence[Wanted]) -> list[Answer]:
        schema.lock(connection)
        settlements = [each.settlement for each in told if each.settlement]
        settle(connection, settlements)
        self._slow_down(connection, [each.name for each in settlements if each.is_refused])
        unsent, released = [each.unsent for each in told if each.unsent], [each.released for each in told]
        if unsent:
            connection.execute(delete(requests).where(requests.c.name.in_(unsent)))
        release(connection, self.caller.name, [gen_id for gen_id in released if gen_id])
        claimed = claim(connection, self.caller.name, [each.gen_id for each in wanted if each.gen_id]) | {""}
        asked = [each.request for each in wanted if each.request and each.gen_id in claimed]
        rooms = self._reserve(connection, asked) if asked else {}
        return [
            rooms.get(each.request.name if each.request else "", Answer(is_claimed=each.gen_id in claimed))
            for each in wanted
        ]

    def _reserve(self, connection: Connection, asked: Sequence[Request]) -> dict[str, Answer]:
        """Record the requests that there is room for, one after the other.

        Requests that are recorded already come from a transaction whose answer was lost: they may be sent.
        """
        answers = {name: Answer(room=Room.YES) for name in _recorded_names(connection, asked)}
        spent = self._spent(connection) if self.budget.is_set else Spent()
        rows = []
        paces = ModelPaces(connection, [each.model_id for each in asked], self.limits)
        for each in (each for each in asked if each.name not in answers):
            room, turn = self.budget.room_for(spent, each.worst_usd), AT_ONCE
            if room is Room.YES:
                has_place = paces.has_place(each.model_id)
                turn = paces.turn(each) if has_place and not each.has_turn else AT_ONCE
                if turn.wait_s > _AT_ONCE_S or not has_place:
                    room = Room.LATER
            answers[each.name] = Answer(room=room, spent=spent, turn=turn)
            if room is Room.YES:
                rows.append(self._row(each))
                spent = spent.with_request(each.worst_usd)
        if rows:
            connection.execute(requests.insert().values(began=clock()), rows)
        paces.write()
        return answers

    def _slow_down(self, connection: Connection, refused: Sequence[str]) -> None:
        """Slow down the models whose servers answered these requests with 429."""
        if not refused:
            return
        of_these = select(requests.c.model_id, requests.c.began).where(requests.c.name.in_(refused))
        found = connection.execute(of_these.order_by(requests.c.began)).all()
        paces = ModelPaces(connection, [row.model_id for row in found], self.limits)
        for row in found:
            paces.refuse(row.model_id, row.began)
        paces.write()

    def _row(self, request: Request) -> dict[str, object]:
        return {
            "name": request.name,
            "cohort_id": self.cohort_id,
            "dag_id": self.run.dag_id,
            "run_id": self.run.run_id,
            "gen_id": request.gen_id,
            "template_id": request.template_id,
            "model_id": request.model_id,
            "caller": self.caller.name,
            "sent_at": now(),
            "worst_usd": request.worst_usd,
        }

    def _spent(self, connection: Connection) -> Spent:
        """Return what counts against the budget now."""
        run = day = month = Spending()
        if self.budget.limits_run:
            run = spending_of(connection, of_run(self.cohort_id, self.run))
        if self.budget.max_usd_per_day is not None or self.budget.max_usd_per_month is not None:
            day = month = spending_of(connection, requests.c.sent_at >= today())
        if self.budget.max_usd_per_month is not None:
            month = replace(day, settled_usd=day.settled_usd + self._earlier_usd(connection))
        return Spent(run=run, day=day, month=month)

    def _earlier_usd(self, connection: Connection) -> float:
        """Return what the earlier days of this month have cost, worst cases included; read once a day."""
        if self._this_month[0] != (day := today()):
            earlier = requests.c.sent_at.between(first_of_month(day), day)
            self._this_month = day, float(connection.execute(select(SUM_OF_MOST).where(earlier)).scalar_one())
        return self._this_month[1]


def unsettled(connection: Connection, cohort_id: str | None, dead: Collection[str]) -> list[RecordedRequest]:
    """Return the requests whose end is not known and that no living caller can still settle."""
    found = with_callers(dead, requests).where(IS_UNSETTLED, ~IS_UNDER_WAY)
    return [_recorded(row) for row in connection.execute(_in_cohort(found, cohort_id))]


def paid_in_vain(connection: Connection, cohort_id: str | None = None) -> list[RecordedRequest]:
    """Return the requests that were paid for but brought no reply that could be kept."""
    found = select(requests).where(requests.c.ending == CallEnd.CHARGED)
    return [_recorded(row) for row in connection.execute(_in_cohort(found, cohort_id))]


def settle(connection: Connection, settlements: Iterable[Settlement]) -> None:
    """Record how requests ended."""
    rows = [{"of": each.name, "ending": each.end.value, "cost_usd": each.cost_usd} for each in settlements]
    if rows:
        ended = update(requests).where(requests.c.name == bindparam("of")).values(ended=clock())
        connection.execute(ended.values(ending=bindparam("ending"), cost_usd=bindparam("cost_usd")), rows)


def claim(connection: Connection, caller: str, gen_ids: Collection[str]) -> set[str]:
    """Claim evaluations for a caller, unless a living caller has them; return those that this caller has now."""
    if not gen_ids:
        return set()
    free = (claims.c.caller == caller) | ~schema.is_alive(claims.c.caller)
    new = schema.insert(connection, claims)
    new = new.on_conflict_do_update(index_elements=["gen_id"], set_={"caller": caller}, where=free)

    def take(wanted: Iterable[str]) -> set[str]:
        rows = [{"gen_id": gen_id, "caller": caller} for gen_id in sorted(wanted)]
        return set(connection.execute(new.returning(claims.c.gen_id), rows).scalars())

    taken = take(gen_ids)
    if len(taken) < len(set(gen_ids)):
        remove_dead(connection)
        taken |= take(set(gen_ids) - taken)
    return taken


def release(connection: Connection, caller: str, gen_ids: Collection[str]) -> None:
    """Give back the claims that this caller has on these evaluations."""
    if gen_ids:
        connection.execute(delete(claims).where(claims.c.caller == caller, claims.c.gen_id.in_(gen_ids)))


def holders(connection: Connection, dead: Collection[str]) -> dict[str, str]:
    """Return gen_id -> the task that works on the evaluation now, in words."""
    is_alive = schema.was_seen() & callers.c.name.not_in(dead)
    living = claims.join(callers, (callers.c.name == claims.c.caller) & is_alive)
    rows = connection.execute(select(claims.c.gen_id, callers.c.who).select_from(living))
    return {row.gen_id: row.who for row in rows}


def _recorded_names(connection: Connection, asked: Sequence[Request]) -> list[str]:
    """Return the names of those of these requests that are recorded."""
    found = select(requests.c.name).where(requests.c.name.in_([each.name for each in asked]))
    return list(connection.execute(found).scalars())


def _in_cohort(found: Select[Any], cohort_id: str | None) -> Select[Any]:
    found = found.order_by(requests.c.cohort_id, requests.c.sent_at)
    return found if cohort_id is None else found.where(requests.c.cohort_id == cohort_id)


def _recorded(row: Row[Any]) -> RecordedRequest:
    return RecordedRequest(
        name=row.name,
        cohort_id=row.cohort_id,
        run=RunRef(row.dag_id, row.run_id),
        gen_id=row.gen_id,
        template_id=row.template_id,
        model_id=row.model_id,
        sent_at=row.sent_at,
        worst_usd=row.worst_usd,
        end=CallEnd(row.ending) if row.ending else None,
        cost_usd=row.cost_usd,
    )
