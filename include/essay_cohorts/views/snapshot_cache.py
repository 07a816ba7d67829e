"""Caches snapshots for all readers of the pages, so that many requests for a page read the store only once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from weakref import WeakValueDictionary

from cachetools import TLRUCache

from essay_cohorts.settings import Settings
from essay_cohorts.views.snapshot import CohortSnapshot, read_snapshot

# A snapshot stays valid for ten times as long as its reading took, so that reading takes at most a tenth of the time.
_TTL_FACTOR = 10.0
_MIN_TTL_S, _MAX_TTL_S = 1.0, 60.0
_MAX_ROWS = 300_000


@dataclass(frozen=True, kw_only=True, slots=True)
class _Cached:
    snapshot: CohortSnapshot
    ttl_s: float


class SnapshotCache:
    """A thread-safe cache of snapshots; while one thread reads a cohort, other threads wait for the result.

    It holds at most 300,000 rows (about 200 MB); the snapshots that were not used for the longest time leave first.
    """

    def __init__(
        self,
        read: Callable[[Settings, str], CohortSnapshot] = read_snapshot,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read, self._clock = read, clock
        self._cache: TLRUCache[tuple[str, str], _Cached] = TLRUCache(
            _MAX_ROWS,
            ttu=lambda _, cached, now: now + cached.ttl_s,
            timer=clock,
            getsizeof=lambda cached: 1 + len(cached.snapshot.rows),
        )
        self._mutex = threading.Lock()
        # One lock per cohort, only while a thread waits for the cohort or reads it. The references are weak, so that
        # requests for cohorts that do not exist leave no locks behind.
        self._reading: WeakValueDictionary[tuple[str, str], threading.Lock] = WeakValueDictionary()

    def get(self, settings: Settings, cohort_id: str) -> CohortSnapshot:
        """Return a snapshot of the cohort that is at most one minute old; for a small cohort, one second.

        Errors of the reading are raised as they are, and are not cached.
        """
        key = (str(settings.data_root), cohort_id)
        with self._mutex:
            lock = self._reading.setdefault(key, threading.Lock())
        with lock:
            with self._mutex:
                cached = self._cache.get(key)
            if cached is not None:
                return cached.snapshot
            began = self._clock()
            snapshot = self._read(settings, cohort_id)
            ttl_s = min(max((self._clock() - began) * _TTL_FACTOR, _MIN_TTL_S), _MAX_TTL_S)
            with self._mutex, suppress(ValueError):  # the cache refuses a snapshot larger than the whole cache
                self._cache[key] = _Cached(snapshot=snapshot, ttl_s=ttl_s)
            return snapshot
