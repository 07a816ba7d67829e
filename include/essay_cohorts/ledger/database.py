"""Opens the database of a ledger and runs transactions in it, again when the connection was lost.

A transaction may run twice: if the server dies after it committed and before it answered, nobody can tell. So each
transaction must come to the same result when it is repeated; the names of rows are chosen before it begins.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import create_engine, event, inspect, select
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from essay_cohorts.errors import BadInput, Problem, StoreError
from essay_cohorts.files.atomic import check_inside, make_folder, new_token, stage_text, storing
from essay_cohorts.files.json_files import read_text
from essay_cohorts.ledger import schema
from essay_cohorts.ledger.former_files import former_caller, take_in

log = logging.getLogger(__name__)

T = TypeVar("T")

FOLDER = ".ledger"
_SQLITE_FILE, _TOKEN_FILE = "ledger.sqlite", "data_root.txt"
# How long a process waits for a database that does not answer or is locked, in s, and between two attempts.
PATIENCE_S, _PAUSE_S = 60.0, 0.5
_PLACE = "environment: DD_LEDGER"
_FORMS = "postgresql+psycopg://user:password@host/database, or leave it out for a file in the data root"
# The classes of PostgreSQL's errors that another attempt can cure: connection, resources, shutdown, serialisation.
_TRANSIENT_STATES = ("08", "53", "57", "40", "55P03", "25P03")
# What bounds the wait for a machine that is gone in the middle of a transaction; the units are s and ms.
_POSTGRESQL = {
    "connect_timeout": 10,
    "tcp_user_timeout": 20_000,
    "keepalives_idle": 10,
    "options": "-c idle_in_transaction_session_timeout=20000 -c lock_timeout=20000 -c tcp_keepalives_idle=10",
}
# The folders of ledgers that are only read; Python removes them when the process ends.
_TEMPORARY: list[tempfile.TemporaryDirectory[str]] = []
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


class Database:
    """The database of one data root's ledger, as one process uses it; every thread may call `run`.

    `owner` is the token of the data root that the ledger belongs to, once this process has seen today's tables.
    """

    def __init__(self, engine: Engine, place: str, patience_s: float = PATIENCE_S) -> None:
        self._engine, self.place, self._patience_s = engine, place, patience_s
        self.owner: str | None = None

    @property
    def is_sqlite(self) -> bool:
        """True for the file of one machine."""
        return self._engine.dialect.name == "sqlite"

    def run(
        self, action: Callable[[Connection], T], *, is_reading: bool = False, patience_s: float | None = None
    ) -> T:
        """Run `action` in one transaction and return its result; one that only reads waits for no writer.

        While the database does not answer, the action is tried again for `patience_s`, or up to a minute; then
        StoreError.
        """
        patience_s = self._patience_s if patience_s is None else patience_s
        until, has_failed = time.monotonic() + patience_s, False
        while True:
            try:
                with (
                    self._engine.connect().execution_options(is_reading=is_reading) as connection,
                    connection.begin(),
                ):
                    return action(connection)
            except SQLAlchemyError as error:
                if not _may_pass(error) or time.monotonic() > until:
                    raise self._as_store_error(error) from error
                if not has_failed:
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


def open_database(data_root: Path, url: str = "", *, for_reading: bool = False) -> Database:
    """Return the database of a data root's ledger; "" is a file in the data root. It is made if it does not exist.

    With `for_reading` nothing is made or migrated: if there is no ledger with today's tables, what is read comes from
    a temporary one.
    BadInput if the URL is wrong, if the ledger belongs to another data root or a newer version, or if a task of
    version 0.1.0 still calls judges.
    """
    check_inside(data_root, data_root)
    if for_reading:
        return existing_database(data_root, url) or _temporary(data_root, os.getpid())
    if (caller := former_caller(data_root)) is not None:
        finding = "a task of version 0.1.0 refreshes this file, so it may still be calling judges."
        raise BadInput(
            [Problem(place=caller, finding=finding, next_step="Wait for its end or end it, then start again.")]
        )
    return _opened(data_root, url, os.getpid())


@lru_cache(maxsize=16)
def _opened(data_root: Path, url: str, pid: int) -> Database:
    token = _token(make_folder(data_root, data_root / FOLDER))
    database = _connected(data_root, url, pid)
    database.owner = database.run(lambda connection: _prepare(connection, token, data_root))
    return _owned(database, token, data_root)


def existing_database(data_root: Path, url: str = "", patience_s: float = PATIENCE_S) -> Database | None:
    """Return the database of a ledger that exists with today's tables, else None; nothing is made.

    `patience_s` is how long to wait for a database that does not answer, before StoreError. BadInput as for
    `open_database`, but None while a task of version 0.1.0 writes its files: they must not be taken in for good.
    """
    token = (read_text(data_root / FOLDER / _TOKEN_FILE) or "").strip()
    if former_caller(data_root) is not None or not token or not (url or (data_root / FOLDER / _SQLITE_FILE).exists()):
        return None
    database = _connected(data_root, url, os.getpid())
    # A page opens the ledger for each of its parts, so the tables are looked at once.
    database.owner = database.owner or database.run(_owner, is_reading=True, patience_s=patience_s)
    return _owned(database, token, data_root) if database.owner else None


@lru_cache(maxsize=16)
def _temporary(data_root: Path, pid: int) -> Database:  # noqa: ARG001  (a part of the key)
    _TEMPORARY.append(tempfile.TemporaryDirectory(prefix="ledger-"))
    file = Path(_TEMPORARY[-1].name) / _SQLITE_FILE
    database = Database(_engine(URL.create("sqlite", database=str(file))), str(file))
    database.run(lambda connection: _prepare(connection, "", data_root))
    return database


@lru_cache(maxsize=16)
def _connected(data_root: Path, url: str, pid: int) -> Database:  # noqa: ARG001  (a forked process needs connections of its own)
    file = data_root / FOLDER / _SQLITE_FILE
    address = _checked(url) if url else URL.create("sqlite", database=str(file))
    return Database(_engine(address), place_of(address))


def _owned(database: Database, token: str, data_root: Path) -> Database:
    """Return the database. BadInput if it belongs to another data root than the one with this token."""
    if database.owner != token:
        finding = f"the ledger {database.place} belongs to another data root than {data_root}."
        raise _wrong(finding, "Give each data root a database of its own.")
    return database


def place_of(address: URL) -> str:
    """Return the file or the URL for messages, without a password, which may be in the query too."""
    is_file = address.get_backend_name() == "sqlite"
    return str(address.database) if is_file else address.set(query={}).render_as_string()


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
        return create_engine(address, pool_pre_ping=True, connect_args=_POSTGRESQL)
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
        is_reading = connection.get_execution_options().get("is_reading")
        connection.exec_driver_sql("BEGIN" if is_reading else "BEGIN IMMEDIATE")

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


def _prepare(connection: Connection, token: str, data_root: Path) -> str:
    """Make the tables, or bring them up to date; return the token of the data root that the ledger belongs to."""
    schema.lock(connection)  # two processes may find an empty database at the same moment
    if (owner := _owner(connection)) is not None:
        return owner
    is_new = not inspect(connection).has_table(schema.ledger.name)
    if is_new:
        if token:
            log.info("A new ledger was made: there was none yet, or it was lost")
        schema.metadata.create_all(connection)
        connection.execute(schema.ledger.insert().values(version=schema.VERSION, data_root=token))
    else:
        schema.migrate(connection)
        connection.execute(schema.ledger.update().values(version=schema.VERSION))
    take_in(connection, data_root)
    return str(connection.execute(select(schema.ledger.c.data_root)).scalar_one())


def _owner(connection: Connection) -> str | None:
    """Return the token of the data root that the ledger belongs to; None without tables of today's version."""
    if not inspect(connection).has_table(schema.ledger.name):
        return None
    version, owner = connection.execute(select(schema.ledger.c.version, schema.ledger.c.data_root)).one()
    if version > schema.VERSION:
        finding = f"the ledger has version {version}, and this program knows versions up to {schema.VERSION}."
        raise _wrong(finding, "Install the newer version of the project again.")
    return str(owner) if version == schema.VERSION else None


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
