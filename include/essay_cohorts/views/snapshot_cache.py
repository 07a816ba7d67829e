"""Caches snapshots for all readers of the pages, so that many requests for a page read the store only once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
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
# So many cohorts are read at once for requests that do not wait for the end of the reading.
_READERS = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class _Cached:
    snapshot: CohortSnapshot
    ttl_s: float


@dataclass(kw_only=True, slots=True)
class _Reading:
    """A reading under way, or its result until the request that waits for it comes again."""

    snapshot: Future[CohortSnapshot]
    ended_at: float | None = None

    def end(self, now: float) -> None:
        """Note when the reading ended."""
        self.ended_at = now


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
        self._threads = ThreadPoolExecutor(_READERS, thread_name_prefix="snapshots")
        self._awaited: dict[tuple[str, str], _Reading] = {}
        # One lock per cohort, only while a thread waits for the cohort or reads it. The references are weak, so that
        # requests for cohorts that do not exist leave no locks behind.
        self._reading: WeakValueDictionary[tuple[str, str], threading.Lock] = WeakValueDictionary()

    def get(self, settings: Settings, cohort_id: str) -> CohortSnapshot:
        """Return a snapshot of the cohort that is at most one minute old; for a small cohort, one second.

        Errors of the reading are raised as they are, and are not cached.
        """
        key = _key(settings, cohort_id)
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

    def get_within(self, settings: Settings, cohort_id: str, patience_s: float) -> CohortSnapshot | None:
        """Return what `get` returns, or None if the reading takes longer than `patience_s` seconds.

        The reading then goes on, and a later call within a minute returns its result, or its error.
        """
        key = _key(settings, cohort_id)
        with self._mutex:
            cached = self._cache.get(key)
            if cached is not None:
                return cached.snapshot
            reading = self._awaited.get(key)
            ended_at = reading.ended_at if reading else None
            if reading is None or (ended_at is not None and self._clock() - ended_at > _MAX_TTL_S):
                reading = self._awaited[key] = self._begin(settings, cohort_id)
        wait({reading.snapshot}, patience_s)
        if not reading.snapshot.done():
            return None
        with self._mutex:
            self._awaited.pop(key, None)
        return reading.snapshot.result()

    def _begin(self, settings: Settings, cohort_id: str) -> _Reading:
        """Begin to read the cohort in another thread."""
        reading = _Reading(snapshot=self._threads.submit(self.get, settings, cohort_id))
        reading.snapshot.add_done_callback(lambda _: reading.end(self._clock()))
        return reading


def _key(settings: Settings, cohort_id: str) -> tuple[str, str]:
    return str(settings.data_root), cohort_id
