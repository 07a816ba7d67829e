"""Work that waits for the disk: one piece after the other on a quick disk, several at once on a slow one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

# As many as a disk's queue takes up with gain; small files of one folder tree, so more would only wait in turn.
_THREADS = 8
# So many pieces tell how quick the disk is. Below the limit, in s a piece, threads cost more than the waiting: each
# call to the system hands the interpreter from one to another.
_TRIED = 16
_QUICK_S = 0.004


def side_by_side(work: Callable[[T], R], items: Iterable[T], *, quick_s: float = _QUICK_S) -> Iterator[tuple[T, R]]:
    """Yield each item with what `work` made of it, in the order of the items.

    In threads once a piece takes over `quick_s`.

    The first error ends it: what was begun is brought to its end, nothing more is begun, and the error is raised.
    """
    waiting = iter(items)
    while tried := list(islice(waiting, _TRIED)):
        started, slow_s = time.perf_counter(), 0.0
        for item in tried:
            done = work(item)
            slow_s += time.perf_counter() - started
            yield item, done
            started = time.perf_counter()
        if slow_s > quick_s * len(tried):
            yield from _in_threads(work, list(waiting))


def _in_threads(work: Callable[[T], R], items: list[T]) -> Iterator[tuple[T, R]]:
    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="side-by-side")
    try:
        yield from zip(items, pool.map(work, items), strict=True)
    finally:
        pool.shutdown(cancel_futures=True)
