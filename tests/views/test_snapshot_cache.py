"""Snapshots are shared: a cohort is read once for all readers, and again when its snapshot is too old."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Barrier, BrokenBarrierError, Event

import pytest

from essay_cohorts.errors import StoreError
from essay_cohorts.settings import Settings
from essay_cohorts.views.account import NO_ACCOUNT
from essay_cohorts.views.snapshot import CohortSnapshot
from essay_cohorts.views.snapshot_cache import SnapshotCache
from tests.score_rows import score_row

SETTINGS = Settings(data_root=Path("/data"))
LONG_S = 20.0


def snapshot(cohort_id: str = "c", rows: int = 0) -> CohortSnapshot:
    """Return a snapshot of this many rows."""
    return CohortSnapshot(
        cohort_id=cohort_id,
        manifest={},
        rows=(score_row(),) * rows,
        cells=(),
        counts={},
        last_run=None,
        account=NO_ACCOUNT,
        seen_at="",
    )


@dataclass
class Store:
    """A clock, and a reader that takes `takes_s` on it; `read` lists the readings, `errors` those to raise first."""

    takes_s: float = 0.0
    rows: int = 0
    now: float = 1000.0
    errors: list[Exception] = field(default_factory=list)
    read: list[tuple[str, str]] = field(default_factory=list)

    def cache(self) -> SnapshotCache:
        """Return a cache over this store."""
        return SnapshotCache(read=self.reader, clock=lambda: self.now)

    def reader(self, settings: Settings, cohort_id: str) -> CohortSnapshot:
        """Read one cohort."""
        self.read.append((str(settings.data_root), cohort_id))
        self.now += self.takes_s
        if self.errors:
            raise self.errors.pop(0)
        return snapshot(cohort_id, self.rows)


@pytest.mark.parametrize(
    ("takes_s", "fresh_s"),
    [
        pytest.param(0.0, 1.0, id="at once"),
        pytest.param(0.05, 1.0, id="quickly"),
        pytest.param(2.0, 20.0, id="slowly"),
        pytest.param(6.0, 60.0, id="at the limit"),
        pytest.param(100.0, 60.0, id="for ever"),
    ],
)
def test_how_long_a_snapshot_is_shown(takes_s: float, fresh_s: float) -> None:
    """A snapshot is valid for ten times its reading time, but at least a second and at most a minute."""
    store = Store(takes_s=takes_s)
    cache = store.cache()
    first = cache.get(SETTINGS, "c")
    store.now += fresh_s - 0.01
    assert cache.get(SETTINGS, "c") is first
    assert len(store.read) == 1
    store.now += 0.02
    assert cache.get(SETTINGS, "c") is not first
    assert len(store.read) == 2
    assert cache.get(SETTINGS, "c") is not first
    assert len(store.read) == 2


def test_each_cohort_of_each_data_root_is_its_own() -> None:
    """No reader gets another cohort, or the same cohort of another data root."""
    store = Store()
    cache, elsewhere = store.cache(), Settings(data_root=Path("/elsewhere"))
    assert [cache.get(SETTINGS, name).cohort_id for name in ("a", "b", "a")] == ["a", "b", "a"]
    cache.get(elsewhere, "a")
    assert store.read == [("/data", "a"), ("/data", "b"), ("/elsewhere", "a")]


def test_errors_are_not_kept() -> None:
    """A failed reading is repeated for the next reader, and blocks nobody."""
    store = Store(errors=[StoreError("first"), StoreError("second")])
    cache = store.cache()
    for message in ("first", "second"):
        with pytest.raises(StoreError, match=message):
            cache.get(SETTINGS, "c")
    assert cache.get(SETTINGS, "c") is cache.get(SETTINGS, "c")
    assert len(store.read) == 3


def test_an_error_ends_the_former_snapshot() -> None:
    """When a cohort cannot be read any more, its former snapshot is not shown instead."""
    store = Store()
    cache = store.cache()
    cache.get(SETTINGS, "c")
    store.now += LONG_S
    store.errors = [StoreError("gone")]
    with pytest.raises(StoreError, match="gone"):
        cache.get(SETTINGS, "c")


@pytest.mark.parametrize(
    ("rows", "names", "reads"),
    [
        pytest.param(140_000, "abab", 2, id="two that fit"),
        pytest.param(180_000, "abab", 4, id="two that do not fit"),
        pytest.param(90_000, "abcadab", 5, id="the one used last stays"),
        pytest.param(300_001, "aa", 2, id="one that is too large"),
    ],
)
def test_at_most_300_000_rows_are_kept(rows: int, names: str, reads: int) -> None:
    """Beyond the limit the least recently used leave; a cohort larger than the limit is read each time."""
    store = Store(rows=rows)
    cache = store.cache()
    for name in names:
        assert cache.get(SETTINGS, name).cohort_id == name
    assert len(store.read) == reads


def test_readers_of_one_cohort_share_a_reading() -> None:
    """Many readers at the same moment get what the first of them reads."""
    together, start, read = Barrier(2), Barrier(8), []

    def reader(settings: Settings, cohort_id: str) -> CohortSnapshot:
        read.append(cohort_id)
        with suppress(BrokenBarrierError):
            together.wait(timeout=0.2)
            read.append("two at once")
        return snapshot(cohort_id)

    cache = SnapshotCache(read=reader, clock=lambda: 0.0)

    def look(_: int) -> CohortSnapshot:
        start.wait(timeout=LONG_S)
        return cache.get(SETTINGS, "c")

    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(look, range(8)))
    assert read == ["c"]
    assert all(one is seen[0] for one in seen)


def test_readers_of_different_cohorts_do_not_wait_for_each_other() -> None:
    """Two cohorts are read at the same moment: each reading ends only when both have begun."""
    both = Barrier(2)

    def reader(settings: Settings, cohort_id: str) -> CohortSnapshot:
        both.wait(timeout=LONG_S)
        return snapshot(cohort_id)

    cache = SnapshotCache(read=reader)
    with ThreadPoolExecutor(2) as pool:
        assert [one.cohort_id for one in pool.map(partial(cache.get, SETTINGS), ["a", "b"])] == ["a", "b"]


def test_after_an_error_the_waiting_readers_read_again() -> None:
    """The error of one reading is raised for its reader; the others get a snapshot, read once."""
    start, store = Barrier(4), Store(errors=[StoreError("once")])
    cache = store.cache()

    def look(_: int) -> str:
        start.wait(timeout=LONG_S)
        try:
            return cache.get(SETTINGS, "c").cohort_id
        except StoreError as error:
            return str(error)

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(look, range(4))) == ["c", "c", "c", "once"]
    assert len(store.read) == 2


@dataclass
class SlowStore(Store):
    """A store whose reader waits until its gate opens."""

    gate: Event = field(default_factory=Event)

    def reader(self, settings: Settings, cohort_id: str) -> CohortSnapshot:
        assert self.gate.wait(LONG_S)
        return super().reader(settings, cohort_id)


def test_a_slow_reading_is_not_waited_for() -> None:
    """A request gets None while the cohort is read, and a later one the result, which was read once."""
    store = SlowStore()
    cache = store.cache()
    assert [cache.get_within(SETTINGS, "c", 0.0) for _ in range(3)] == [None] * 3
    store.gate.set()
    found = cache.get_within(SETTINGS, "c", LONG_S)
    assert found is not None
    assert cache.get_within(SETTINGS, "c", 0.0) is found
    assert len(store.read) == 1


@pytest.mark.parametrize(
    ("rows", "later_s", "reads"),
    [
        pytest.param(400_000, 10.0, 1, id="larger than the cache"),
        pytest.param(400_000, 61.0, 2, id="fetched too late"),
    ],
)
def test_a_result_waits_for_its_request(rows: int, later_s: float, reads: int) -> None:
    """A snapshot that the cache refuses is given to the request that comes again, unless it is too old by then."""
    store = SlowStore(rows=rows)
    cache = store.cache()
    assert cache.get_within(SETTINGS, "c", 0.0) is None
    store.gate.set()
    until = time.monotonic() + LONG_S
    while cache._awaited[str(SETTINGS.data_root), "c"].ended_at is None:
        assert time.monotonic() < until
    store.now += later_s
    assert cache.get_within(SETTINGS, "c", LONG_S) is not None
    assert len(store.read) == reads


def test_the_error_of_a_slow_reading_is_raised() -> None:
    """The request that comes again gets the error, and the next one reads again."""
    store = SlowStore(errors=[StoreError("gone")])
    cache = store.cache()
    assert cache.get_within(SETTINGS, "c", 0.0) is None
    store.gate.set()
    with pytest.raises(StoreError, match="gone"):
        cache.get_within(SETTINGS, "c", LONG_S)
    assert cache.get_within(SETTINGS, "c", LONG_S) is not None
