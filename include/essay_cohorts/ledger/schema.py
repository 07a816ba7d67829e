"""The tables of the ledger, and the clock that all processes share.

The same statements run on SQLite and on PostgreSQL. Every time in the tables is in seconds of the database's clock,
so the clocks of two machines are never compared. On PostgreSQL this is the clock of the server. On SQLite, which
serves one machine, it is the time since the machine was started: nobody can set that clock, and no caller from before
a restart counts as alive for longer than LEASE_S.
"""

from __future__ import annotations

import time
from importlib import import_module
from typing import Any

from sqlalchemy import (
    DDL,
    Boolean,
    Column,
    ColumnElement,
    Float,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    event,
    inspect,
    select,
    text,
)
from sqlalchemy.engine import Connection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

# The version of these tables. A ledger of an older version is migrated, and one of a newer version is refused.
VERSION = 3
# A caller that was silent for this many seconds is dead: another process may take over what the caller held.
LEASE_S = 30.0
SQLITE_CLOCK = "ledger_clock"
# Any number; it names the lock among the advisory locks of the ledger's database.
_LOCK = 7_225_100

metadata = MetaData()

# One row: the version of the tables, and the token of the data root that this ledger belongs to.
ledger = Table(
    "ledger", metadata, Column("version", Integer, nullable=False), Column("data_root", Text, nullable=False)
)

