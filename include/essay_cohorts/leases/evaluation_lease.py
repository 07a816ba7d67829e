"""The right to call for one evaluation: at most one process has it, whatever runs, machines and tries there are.

It is a claim, a file made by exclusive creation that names the card of the task that made it. Who finds one may take
its place once that task is gone. A lease cannot end a process that was frozen for longer than it lasts and wakes up;
a late reply of such a one is kept beside the first.
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
from essay_cohorts.leases.task_lease import CALLERS, TaskLease, card_file
from essay_cohorts.records import text_of

_CARD = re.compile(r"[0-9a-f]{12}")
# Whose place one takes when a claim names nobody: its process was killed between making it and writing into it.
_NOBODY = "nobody"


class CallLease:
    """One evaluation's lease, seen by one task. Keep it to try again: how long a claim was empty is counted here."""

    def __init__(self, claim: Path, card: TaskLease) -> None:
        self._path, self._card = claim, card
        self._claim = str(claim)
        self._mine: str | None = None
        self._empty_since: float | None = None

    def take(self) -> bool:
        """Return True when this task has the lease now; False when another process has it.

        StoreError without a folder.
        """
        self._mine = mine = self._card.claim()
        with storing(self._path):
            try:
                descriptor = os.open(self._claim, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            except FileExistsError:
                return self._take_over(mine)
            except FileNotFoundError:
                msg = f"{self._path.parent} is gone. Check that the data root is still mounted; then clear the run."
                raise StoreError(msg) from None
            try:
                os.write(descriptor, mine.encode())
                # Gone when this process was stopped right before that, long enough to be taken for dead.
                return os.fstat(descriptor).st_nlink > 0
            finally:
                os.close(descriptor)

    def release(self) -> None:
        """Give the lease back, unless another process has taken it from this one."""
        with storing(self._path):
            if self._mine is not None and read_text(self._claim) == self._mine:
                Path(self._claim).unlink(missing_ok=True)

    def holder(self) -> str:
        """Return who has the lease, in words."""
        return _in_words(read_json(self._claim) or {})

    def _take_over(self, mine: str) -> bool:
        found = read_text(self._claim)
        name = self._caller_of(found)
        if name is None:
            return False
        with self._card.claim_if_dead(name) as gone:
            # Whoever finds the same task gone waits for its turn; the first has changed the claim by then.
            if not gone or read_text(self._claim) != found:
                return False
            write_text(self._path, mine, durable=False)
            for left in self._path.parent.glob(f".{self._path.name}.*.tmp"):
                left.unlink(missing_ok=True)  # of one that was killed while it took over
        return True

    def _caller_of(self, claim: str | None) -> str | None:
        """Return the card that a claim names.

        None when there is no claim, or an empty one that is perhaps being written.
        """
        name = _card_in(json_object(claim or "") or {})
        if claim is None or name:
            self._empty_since = None
            return name or None
        self._empty_since = self._empty_since or time.monotonic()
        return _NOBODY if time.monotonic() - self._empty_since >= EMPTY_S else None


def holder_of(root: Path, claim_file: Path) -> str | None:
    """Return the task that holds an evaluation's claim, in words; None when no task does."""
    claim = read_json(claim_file)
    name = _card_in(claim or {})
    if claim is None or not name or not (root / CALLERS).is_dir():
        return None
    return _in_words(claim) if seems_held(card_file(root, name)) else None


def _card_in(claim: Mapping[str, Any]) -> str:
    name = text_of(claim, "caller")
    return name if _CARD.fullmatch(name) else ""


def _in_words(holder: Mapping[str, Any]) -> str:
    if not holder.get("run_id"):
        return "another process"
    place = f"{holder.get('dag_id')} {holder.get('run_id')}, {holder.get('task_id')}"
    return f"{place} {holder.get('map_index')}, try {holder.get('try_number')}"
