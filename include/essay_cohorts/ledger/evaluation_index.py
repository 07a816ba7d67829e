"""The index of evaluations: which essay each evaluation of the store judges.

The index only saves reading every metadata.json of a large store. It is derived from the store, and it is never
trusted for the decision to call a judge. A lost index is made again by the next run, or by `cohorts reindex`.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path

from sqlalchemy import delete, select
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from essay_cohorts.errors import StoreError
from essay_cohorts.ledger import schema
from essay_cohorts.ledger.database import PATIENCE_S, Database, existing_database
from essay_cohorts.ledger.schema import evaluations

log = logging.getLogger(__name__)

# The rows of one transaction: while it lasts, no other process can write to a SQLite ledger.
_ROWS = 5_000


def known_essays(data_root: Path, url: str = "") -> dict[str, str]:
    """Return what the index of a data root knows (gen_id -> essay_id). Nothing is written.

    The result is empty without a ledger, and after a warning if the ledger cannot be read now. BadInput if DD_LEDGER
    is wrong.
    """
    try:
        database = existing_database(data_root, url, patience_s=0.0)
        return EvaluationIndex(database).essays(patience_s=0.0) if database else {}
    except StoreError as error:
        log.warning("Every metadata.json is read, because the index cannot be: %s", error)
        return {}


class EvaluationIndex:
    """The index of one data root."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def essays(self, patience_s: float = PATIENCE_S) -> dict[str, str]:
        """Return gen_id -> essay_id of every evaluation that the index knows."""
        return self._database.run(_read, is_reading=True, patience_s=patience_s)

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
    statement = str(select(evaluations))
    cursor = connection.exec_driver_sql(statement).cursor
    try:
        return dict(iter(cursor.fetchone, None)) if cursor else {}
    except sqlite3.Error as error:
        raise DBAPIError(statement, None, error) from error


def _record(connection: Connection, rows: list[dict[str, str]]) -> None:
    statement = schema.insert(connection, evaluations)
    new = {"essay_id": statement.excluded.essay_id}
    connection.execute(statement.on_conflict_do_update(index_elements=["gen_id"], set_=new), rows)


def _forget(connection: Connection, gen_ids: list[str]) -> None:
    connection.execute(delete(evaluations).where(evaluations.c.gen_id.in_(gen_ids)))
