"""The right to call for one evaluation: at most one process has it, whatever runs, machines and tries there are.

A lease cannot end a process that was frozen for longer than it lasts and wakes up; a late reply of such a one is kept
beside the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from include.cohorts.atomic_files import json_text, storing, write_text
from include.cohorts.errors import StoreError
from include.cohorts.lease_file import LEASE_S, Lease
from include.cohorts.metadata_fields import read_json
from include.cohorts.model import TaskRef

LEASE = "call.lease"
HOLDER = "call.json"


class CallLease:
    """One evaluation's lease, seen by one task. Keep it to try again: how long a lease was silent is counted here."""

    def __init__(self, folder: Path, task: TaskRef, lease_s: float = LEASE_S) -> None:
        self._folder, self._task = folder, task
        self._lease = Lease(folder / LEASE, lease_s)

    def take(self) -> bool:
        """True when this task has the lease now; False when another process has it. StoreError without a folder."""
        # filelock would make it, and with it a data root that is not mounted any more.
        if not self._folder.is_dir():
            raise StoreError(
                f"{self._folder} is gone. Check that the data root is still mounted; then clear the run."
            )
        if not self._lease.take():
            return False
        try:
            for left in self._folder.glob(f".{HOLDER}.*.tmp"):
                left.unlink(missing_ok=True)
            write_text(self._folder / HOLDER, json_text(asdict(self._task)), durable=False)
        except StoreError:
            self._lease.release()
            raise
        return True

    def release(self) -> None:
        """Gives the lease back."""
        with storing(self._folder / HOLDER):
            (self._folder / HOLDER).unlink(missing_ok=True)
        self._lease.release()

    def holder(self) -> str:
        """Who has the lease, in words."""
        return _in_words(read_json(self._folder / HOLDER) or {})


def holder_of(folder: Path) -> str | None:
    """Who has the lease of an evaluation's folder, in words; None when nobody has."""
    if not (folder / LEASE).exists():
        return None
    lease = Lease(folder / LEASE)
    if not lease.take():
        return _in_words(read_json(folder / HOLDER) or {})
    lease.release()
    return None


def _in_words(holder: Mapping[str, Any]) -> str:
    if not holder.get("run_id"):
        return "another process"
    place = f"{holder.get('dag_id')} {holder.get('run_id')}, {holder.get('task_id')}"
    return f"{place} {holder.get('map_index')}, try {holder.get('try_number')}"
