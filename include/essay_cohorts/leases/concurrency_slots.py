"""A limit on the calls in flight that several processes share.

Each of `count` slots is a numbered lock file in one folder, such as `0.lock`. A caller holds a slot while it holds
the file's lock, so the processes never have more calls in flight than there are slots. Each slice gets its share of
`max_concurrency`, so a slot is nearly always free. A caller waits only when there are more slices than allowed calls,
or while a stopped process still has calls in flight. The operating system releases the lock of a process that dies.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from essay_cohorts.errors import StoreError

# Time between two attempts, in s: short compared with a call, long compared with the cost of an attempt.
_PAUSE_S = 0.1


class CallSlots:
    """At most `count` holders at once among all processes that use the same `folder`, which must exist."""

    def __init__(self, folder: Path, count: int) -> None:
        self._folder, self._count = folder, count

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        """Wait for a slot and hold it. StoreError if the folder is gone."""
        if not self._folder.is_dir():
            msg = f"{self._folder} is gone. Check that the data root is still mounted, then clear the run."
            raise StoreError(msg)
        lock = self._try_all()
        while lock is None:
            await asyncio.sleep(_PAUSE_S * random.uniform(0.5, 1.5))  # noqa: S311  (waiters must not try in step)
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