# A row per process that may hold something. `seen_at` is refreshed while the process lives, and `who` describes the
# process to people. `process_table` is where `pid` counts, such as a container; `started` tells the process from a
# later one of the same `pid`.
callers = Table(
    "callers",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("who", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("process_table", Text, nullable=False, server_default=""),
    Column("pid", Integer, nullable=False),
    Column("started", Float, nullable=False),
    Column("seen_at", Float, nullable=False),
)

# A row per thing of which there is only one, such as the right to write a plan, and the caller that has it.
turns = Table("turns", metadata, Column("name", String(64), primary_key=True), Column("caller", String(32)))

# A row per call that may be in flight, and the caller that holds this permission.
slots = Table(
    "slots",
    metadata,
    Column("token", String(32), primary_key=True),
    Column("cohort_id", Text, nullable=False, index=True),
    Column("caller", String(32), nullable=False),
)

# A row per evaluation that a caller works on: at most one caller at a time asks a judge for it, or scores it again.
claims = Table(
    "claims",
    metadata,
    Column("gen_id", Text, primary_key=True),
    Column("caller", String(32), nullable=False, index=True),
)

# A row per request that may cost money. `worst_usd` is the most that it can cost, None without a price. `ending` is a
# CallEnd, None until the end is known. `sent_at` is UTC as text, for people and for the bill; `began` and `ended` are
# times of the database's clock.
requests = Table(
    "requests",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("cohort_id", Text, nullable=False),
    Column("dag_id", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("gen_id", Text, nullable=False),
    Column("template_id", Text, nullable=False),
    Column("model_id", Text, nullable=False),
    Column("caller", String(32), nullable=False),
    Column("sent_at", String(32), nullable=False, index=True),
    Column("began", Float, nullable=False),
    Column("worst_usd", Float),
    Column("ending", String(16)),
    Column("ended", Float),
    Column("cost_usd", Float),
)
Index("requests_of_run", requests.c.cohort_id, requests.c.run_id)
# As text, because an Index with a condition makes SQLAlchemy import every database that it names, for 0.05 s.
_OPEN_REQUESTS = "CREATE INDEX IF NOT EXISTS open_requests ON requests (model_id) WHERE ending IS NULL"
event.listen(requests, "after_create", DDL(_OPEN_REQUESTS))  # type: ignore[no-untyped-call]

# A row per model whose requests may not start at any time: see pace.Pace, which has the same fields.
paces = Table(
    "paces",
    metadata,
    Column("model_id", Text, primary_key=True),
    Column("next_start", Float, nullable=False),
    Column("rate", Float),
    Column("shrunk_at", Float, nullable=False),
    Column("grown_at", Float, nullable=False),
    Column("is_measured", Boolean, nullable=False),
    Column("ceiling", Float),
)

# A row per evaluation that a cohort has announced, and the task that announced it.
announced = Table(
    "announced",
    metadata,
    Column("cohort_id", Text),
    Column("gen_id", Text),
    Column("run_key", Text, nullable=False),
    Column("task", Text, nullable=False),
    PrimaryKeyConstraint("cohort_id", "gen_id"),
)

# The scores that each cohort was last announced with, as a hash, and the run that announced them.
completions = Table(
    "completions",
    metadata,
    Column("cohort_id", Text, primary_key=True),
    Column("run_key", Text, nullable=False),
    Column("scores_sha256", Text, nullable=False),
)

# A row per evaluation of the store: see evaluation_index. A writer sorts its rows, so that SQLite adds them in order.
evaluations = Table(
    "evaluations",
    metadata,
    Column("gen_id", Text, primary_key=True),
    Column("essay_id", Text, nullable=False),
    sqlite_with_rowid=False,
)


class clock(FunctionElement[float]):  # noqa: N801  (a function of SQL)
    """The time of the database, in seconds."""

    type = Float()
    inherit_cache = True


@compiles(clock, "sqlite")
def _sqlite_clock(*_: Any, **__: Any) -> str:
    return f"{SQLITE_CLOCK}()"


@compiles(clock, "postgresql")
def _postgresql_clock(*_: Any, **__: Any) -> str:
    # now() would be the time when the transaction began.
    return "extract(epoch from clock_timestamp())::float8"


class server_start(FunctionElement[float]):  # noqa: N801  (a function of SQL)
    """The time when the database's server was started: nobody could be seen before it."""

    type = Float()
    inherit_cache = True


@compiles(server_start, "sqlite")
def _sqlite_start(*_: Any, **__: Any) -> str:
    return "-1e9"  # a file has no server


@compiles(server_start, "postgresql")
def _postgresql_start(*_: Any, **__: Any) -> str:
    return "extract(epoch from pg_postmaster_start_time())::float8"


def machine_clock() -> float:
    """Return the seconds since this machine was started, suspended time included where the system counts it."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def was_seen() -> ColumnElement[bool]:
    """Return the condition that a caller was seen in the last LEASE_S seconds.

    A clock that was set back a little makes nobody dead. While the database's server was down, nobody could be seen:
    who was seen shortly before its start has LEASE_S from then on.
    """
    was_alive = callers.c.seen_at.between(server_start() - LEASE_S, server_start())
    return (clock() - callers.c.seen_at).between(-LEASE_S, LEASE_S) | (
        was_alive & (clock() - server_start()).between(0.0, LEASE_S)
    )


def is_alive(caller: Column[Any]) -> ColumnElement[bool]:
    """Return the condition that the caller that a column of another table names was seen in the last LEASE_S."""
    found = select(callers.c.name).where(callers.c.name == caller, was_seen())
    return found.correlate(caller.table).exists()


def insert(connection: Connection, table: Table) -> Any:
    """Return an INSERT that can say ON CONFLICT, which both databases have and SQLAlchemy has only by dialect."""
    return import_module(f"sqlalchemy.dialects.{connection.dialect.name}").insert(table)  # importing both takes 0.1 s


def migrate(connection: Connection) -> None:
    """Bring the tables of an older version up to date. Processes of that version may go on using them."""
    if "process_table" not in {column["name"] for column in inspect(connection).get_columns(callers.name)}:
        connection.execute(text("ALTER TABLE callers ADD COLUMN process_table TEXT NOT NULL DEFAULT ''"))
    metadata.create_all(connection)


def lock(connection: Connection) -> None:
    """Let in one transaction at a time, from here to its end.

    What a transaction decides by several tables needs this on PostgreSQL: a statement that waits for another
    transaction's row goes on with that row, but sees all other tables as they were before it waited. On SQLite each
    transaction is alone from its beginning.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
