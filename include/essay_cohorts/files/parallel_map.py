"""Maps work that waits for the disk: one item after the other on a quick disk, several at once on a slow one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

# A disk gains nothing from a longer queue. The items are small files of one folder tree, so more threads would only
# wait.
_THREADS = 8
# The mean time of this many items shows how quick the disk is. Below _QUICK_S seconds an item, threads cost more than
# the waiting, because each system call hands the interpreter from one thread to another.
_SAMPLE = 16
_QUICK_S = 0.004


def parallel_map(work: Callable[[T], R], items: Iterable[T], *, quick_s: float = _QUICK_S) -> Iterator[tuple[T, R]]:
    """Yield each item with the result of `work`, in the order of the items.

    Threads do the rest of the items once an item takes longer than `quick_s` seconds. After the first error, work
    that was started is finished, no more work is started, and the error is raised.
    """
    waiting = iter(items)
    while sample := list(islice(waiting, _SAMPLE)):
        started, spent_s = time.perf_counter(), 0.0
        for item in sample:
            result = work(item)
            spent_s += time.perf_counter() - started
            yield item, result
            started = time.perf_counter()
        if spent_s > quick_s * len(sample):
            yield from _in_threads(work, list(waiting))


def _in_threads(work: Callable[[T], R], items: list[T]) -> Iterator[tuple[T, R]]:
    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="parallel-map")
    try:
        yield from zip(items, pool.map(work, items), strict=True)
    finally:
        pool.shutdown(cancel_futures=True)
