"""A bound on calls in flight that several processes share: a numbered lock file a slot.

Each slice has a share of `max_concurrency`, so a slot is nearly always free. It is waited for when there are more
slices than calls allowed, or while a process that was told to stop still has calls under way. A lock is the operating
system's: a process that dies gives its slot back.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from essay_cohorts.errors import StoreError

# A free slot is looked for this often; small beside a call, large beside the cost of looking.
_PAUSE_S = 0.1


class CallSlots:
    """At most `count` holders at once among all processes that use the same `folder`, which exists."""

    def __init__(self, folder: Path, count: int) -> None:
        self._folder, self._count = folder, count

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        """Wait for a slot and holds it. StoreError when the folder is gone."""
        if not self._folder.is_dir():
            msg = f"{self._folder} is gone. Check that the data root is still mounted; then clear the run."
            raise StoreError(msg)
        lock = self._try_all()
        while lock is None:
            await asyncio.sleep(_PAUSE_S * random.uniform(0.5, 1.5))  # noqa: S311  (spreads the lookers out)
            lock = self._try_all()
        try:
            yield
        finally:
            lock.release()

    def _try_all(self) -> FileLock | None:
        for number in random.sample(range(self._count), self._count):
            lock = FileLock(self._folder / f"{number}.lock", thread_local=False)
            try:
                lock.acquire(blocking=False)
            except Timeout:
                continue
            return lock
        return None
