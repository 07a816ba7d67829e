"""What a test asks of the ledger in a data root's file, and claims that another task has."""

from __future__ import annotations

import shutil
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psutil

from essay_cohorts.domain import TaskRef
from essay_cohorts.ledger import database
from essay_cohorts.ledger.ledger import Ledger
from essay_cohorts.ledger.schema import machine_clock
from essay_cohorts.settings import Settings


def ledger_of(root: Path) -> Ledger:
    """Return the ledger in a data root's file."""
    return Ledger.of(Settings(data_root=root))


def recorded_requests(root: Path, cohort_id: str = "c") -> list[dict[str, Any]]:
    """Return the rows of a cohort's requests in the order in which they were recorded."""
    file = root / ".ledger" / "ledger.sqlite"
    if not file.exists():
        return []
    with closing(sqlite3.connect(file)) as connection:
        connection.row_factory = sqlite3.Row
        found = connection.execute("SELECT * FROM requests WHERE cohort_id = ? ORDER BY rowid", (cohort_id,))
        return [dict(row) for row in found]


def claimed_ids(root: Path) -> list[str]:
    """Return the evaluations that are claimed, by whichever caller."""
    with closing(sqlite3.connect(root / ".ledger" / "ledger.sqlite")) as connection:
        return [gen_id for (gen_id,) in connection.execute("SELECT gen_id FROM claims")]


@contextmanager
def claimed_by(task: TaskRef, root: Path, *gen_ids: str) -> Iterator[Callable[[], None]]:
    """Let another task claim evaluations until the block ends, or until the yielded function is called."""
    ledger = ledger_of(root)
    with ledger.caller(str(task)) as caller:
        assert ledger.claim(caller, gen_ids) == set(gen_ids)
        try:
            yield lambda: ledger.release(caller, gen_ids)
        finally:
            ledger.release(caller, gen_ids)


def claim_for_a_silent_task(root: Path, silent_s: float, *gen_ids: str) -> None:
    """Let a living process that was last heard of `silent_s` seconds ago claim evaluations."""
    ledger_of(root)
    own = psutil.Process()
    with closing(sqlite3.connect(root / ".ledger" / "ledger.sqlite")) as connection, connection:
        row = ("silent", "a task", socket.gethostname(), own.pid, own.create_time(), machine_clock() - silent_s)
        columns = "name, who, host, pid, started, seen_at"
        connection.execute(f"INSERT INTO callers ({columns}) VALUES (?, ?, ?, ?, ?, ?)", row)  # noqa: S608
        connection.executemany("INSERT INTO claims VALUES (?, 'silent')", [(gen_id,) for gen_id in gen_ids])


def forget_connections() -> None:
    """Let the next use of a ledger open it again, as another process would."""
    for opened in (database._opened, database._connected, database._temporary):
        opened.cache_clear()


def lose_ledger(root: Path) -> None:
    """Remove the ledger, as an operator might."""
    shutil.rmtree(root / ".ledger")
    forget_connections()


def silence_callers(root: Path, silent_s: float, host: str = "elsewhere") -> None:
    """Make every caller a silent one of another machine."""
    with closing(sqlite3.connect(root / ".ledger" / "ledger.sqlite")) as connection, connection:
        connection.execute(
            "UPDATE callers SET host = ?, process_table = host, seen_at = seen_at - ?", (host, silent_s)
        )
