"""Runs work that waits for the disk off the event loop: in one thread, and in more once the disk proves slow.

Each system call hands the interpreter from one thread to another. On a quick disk, one thread next to the event loop
therefore needs half the processor time of six threads, and is no slower. On a slow disk, all work would wait for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar, TypeVarTuple

T = TypeVar("T")
Args = TypeVarTuple("Args")

_MAX_THREADS = 8
# Work that waited longer than this for a thread shows that the disk is slow; in s.
_LONG_S = 0.2


class DiskThreads:
    """Runs functions in threads; an asynchronous context manager whose end waits for all work that was started.

    One more thread is used each time that work has waited for longer than `long_s` seconds. Work is finished even if
    its caller is cancelled, because it may store a reply.
    """

    def __init__(self, long_s: float = _LONG_S) -> None:
        self._long_s = long_s
        self._pool = ThreadPoolExecutor(_MAX_THREADS, thread_name_prefix="disk")
        self._free_threads, self._thread_count = asyncio.Semaphore(1), 1
        self._unfinished: set[asyncio.Task[object]] = set()

    async def run(self, work: Callable[[*Args], T], *args: *Args) -> T:
        """Run `work` in another thread; return its result or raise its error. Waiting work starts in call order."""
        task = asyncio.ensure_future(self._run_in_thread(work, *args))
        self._unfinished.add(task)
        task.add_done_callback(self._unfinished.discard)
        return await asyncio.shield(task)

    async def _run_in_thread(self, work: Callable[[*Args], T], *args: *Args) -> T:
        waits_since = time.monotonic()
        async with self._free_threads:
            if self._thread_count < _MAX_THREADS and time.monotonic() - waits_since > self._long_s:
                self._thread_count += 1
                self._free_threads.release()
            return await asyncio.get_running_loop().run_in_executor(self._pool, work, *args)

    async def __aenter__(self) -> DiskThreads:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._unfinished:
            await asyncio.wait(self._unfinished)
        self._pool.shutdown()
