"""The right to call for one evaluation: at most one process holds it, across runs, tries and machines.

The lease is a claim: the file `call.json` in the evaluation's folder, made by exclusive creation. The claim names the
lease of the task that made it (see `task_lease`), and is valid while that task lease is refreshed. A process that
finds a claim asks whether its task is dead. If it is, the process replaces the claim with its own. Only one process
at a time may do that, because it holds the dead task's lease meanwhile. A claim that names no task was left by a
process that was killed before it wrote into the file; such a claim is replaced after EMPTY_S.

A lease cannot stop a process that was frozen for longer than LEASE_S and then wakes up. If its reply arrives late,
the reply is kept next to the first one.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from essay_cohorts.errors import StoreError
from essay_cohorts.files.atomic import storing, write_text
from essay_cohorts.files.json_files import json_object, read_json, read_text
from essay_cohorts.leases.lease import EMPTY_S, seems_held
from essay_cohorts.leases.task_lease import CALLERS, TaskLease, task_lease_file
from essay_cohorts.records import text_of

_TASK_LEASE_NAME = re.compile(r"[0-9a-f]{12}")
# Stands for the task in a claim that names no task. Its lease serializes the processes that replace such a claim.
_NOBODY = "nobody"


class CallLease:
    """One evaluation's lease, as one task sees it.

    Keep the object between attempts, because it measures how long a claim is empty.
    """

    def __init__(self, claim: Path, task_lease: TaskLease) -> None:
        self._path, self._task_lease = claim, task_lease
        self._claim = str(claim)
        self._mine: str | None = None
        self._empty_since: float | None = None

    def take(self) -> bool:
        """Return True if this task now has the lease, False if another task has it.

        StoreError if the evaluation has no folder.
        """
        self._mine = mine = self._task_lease.claim()
        with storing(self._path):
            try:
                descriptor = os.open(self._claim, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            except FileExistsError:
                return self._take_over(mine)
            except FileNotFoundError:
                msg = f"{self._path.parent} is gone. Check that the data root is still mounted, then clear the run."
                raise StoreError(msg) from None
            try:
                os.write(descriptor, mine.encode())
                # The file is gone if this process was suspended before the write for so long that another process
                # took it for dead and replaced the empty claim.
                return os.fstat(descriptor).st_nlink > 0
            finally:
                os.close(descriptor)

    def release(self) -> None:
        """Give the lease back, unless another process has taken it from this one."""
        with storing(self._path):
            if self._mine is not None and read_text(self._claim) == self._mine:
                Path(self._claim).unlink(missing_ok=True)

    def holder(self) -> str:
        """Return the holder of the lease, in words."""
        return _in_words(read_json(self._claim) or {})

    def _take_over(self, mine: str) -> bool:
        found = read_text(self._claim)
        name = self._claimant(found)
        if name is None:
            return False
        with self._task_lease.claim_if_dead(name) as is_dead:
            # Several processes may find the same task dead and get here one after the other. The first one has
            # changed the claim, so the others give up.
            if not is_dead or read_text(self._claim) != found:
                return False
            write_text(self._path, mine, durable=False)
            # A process that was killed while it took the claim over left a temporary file.
            for left in self._path.parent.glob(f".{self._path.name}.*.tmp"):
                left.unlink(missing_ok=True)
        return True

    def _claimant(self, claim: str | None) -> str | None:
        """Return the name of the task lease in a claim.

        None if there is no claim, or if another process may still be writing it.
        """
        name = _task_lease_name(json_object(claim or "") or {})
        if claim is None or name:
            self._empty_since = None
            return name or None
        self._empty_since = self._empty_since or time.monotonic()
        return _NOBODY if time.monotonic() - self._empty_since >= EMPTY_S else None


def holder_of(root: Path, claim_file: Path) -> str | None:
    """Return the task that holds an evaluation's claim, in words; None if no task does."""
    claim = read_json(claim_file)
    name = _task_lease_name(claim or {})
    if claim is None or not name or not (root / CALLERS).is_dir():
        return None
    return _in_words(claim) if seems_held(task_lease_file(root, name)) else None


def _task_lease_name(claim: Mapping[str, Any]) -> str:
    name = text_of(claim, "caller")
    return name if _TASK_LEASE_NAME.fullmatch(name) else ""


def _in_words(holder: Mapping[str, Any]) -> str:
    if not holder.get("run_id"):
        return "another process"
    place = f"{holder.get('dag_id')} {holder.get('run_id')}, {holder.get('task_id')}"
    return f"{place} {holder.get('map_index')}, try {holder.get('try_number')}"
