"""The lease of an evaluation: the right to call for it. At most one task has it, across runs, tries and machines.

The lease is a claim: the file `call.json` in the evaluation's folder. A task makes the claim by creating this file,
which fails if the file exists. The claim names the lease of its task (see `task_lease`), and is valid while that task
lease is refreshed. When another task finds the claim, it tries to take the task lease that the claim names. If that
succeeds, the first task is dead, and the other task replaces the claim with its own. Only one task at a time can do
this, because it holds the lease of the dead task meanwhile. A claim that names no task was left by a process that was
killed before it wrote into the file. Such a claim is replaced after EMPTY_S.

A lease cannot stop a process that was frozen for longer than LEASE_S and then continues. If the reply to its call
arrives after another process has stored one, both replies are kept.
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
# A claim that names no task is treated as if it named this one. Whoever replaces such a claim takes the lease of this
# name first, so that only one process at a time replaces it.
_NO_TASK = "nobody"


class CallLease:
    """One evaluation's lease, as one task sees it.

    Keep the object between attempts, because it measures how long a claim has been empty.
    """

    def __init__(self, claim: Path, task_lease: TaskLease) -> None:
        self._path, self._task_lease = claim, task_lease
        self._claim = str(claim)
        self._own_claim: str | None = None
        self._empty_since: float | None = None

    def take(self) -> bool:
        """Try to take the lease, without waiting. Return True if this task has it now, else False.

        StoreError if the evaluation has no folder.
        """
        self._own_claim = own_claim = self._task_lease.claim()
        with storing(self._path):
            try:
                descriptor = os.open(self._claim, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            except FileExistsError:
                return self._take_over(own_claim)
            except FileNotFoundError:
                msg = f"{self._path.parent} is gone. Check that the data root is still mounted, then clear the run."
                raise StoreError(msg) from None
            try:
                os.write(descriptor, own_claim.encode())
                # If this process was suspended before the write, another process may have considered it dead and
                # replaced the empty claim. Then the file that was just written no longer has a name.
                return os.fstat(descriptor).st_nlink > 0
            finally:
                os.close(descriptor)

    def release(self) -> None:
        """Release the lease, unless another process has taken it over."""
        with storing(self._path):
            if self._own_claim is not None and read_text(self._claim) == self._own_claim:
                Path(self._claim).unlink(missing_ok=True)

    def holder(self) -> str:
        """Describe the task that holds the lease."""
        return _describe(read_json(self._claim) or {})

    def _take_over(self, own_claim: str) -> bool:
        found = read_text(self._claim)
        name = self._task_lease_in(found)
        if name is None:
            return False
        with self._task_lease.claim_if_dead(name) as is_dead:
            # Several processes may find the same task dead, and get here one after the other. The first one changes
            # the claim, so the others give up.
            if not is_dead or read_text(self._claim) != found:
                return False
            write_text(self._path, own_claim, durable=False)
            # Remove the temporary files of processes that were killed while they replaced the claim.
            for left in self._path.parent.glob(f".{self._path.name}.*.tmp"):
                left.unlink(missing_ok=True)
        return True

    def _task_lease_in(self, claim: str | None) -> str | None:
        """Return the name of the task lease that must be taken before the claim is replaced.

        None if there is no claim, or if the process that created the claim may still be writing it.
        """
        name = _task_lease_name(json_object(claim or "") or {})
        if claim is None or name:
            self._empty_since = None
            return name or None
        self._empty_since = self._empty_since or time.monotonic()
        return _NO_TASK if time.monotonic() - self._empty_since >= EMPTY_S else None


def holder_of(root: Path, claim_file: Path) -> str | None:
    """Describe the task that holds the claim on an evaluation; None if no living task holds it."""
    claim = read_json(claim_file)
    name = _task_lease_name(claim or {})
    if claim is None or not name or not (root / CALLERS).is_dir():
        return None
    return _describe(claim) if seems_held(task_lease_file(root, name)) else None


def _task_lease_name(claim: Mapping[str, Any]) -> str:
    name = text_of(claim, "caller")
    return name if _TASK_LEASE_NAME.fullmatch(name) else ""


def _describe(holder: Mapping[str, Any]) -> str:
    if not holder.get("run_id"):
        return "another process"
    place = f"{holder.get('dag_id')} {holder.get('run_id')}, {holder.get('task_id')}"
    return f"{place} {holder.get('map_index')}, try {holder.get('try_number')}"
