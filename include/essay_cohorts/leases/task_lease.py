"""A task that calls, as others see it: a lease in `<data root>/.callers` that is refreshed while its process lives.

An evaluation's claim names the card of the task that has it. One card a task: a lease for each evaluation, with a
thread that refreshes it, would cost more than all else that is written for a call.
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
# Whether a task of another machine lives nobody can see; a card that was silent for so long, in s, is cleared away.
_ABANDONED_S = 86_400.0


class TaskLease:
    """One task's card; a context manager that every thread of the task may use."""

    def __init__(self, root: Path, task: TaskRef, lease_s: float = LEASE_S) -> None:
        self._root, self._task, self._lease_s = root, task, lease_s
        self._turn = threading.RLock()
        # Kept to try again: how long a card was silent is counted there.
        self._others: dict[str, Lease] = {}
        # The last one is in use. Claims under those before it may still stand.
        self._mine: list[Lease] = []
        self._claim = ""

    def __enter__(self) -> TaskLease:
        self._renew()
        self._clear()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for lease in self._mine:
            lease.release()

    def claim(self) -> str:
        """Return what a claim of this task says.

        Once its card is lost, as while it was frozen, it makes a new one.
        """
        with self._turn:
            if not self._mine[-1].is_held():
                self._renew()
            return self._claim

    @contextmanager
    def claim_if_dead(self, name: str) -> Iterator[bool]:
        """Yield True when the task of the card `name` lives no more; then nobody else is told so meanwhile."""
        with self._turn:
            lease = self._others.setdefault(name, lease_of(self._root, name, self._lease_s))
            gone = lease.take()
            try:
                yield gone
            finally:
                if gone:
                    lease.release()
                    del self._others[name]

    def _clear(self) -> None:
        """Remove the cards of tasks that are gone."""
        own = self._mine[-1].path
        for left in own.parent.glob("*.lease"):
            if left == own:
                continue
            with self.claim_if_dead(left.stem):
                pass  # a card goes with the look at it
            with suppress(FileNotFoundError):
                # By the clock of the one file system that both are on.
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
    """Return the lease that a card is."""
    return Lease(card_file(root, name), lease_s)


def card_file(root: Path, name: str) -> Path:
    """Return where a card lies."""
    return root / CALLERS / f"{name}.lease"
