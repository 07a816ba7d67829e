"""Snapshots that many readers share, so that a page that is looked at often does not read the store as often."""

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

# A snapshot is shown for ten times as long as it took to read, so that reading takes a tenth of the time at most.
_TIMES_ITS_READING = 10.0
_SHORTEST_S, _LONGEST_S = 1.0, 60.0
_MOST_ROWS = 300_000


@dataclass(frozen=True, kw_only=True, slots=True)
class _Kept:
    snapshot: CohortSnapshot
    fresh_s: float


class SnapshotCache:
    """Reads each cohort once at a time, whoever asks; keeps at most 300,000 rows (about 200 MB), those used last."""

    def __init__(
        self,
        read: Callable[[Settings, str], CohortSnapshot] = read_snapshot,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read, self._clock = read, clock
        self._kept: TLRUCache[tuple[str, str], _Kept] = TLRUCache(
            _MOST_ROWS,
            ttu=lambda _, kept, now: now + kept.fresh_s,
            timer=clock,
            getsizeof=lambda kept: 1 + len(kept.snapshot.rows),
        )
        self._mutex = threading.Lock()
        # One while somebody waits for it or reads; whoever asks for cohorts that do not exist leaves none behind.
        self._turns: WeakValueDictionary[tuple[str, str], threading.Lock] = WeakValueDictionary()

    def get(self, settings: Settings, cohort_id: str) -> CohortSnapshot:
        """Return the cohort as it was at most a minute ago; for small ones a second.

        Errors are those of the reading.
        """
        key = (str(settings.data_root), cohort_id)
        with self._mutex:
            turn = self._turns.setdefault(key, threading.Lock())
        with turn:
            with self._mutex:
                kept = self._kept.get(key)
            if kept is not None:
                return kept.snapshot
            since = self._clock()
            snapshot = self._read(settings, cohort_id)
            fresh_s = min(max((self._clock() - since) * _TIMES_ITS_READING, _SHORTEST_S), _LONGEST_S)
            with self._mutex, suppress(ValueError):  # larger than all that is kept
                self._kept[key] = _Kept(snapshot=snapshot, fresh_s=fresh_s)
            return snapshot
