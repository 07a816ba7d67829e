"""The tables of the ledger, and the clock that all processes share.

The same statements run on SQLite and on PostgreSQL. Every time in the tables is in seconds of the database's clock,
so the clocks of two machines are never compared. On PostgreSQL this is the clock of the server. On SQLite, which
serves one machine, it is the time since the machine was started: nobody can set that clock, and no caller from before
a restart counts as alive for longer than LEASE_S.
"""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Float,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

# The version of these tables. A ledger of an older version is migrated, and one of a newer version is refused.
VERSION = 1
# A caller that was silent for this many seconds is dead: another process may take over what the caller held.
LEASE_S = 30.0
SQLITE_CLOCK = "ledger_clock"

metadata = MetaData()

# One row: the version of the tables, and the token of the data root that this ledger belongs to.
ledger = Table(
    "ledger", metadata, Column("version", Integer, nullable=False), Column("data_root", Text, nullable=False)
)

# A row per process that may hold something. `seen_at` is refreshed while the process lives; `host`, `pid` and
# `started` identify the process on its own machine, and `who` describes it to people.
callers = Table(
    "callers",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("who", Text, nullable=False),
    Column("host", Text, nullable=False),
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


def machine_clock() -> float:
    """Return the seconds since this machine was started, suspended time included where the system counts it."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def was_seen() -> ColumnElement[bool]:
    """Return the condition that a caller was seen in the last LEASE_S seconds."""
    return (clock() - callers.c.seen_at).between(0.0, LEASE_S)


def is_alive(caller: Column[Any]) -> ColumnElement[bool]:
    """Return the condition that the caller that a column of another table names was seen in the last LEASE_S."""
    found = select(callers.c.name).where(callers.c.name == caller, was_seen())
    return found.correlate(caller.table).exists()


def insert(connection: Connection, table: Table) -> Any:
    """Return an INSERT that can say ON CONFLICT, which both databases have and SQLAlchemy has only by dialect."""
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)
