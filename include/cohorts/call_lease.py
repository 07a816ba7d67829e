"""The right to call for one evaluation: at most one process has it, whatever runs, machines and tries there are.

A lease is a file in the evaluation's folder, made by exclusive creation, refreshed while it is held and removed when
it is released. One that was not refreshed for LEASE_S, or whose process is seen to be gone, can be taken by the next.
filelock does all that with nothing but files, so it serves on network file systems too. It cannot end a process that
was frozen for longer than LEASE_S and wakes up: a late reply of such a one is kept beside the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import SoftFileLease, Timeout

from include.cohorts.atomic_files import json_text, storing, write_text
from include.cohorts.errors import StoreError
from include.cohorts.metadata_fields import read_json
from include.cohorts.model import TaskRef

# Seconds without a sign of life after which a lease may be taken. Every process must agree on it.
LEASE_S = 30.0
LEASE = "call.lease"
HOLDER = "call.json"


class CallLease:
    """One evaluation's lease, seen by one task. Keep it to try again: how long a lease was silent is counted here."""

    def __init__(self, folder: Path, task: TaskRef) -> None:
        self._folder, self._task = folder, task
        # Taken in one thread and released in another.
        self._lease = SoftFileLease(folder / LEASE, lease_duration=LEASE_S, thread_local=False)

    def take(self) -> bool:
        """True when this task has the lease now; False when another process has it. StoreError without a folder."""
        if not self._folder.is_dir():
            raise StoreError(
                f"{self._folder} is gone. Check that the data root is still mounted; then clear the run."
            )
        with storing(self._folder / LEASE):
            try:
                self._lease.acquire(blocking=False)
            except Timeout:
                return False
        try:
            write_text(self._folder / HOLDER, json_text(asdict(self._task)), durable=False)
        except StoreError:
            self._lease.release()
            raise
        return True

    def release(self) -> None:
        """Gives the lease back."""
        with storing(self._folder / LEASE):
            (self._folder / HOLDER).unlink(missing_ok=True)
            self._lease.release()

    def holder(self) -> str:
        """Who has the lease, in words."""
        return _in_words(read_json(self._folder / HOLDER) or {})


def holder_of(folder: Path) -> str | None:
    """Who has the lease of an evaluation's folder, in words; None when nobody has."""
    lease = SoftFileLease(folder / LEASE, lease_duration=LEASE_S)
    if not (folder / LEASE).exists():
        return None
    with storing(folder / LEASE):
        try:
            lease.acquire(blocking=False)
        except Timeout:
            return _in_words(read_json(folder / HOLDER) or {})
        lease.release()
    return None


def _in_words(holder: Mapping[str, Any]) -> str:
    if not holder.get("run_id"):
        return "another process"
    place = f"{holder.get('dag_id')} {holder.get('run_id')}, {holder.get('task_id')}"
    return f"{place} {holder.get('map_index')}, try {holder.get('try_number')}"
