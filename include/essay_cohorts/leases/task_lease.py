"""Proves that a calling task is alive: one lease file per task in `<data root>/.callers/`, refreshed by a thread.

The claims of a task on evaluations (see `evaluation_lease`) name its task lease, so that one refreshed file keeps all
of them valid. A lease per evaluation, each with a thread that refreshes it, would cost more than all other writes of
a call. A process that wants to know whether a task is dead tries to take the task's lease. While the process holds
it, no other process gets the same answer, so one process at a time replaces the claims of a dead task. A task that
finds its own lease lost, for example because it was frozen, claims under a new one. Each task removes the leases of
dead tasks when it starts.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType

from essay_cohorts.domain import TaskRef
from essay_cohorts.files.atomic import make_folder, new_token
from essay_cohorts.leases.lease import LEASE_S, Lease

CALLERS = ".callers"
# No process can see whether a task on another machine lives. A task lease that was silent for this long, in s, is
# removed.
_ABANDONED_S = 86_400.0


class TaskLease:
    """One task's lease; a context manager that every thread of the task may use."""

    def __init__(self, root: Path, task: TaskRef, lease_s: float = LEASE_S) -> None:
        self._root, self._task, self._lease_s = root, task, lease_s
        self._lock = threading.RLock()
        # Kept between attempts, because each object measures how long its lease is silent.
        self._others: dict[str, Lease] = {}
        # The last lease is in use. Claims under the earlier ones may still exist.
        self._mine: list[Lease] = []
        self._claim = ""

    def __enter__(self) -> TaskLease:
        self._renew()
        self._remove_dead()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for lease in self._mine:
            lease.release()

    def claim(self) -> str:
        """Return the content of this task's claims.

        Takes a new lease first if this task has lost its lease, for example while it was frozen.
        """
        with self._lock:
            if not self._mine[-1].is_held():
                self._renew()
            return self._claim

    @contextmanager
    def claim_if_dead(self, name: str) -> Iterator[bool]:
        """Yield True if the task with the lease `name` is dead; no other process gets True until the block ends."""
        with self._lock:
            lease = self._others.setdefault(name, lease_of(self._root, name, self._lease_s))
            is_dead = lease.take()
            try:
                yield is_dead
            finally:
                if is_dead:
                    lease.release()
                    del self._others[name]

    def _remove_dead(self) -> None:
        """Remove the leases of dead tasks."""
        own = self._mine[-1].path
        for left in own.parent.glob("*.lease"):
            if left == own:
                continue
            with self.claim_if_dead(left.stem):
                pass  # the release that follows a successful claim removes the file
            with suppress(FileNotFoundError):
                # Both times are of the same file system's clock.
                if own.stat().st_mtime - left.stat().st_mtime > _ABANDONED_S:
                    left.unlink()

    def _renew(self) -> None:
        make_folder(self._root, self._root / CALLERS)
        name = new_token()
        lease = lease_of(self._root, name, self._lease_s)
        lease.take()
        self._mine.append(lease)
        self._claim = json.dumps({"caller": name, **asdict(self._task)}) + "\n"


def lease_of(root: Path, name: str, lease_s: float = LEASE_S) -> Lease:
    """Return the lease of the task with this name."""
    return Lease(task_lease_file(root, name), lease_s)


def task_lease_file(root: Path, name: str) -> Path:
    """Return the path of a task's lease."""
    return root / CALLERS / f"{name}.lease"
