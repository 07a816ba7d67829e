"""Opens the database of a ledger and runs transactions in it, again when the connection was lost.

A transaction may run twice: if the server dies after it committed and before it answered, nobody can tell. So each
transaction must come to the same result when it is repeated; the names of rows are chosen before it begins.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import create_engine, event, inspect, select, text
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from essay_cohorts.errors import BadInput, Problem, StoreError
from essay_cohorts.files.atomic import check_inside, make_folder, new_token, stage_text, storing
from essay_cohorts.files.json_files import read_text
from essay_cohorts.ledger import schema

log = logging.getLogger(__name__)

T = TypeVar("T")

FOLDER = ".ledger"
_SQLITE_FILE, _TOKEN_FILE = "ledger.sqlite", "data_root.txt"
# How long a process waits for a database that does not answer or is locked, in s, and between two attempts.
PATIENCE_S, _PAUSE_S = 60.0, 0.5
_PLACE = "environment: DD_LEDGER"
# Any number; it names the lock among the advisory locks of the ledger's database.
_LOCK = 7_225_100
_FORMS = "postgresql+psycopg://user:password@host/database, or leave it out for a file in the data root"
# The classes of PostgreSQL's errors that another attempt can cure: connection, resources, shutdown, serialisation.
_TRANSIENT_STATES = ("08", "53", "57", "40")
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


class Database:
    """The database of one data root's ledger, as one process uses it; every thread may call `run`."""

    def __init__(self, engine: Engine, place: str, patience_s: float = PATIENCE_S) -> None:
        self._engine, self.place, self._patience_s = engine, place, patience_s

    @property
    def is_sqlite(self) -> bool:
        """True for the file of one machine."""
        return self._engine.dialect.name == "sqlite"

    def run(self, action: Callable[[Connection], T]) -> T:
        """Run `action` in one transaction and return its result.

        While the database does not answer, the action is tried again for up to a minute; then StoreError.
        """
        until, has_failed = time.monotonic() + self._patience_s, False
        while True:
            try:
                with self._engine.begin() as connection:
                    return action(connection)
            except SQLAlchemyError as error:
                if not _may_pass(error) or time.monotonic() > until:
                    raise self._as_store_error(error) from error
                if not has_failed:
                    patience_s = self._patience_s
                    log.warning("The ledger %s: %s. Trying for %g s.", self.place, _cause(error), patience_s)
                has_failed = True
            time.sleep(_PAUSE_S)

    def _as_store_error(self, error: SQLAlchemyError) -> StoreError:
        if self.is_sqlite:
            what, next_step = (
                "written",
                "Check the free space, the permissions and that the data root is still mounted",
            )
        else:
            what, next_step = "reached", "Check that the server runs and that DD_LEDGER is right"
        return StoreError(
            f"The ledger {self.place} cannot be {what}: {_cause(error)}. {next_step}, then clear the run."
        )


def open_database(data_root: Path, url: str = "") -> Database:
    """Return the database of a data root's ledger, made if it does not exist; "" is a file in the data root.

    BadInput if the URL is wrong, or if the ledger belongs to another data root or a newer version.
    """
    check_inside(data_root, data_root)
    # A forked process must not use the connections of its parent.
    return _opened(data_root, url, os.getpid())


@lru_cache(maxsize=8)
def _opened(data_root: Path, url: str, pid: int) -> Database:  # noqa: ARG001  (a part of the key)
    folder = make_folder(data_root, data_root / FOLDER)
    address = _checked(url) if url else URL.create("sqlite", database=str(folder / _SQLITE_FILE))
    database = Database(_engine(address), address.render_as_string() if url else str(address.database))
    token = _token(folder)
    found = database.run(lambda connection: _prepare(connection, token))
    if found != token:
        finding = f"the ledger {database.place} belongs to another data root than {data_root}."
        raise _wrong(finding, "Give each data root a database of its own.")
    return database


