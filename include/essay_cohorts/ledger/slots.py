"""Slots: the permission to have one call in flight, of which a cohort has `max_concurrency`.

A slot is a row that names the caller that holds it. The slots of a dead caller are free, and its rows are removed
when another caller finds no free slot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, select
from sqlalchemy.engine import Connection

from essay_cohorts.ledger import schema
from essay_cohorts.ledger.callers import Caller, remove_dead
from essay_cohorts.ledger.database import Database
from essay_cohorts.ledger.schema import slots


@dataclass(frozen=True, kw_only=True, slots=True)
class Slots:
    """At most `count` slots at once for a cohort, among all processes; this process holds its own as `caller`."""

    database: Database
    caller: Caller
    cohort_id: str
    count: int

    def take(self, tokens: Sequence[str]) -> list[str]:
        """Take a slot under each of these tokens, as far as slots are free; return the tokens that hold one now."""
        return self.database.run(lambda connection: self._take(connection, tokens))

    def release(self, token: str) -> None:
        """Give back the slot under this token, if there is one."""
        self.database.run(lambda connection: connection.execute(delete(slots).where(slots.c.token == token)))

    def _take(self, connection: Connection, tokens: Sequence[str]) -> list[str]:
        schema.lock(connection)
        if self._free(connection, tokens) < len(tokens):
            remove_dead(connection)
            connection.execute(delete(slots).where(~schema.is_alive(slots.c.caller)))
        taken = list(tokens[: self._free(connection, tokens)])
        if taken:
            rows = [{"token": token, "cohort_id": self.cohort_id, "caller": self.caller.name} for token in taken]
            connection.execute(schema.insert(connection, slots).on_conflict_do_nothing(), rows)
        return taken

    def _free(self, connection: Connection, own: Sequence[str]) -> int:
        """Return the number of slots that no other token holds."""
        held = select(func.count()).where(slots.c.cohort_id == self.cohort_id, slots.c.token.not_in(own))
        return max(0, self.count - int(connection.execute(held).scalar_one()))
