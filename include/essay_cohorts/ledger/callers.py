"""Callers: a row of the ledger proves that a process is alive, while a thread of that process refreshes the row.

A process that finds something taken asks the database whether the caller that has it is alive: whether this caller
was seen in the last LEASE_S seconds, by the database's own clock. A dead process of the same machine is found at once
by its process id; process ids of other machines and containers say nothing.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from pathlib import Path
from types import TracebackType

import psutil
from sqlalchemy import delete, select, update
from sqlalchemy.engine import Connection

from essay_cohorts.errors import BadInput, Problem, StoreError
from essay_cohorts.files.atomic import new_token
from essay_cohorts.ledger import schema
from essay_cohorts.ledger.database import Database
from essay_cohorts.ledger.schema import callers, claims, clock

log = logging.getLogger(__name__)

# The time between two refreshes, in s: several may fail before others take this process for dead.
_BEAT_S = 5.0
# Times of a process's start, read twice, may differ in the last digits.
_SAME_START_S = 1.0


class Caller:
    """This process as the other users of the ledger see it, from the beginning to the end of a `with` block.

    BadInput if the ledger is a file and a process of another machine uses it: such a file must not be shared.
    """

    def __init__(self, database: Database, who: str, beat_s: float = _BEAT_S) -> None:
        self.name, self._who, self._database, self._beat_s = new_token(), who, database, beat_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="ledger", daemon=True)

    def __enter__(self) -> Caller:
        foreign = self._database.run(self._register)
        if foreign:
            finding = f"{self._database.place} is a file, and a process on the machine {foreign} uses it too."
            next_step = "Set DD_LEDGER to a PostgreSQL database on all machines."
            raise BadInput([Problem(place="environment: DD_LEDGER", finding=finding, next_step=next_step)])
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        own = delete(callers).where(callers.c.name == self.name)
        try:
            self._database.run(lambda connection: connection.execute(own))
        except StoreError as lost:
            # The work is done. Once the row is no longer refreshed, this process counts as dead.
            log.warning("%s", lost)

    def _register(self, connection: Connection) -> str:
        """Add this process's row, unless another machine uses a ledger of one machine: then return its name."""
        schema.lock(connection)
        remove_dead(connection)
        host = socket.gethostname()
        others = select(callers.c.host).where(callers.c.host != host, schema.was_seen())
        foreign = connection.execute(others).scalars().first() if self._database.is_sqlite else None
        if foreign is None:
            own = {
                "name": self.name,
                "who": self._who,
                "host": host,
                "process_table": _process_table(),
                "pid": os.getpid(),
                "started": _started(os.getpid()),
            }
            added = schema.insert(connection, callers).values(**own, seen_at=clock())
            connection.execute(added.on_conflict_do_nothing())
            connection.execute(delete(claims).where(~schema.is_alive(claims.c.caller)))
        return foreign or ""

    def _refresh(self, connection: Connection) -> None:
        seen = update(callers).where(callers.c.name == self.name).values(seen_at=clock())
        if connection.execute(seen.returning(callers.c.name)).first() is None:
            log.warning("Others took this process for dead: its claims may be theirs now")
            self._register(connection)

    def _beat(self) -> None:
        while not self._ended.wait(self._beat_s):
            try:
                self._database.run(self._refresh)
            except StoreError as error:
                log.warning("%s", error)


def remove_dead(connection: Connection) -> None:
    """Remove the rows of this machine's processes that no longer exist, and of callers that were silent for a day."""
    silent_s = clock() - callers.c.seen_at
    connection.execute(delete(callers).where(callers.c.name.in_(dead_here(connection)) | (silent_s > 86_400.0)))


def dead_here(connection: Connection) -> list[str]:
    """Return the names of callers whose processes, of this machine or container, no longer exist."""
    here = select(callers.c.name, callers.c.pid, callers.c.started).where(callers.c.process_table == _process_table())
    return [name for name, pid, started in connection.execute(here) if not _is_running(pid, started)]


def _process_table() -> str:
    """Return the name of the process table of this process: two containers of one host name have two of them."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
        return f"{boot.strip()} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return socket.gethostname()


def _is_running(pid: int, started: float) -> bool:
    found = _started(pid)
    # Another user's process may be there and not tell its start.
    return psutil.pid_exists(pid) if found is None else abs(found - started) < _SAME_START_S


def _started(pid: int) -> float | None:
    """Return when the process was started; None if nobody can tell.

    The start tells a process from a later one that got the same number.
    """
    try:
        # In Linux ticks since the machine was started, because psutil's time moves when the clock is set.
        stat = Path(f"/proc/{pid}/stat")
        if stat.exists():
            return int(stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]) / 100
        return float(psutil.Process(pid).create_time())
    except (psutil.Error, OSError, ValueError, OverflowError, IndexError):
        return None