def _checked(text_of_url: str) -> URL:
    """Return the URL. BadInput unless it names a database that the ledger can use; the text may hold a password."""
    try:
        address = make_url(text_of_url)
        driver = address.get_dialect().import_dbapi()
    except (ArgumentError, NoSuchModuleError, ValueError):
        finding = "it is not the URL of a database that the ledger can use."
        raise _wrong(finding, f"Write {_FORMS}.") from None
    except ImportError as error:
        finding = f"its driver is not installed ({error})."
        raise _wrong(finding, "pip install 'psycopg[binary]'") from None
    if address.get_backend_name() != "postgresql" or driver.__name__ != "psycopg":
        finding = f"{address.drivername} is not a database that the ledger can use."
        raise _wrong(finding, f"Write {_FORMS}.")
    return address


def _wrong(finding: str, next_step: str) -> BadInput:
    return BadInput([Problem(place=_PLACE, finding=finding, next_step=next_step)])


def _engine(address: URL) -> Engine:
    if address.get_backend_name() == "postgresql":
        return create_engine(address, pool_pre_ping=True, connect_args={"connect_timeout": 10})
    engine = create_engine(address, connect_args={"timeout": PATIENCE_S})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: object) -> None:
        connection.isolation_level = None  # so that `begin` decides how a transaction begins
        connection.create_function(schema.SQLITE_CLOCK, 0, schema.machine_clock)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A transaction that only becomes a writer later may find that it cannot.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _token(folder: Path) -> str:
    """Return the token that tells this data root from others; it moves with the data root."""
    path = folder / _TOKEN_FILE
    with storing(path):
        if not path.exists():
            staged = stage_text(path, f"{new_token()}\n")
            # Of several processes that make a token at the same moment, the first one wins.
            with suppress(FileExistsError):
                path.hardlink_to(staged)
            staged.unlink()
    return (read_text(path) or "").strip()


def _prepare(connection: Connection, token: str) -> str:
    """Make the tables, or check their version; return the token of the data root that the ledger belongs to."""
    lock(connection)  # two processes may find an empty database at the same moment
    if not inspect(connection).has_table(schema.ledger.name):
        schema.metadata.create_all(connection)
        log.info("A new ledger was made: there was none yet, or it was lost")
        connection.execute(schema.ledger.insert().values(version=schema.VERSION, data_root=token))
        return token
    version, owner = connection.execute(select(schema.ledger.c.version, schema.ledger.c.data_root)).one()
    if version > schema.VERSION:
        finding = f"the ledger has version {version}, and this program knows versions up to {schema.VERSION}."
        raise _wrong(finding, "Install the newer version of the project again.")
    return str(owner)


def lock(connection: Connection) -> None:
    """Let in one transaction at a time, from here to its end.

    What a transaction decides by several tables needs this on PostgreSQL: a statement that waits for another
    transaction's row goes on with that row, but sees all other tables as they were before it waited. On SQLite each
    transaction is alone from its beginning.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))


def _may_pass(error: SQLAlchemyError) -> bool:
    """Return True if another attempt may succeed."""
    if not isinstance(error, DBAPIError):
        return False
    if isinstance(error.orig, sqlite3.Error):
        return getattr(error.orig, "sqlite_errorcode", None) in _BUSY
    state = getattr(error.orig, "sqlstate", None)
    if state is None:
        # The connection was lost, or refused before the server could give a reason.
        return "authentication failed" not in str(error.orig) and "does not exist" not in str(error.orig)
    return str(state).startswith(_TRANSIENT_STATES)


def _cause(error: SQLAlchemyError) -> str:
    """Return the line of a driver's message that names the cause; drivers add a question for the operator below."""
    lines = map(str.strip, str(getattr(error, "orig", None) or error).splitlines())
    return ([line.rstrip(".") for line in lines if line and not line.endswith("?")] or ["no reason was given"])[-1]
