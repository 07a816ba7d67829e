"""The index of evaluations: which essay each evaluation of the store judges.

The index only saves reading every metadata.json of a large store. It is derived from the store, and it is never
trusted for the decision to call a judge. A lost index is made again by the next run, or by `cohorts reindex`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path

from sqlalchemy import delete, select
from sqlalchemy.engine import Connection

from essay_cohorts.ledger import schema
from essay_cohorts.ledger.database import Database, has_ledger, open_database
from essay_cohorts.ledger.schema import evaluations

# The rows of one transaction: while it lasts, no other process can write to a SQLite ledger.
_ROWS = 5_000


def known_essays(data_root: Path, url: str = "") -> dict[str, str]:
    """Return what the index of a data root knows (gen_id -> essay_id): nothing if the data root has no ledger."""
    if not has_ledger(data_root, url):
        return {}
    return EvaluationIndex(open_database(data_root, url, for_reading=True)).essays()


class EvaluationIndex:
    """The index of one data root."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def essays(self) -> dict[str, str]:
        """Return gen_id -> essay_id of every evaluation that the index knows."""
        return self._database.run(_read, is_reading=True)

    def update(self, essays: Mapping[str, str], gone: Collection[str] = ()) -> None:
        """Record which essays evaluations judge (gen_id -> essay_id), and forget the evaluations that are gone."""
        rows = [{"gen_id": gen_id, "essay_id": essay_id} for gen_id, essay_id in sorted(essays.items())]
        for start in range(0, len(rows), _ROWS):
            self._database.run(partial(_record, rows=rows[start : start + _ROWS]))
        names = sorted(gone)
        for start in range(0, len(names), _ROWS):
            self._database.run(partial(_forget, gen_ids=names[start : start + _ROWS]))


def _read(connection: Connection) -> dict[str, str]:
    # The driver's own rows: SQLAlchemy's take twice as long, and a plan waits for a million of them.
    cursor = connection.connection.cursor()
    cursor.execute(str(select(evaluations)))
    return dict(iter(cursor.fetchone, None))


def _record(connection: Connection, rows: list[dict[str, str]]) -> None:
    statement = schema.insert(connection, evaluations)
    new = {"essay_id": statement.excluded.essay_id}
    connection.execute(statement.on_conflict_do_update(index_elements=["gen_id"], set_=new), rows)


def _forget(connection: Connection, gen_ids: list[str]) -> None:
    connection.execute(delete(evaluations).where(evaluations.c.gen_id.in_(gen_ids)))
