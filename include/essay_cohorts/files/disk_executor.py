"""Work that waits for the disk, off the event loop: in one thread, in more once the disk is seen to be slow.

Each call to the system hands the interpreter from thread to thread: with a quick disk one thread beside the event
loop takes half the processor time of six, and no longer. With a slow one all would wait for that thread.
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

_MOST = 8
# Work that waited longer than this for its turn shows that the disk is slow; in s.
_LONG_S = 0.2


class DiskThreads:
    """Runs functions in threads; an asynchronous context manager that ends when all work that was asked for is done.

    Another thread is taken when work has waited for more than `long_s` seconds. Work is done also when who waits for
    it is cancelled: it may be the storing of a reply.
    """

    def __init__(self, long_s: float = _LONG_S) -> None:
        self._long_s = long_s
        self._pool = ThreadPoolExecutor(_MOST, thread_name_prefix="disk")
        self._places, self._count = asyncio.Semaphore(1), 1
        self._under_way: set[asyncio.Task[object]] = set()

    async def run(self, work: Callable[[*Args], T], *args: *Args) -> T:
        """Return what `work` returns or raises, in another thread, in the order of the calls as far as they wait."""
        doing = asyncio.ensure_future(self._do(work, *args))
        self._under_way.add(doing)
        doing.add_done_callback(self._under_way.discard)
        return await asyncio.shield(doing)

    async def _do(self, work: Callable[[*Args], T], *args: *Args) -> T:
        since = time.monotonic()
        async with self._places:
            if self._count < _MOST and time.monotonic() - since > self._long_s:
                self._count += 1
                self._places.release()
            return await asyncio.get_running_loop().run_in_executor(self._pool, work, *args)

    async def __aenter__(self) -> DiskThreads:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._under_way:
            await asyncio.wait(self._under_way)
        self._pool.shutdown()
