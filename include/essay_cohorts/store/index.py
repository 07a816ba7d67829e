"""An index of the evaluations in the store: which folder judges which essay. It is derived and safe to delete.

The index is one SQLite file, which is replaced as a whole and never changed. Therefore a reader sees one consistent
snapshot, no locks are needed, and if two processes write at the same time, the last one wins.

An entry is valid as long as its folder exists, because a folder's metadata.json is written together with the folder
and never changed. So a reader only compares the folder names in the index with those on the disk. To make this fast,
CRC-32 spreads the names over buckets, and the index holds one sum of names for each bucket (see NameSums). If the two
sums of a bucket differ, the reader reads the folders of this bucket that the index does not have.

Folders whose metadata.json is unusable are not in the index, because a person may still fix them.
"""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import time
from array import array
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import AnyStr, NamedTuple
from zlib import crc32

from essay_cohorts.files.atomic import leads_to, new_token, sync_path, temporary_name

log = logging.getLogger(__name__)

BUCKETS = 1 << 16
# With fewer evaluations there is no index, because reading all of them takes less time than keeping an index.
MIN_ENTRIES = 2_000
# An index of this age, in s, is rebuilt, so that a metadata.json that was edited against the rule is noticed.
MAX_AGE_S = 3_600.0
# An index whose tables have another version is rebuilt.
_VERSION = 1
_TABLES = (
    "CREATE TABLE evaluation (bucket INTEGER, name TEXT, essay TEXT)",
    "CREATE TABLE sums (form INTEGER, total INTEGER, buckets BLOB)",
)
_KEYS = (
    "CREATE INDEX IF NOT EXISTS by_bucket ON evaluation (bucket)",
    "CREATE INDEX IF NOT EXISTS by_essay ON evaluation (essay)",
)
_INSERT = "INSERT INTO evaluation VALUES (?, ?, ?)"
# A temporary file of this age, in s, was left by a writer that died.
_ABANDONED_S = 3_600.0
# The upper 32 bits of a sum count the names, so that one added or removed name always changes the sum.
_ONE_NAME = 1 << 32


class Entry(NamedTuple):
    """A folder's name, the bucket of the name, and the essay that the evaluation in the folder judges."""

    bucket: int
    name: str
    essay: str


class NameSums:
    """One sum of names for each bucket. Different names have the same sum with a chance of 1 in 4 billion."""

    def __init__(self, content: bytes = bytes(8 * BUCKETS)) -> None:
        self._sums = array("q", content)
        if len(self._sums) != BUCKETS:
            msg = f"{len(self._sums)} buckets instead of {BUCKETS}"
            raise ValueError(msg)

    @classmethod
    def of_folder(cls, folder: Path) -> NameSums:
        """Return the sums of the names from `folder_names`. Calling `add` for each name takes twice as long."""
        sums = cls()
        buckets = sums._sums
        with _scanned(os.fsencode(folder)) as entries:
            for entry in entries:
                if not entry.name.startswith(b".") and entry.is_dir():
                    code = crc32(entry.name)
                    buckets[code % BUCKETS] += _ONE_NAME + code
        return sums

    @property
    def total(self) -> int:
        """The sum over all buckets."""
        return sum(self._sums)

    def add(self, name: str) -> None:
        """Add a name."""
        code = crc32(os.fsencode(name))
        self._sums[code % BUCKETS] += _ONE_NAME + code

    def clear(self, buckets: Iterable[int]) -> None:
        """Remove all names from some buckets."""
        for bucket in buckets:
            self._sums[bucket] = 0

    def differing_buckets(self, other: NameSums) -> set[int]:
        """Return the buckets whose sums differ."""
        pairs = zip(self._sums, other._sums, strict=True)
        return {bucket for bucket, (own, others) in enumerate(pairs) if own != others}

    def to_bytes(self) -> bytes:
        """Return the sums as bytes, which the constructor accepts."""
        return self._sums.tobytes()


def folder_names(folder: Path, *, temporary: bool = False) -> Iterator[str]:
    """Yield the names of a stage's folders, in any order; with `temporary`, of the folders of unfinished writes."""
    with _scanned(str(folder)) as entries:
        for entry in entries:
            if entry.name.startswith(".") is temporary and entry.is_dir():
                yield entry.name


def bucket_of(name: str) -> int:
    """Return the bucket of a name."""
    return crc32(os.fsencode(name)) % BUCKETS


@contextmanager
def _scanned(folder: AnyStr) -> Iterator[Iterator[os.DirEntry[AnyStr]]]:
    try:
        entries = os.scandir(folder)
    except FileNotFoundError:
        yield iter(())
        return
    with entries:
        yield entries


class EvaluationIndex:
    """An index that is open for reading: it has `total` entries, and `sums` are the sums of their names.

    `made_at` is the time when the oldest entries were read from the store, in seconds since 1970.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, made_at: float) -> None:
        self.path, self.made_at, self._connection = path, made_at, connection
        version, total, sums = connection.execute("SELECT form, total, buckets FROM sums").fetchone()
        if version != _VERSION:
            msg = "its tables are of another version"
            raise ValueError(msg)
        self.sums, self.total = NameSums(sums), int(total)

    @classmethod
    @contextmanager
    def opened(cls, path: Path) -> Iterator[EvaluationIndex | None]:
        """Open the index at `path`; yield None when it is missing, too old or unusable.

        Damage that is not found when the index is opened raises sqlite3.Error when entries are read.
        """
        try:
            made_at = path.stat().st_mtime
        except OSError:
            made_at = 0.0
        if time.time() - made_at > MAX_AGE_S:
            yield None
            return
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            try:
                index = cls(path, connection, made_at)
            except (sqlite3.Error, TypeError, ValueError) as error:
                log.info("%s is rebuilt: %s", path, error)
                index = None
            yield index

    def entries_in(self, buckets: Collection[int]) -> Iterator[Entry]:
        """Return the entries of some buckets."""
        self._fill_temporary_table("wanted_bucket", buckets)
        return self._entries("bucket IN (SELECT value FROM wanted_bucket)")

    def entries_of(self, essay_ids: Iterable[str]) -> Iterator[Entry]:
        """Return the entries of some essays."""
        self._fill_temporary_table("wanted_essay", essay_ids)
        return self._entries("essay IN (SELECT value FROM wanted_essay)")

    def _fill_temporary_table(self, table: str, values: Iterable[object]) -> None:
        self._connection.execute(f"CREATE TEMP TABLE {table} (value PRIMARY KEY)")
        rows = ((value,) for value in values)
        self._connection.executemany(f"INSERT OR IGNORE INTO {table} VALUES (?)", rows)  # noqa: S608  (a constant of this module)

    def _entries(self, condition: str) -> Iterator[Entry]:
        query = f"SELECT bucket, name, essay FROM evaluation WHERE {condition}"  # noqa: S608  (a constant of this module)
        return map(Entry._make, self._connection.execute(query))


class IndexWriter:
    """Writes a new index to a temporary file, entry by entry; `finish` replaces the former index by the new one.

    A failure is logged and not raised, because the store works without an index.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._temporary = path, temporary_name(path, new_token())
        self._sums, self._total = NameSums(), 0
        self._made_at = time.time()
        self._unwritten: list[Entry] = []
        self._connection: sqlite3.Connection | None = None
        self._failed = False

    @classmethod
    def based_on(cls, former: EvaluationIndex, buckets: Collection[int]) -> IndexWriter:
        """Return a writer that starts with the entries of `former`, except those in `buckets`."""
        writer = cls(former.path)
        writer._made_at = former.made_at
        with writer._logging_failures():
            writer._check_inside()
            shutil.copyfile(former.path, writer._temporary)
            connection = writer._connect()
            connection.executemany("DELETE FROM evaluation WHERE bucket = ?", ((bucket,) for bucket in buckets))
            connection.execute("DELETE FROM sums")
            writer._total = connection.execute("SELECT count(*) FROM evaluation").fetchone()[0]
            writer._sums = NameSums(former.sums.to_bytes())
            writer._sums.clear(buckets)
        return writer

    def add(self, entry: Entry) -> None:
        """Add one entry."""
        if self._failed:
            return
        self._unwritten.append(entry)
        if len(self._unwritten) >= MIN_ENTRIES:
            with self._logging_failures():
                self._write()

    def finish(self) -> None:
        """Replace the former index by the new one; with too few entries, only remove the former one."""
        with self._logging_failures():
            if self._failed:
                pass
            elif self._total + len(self._unwritten) >= MIN_ENTRIES:
                self._write()
                self._replace_index()
            elif self._path.exists():
                self._check_inside()
                self._path.unlink(missing_ok=True)
        with self._logging_failures():
            if self._connection is not None:
                self._connection.close()
                self._temporary.unlink(missing_ok=True)

    def _write(self) -> None:
        connection = self._connection or self._create()
        connection.executemany(_INSERT, self._unwritten)
        for entry in self._unwritten:
            self._sums.add(entry.name)
        self._total += len(self._unwritten)
        self._unwritten.clear()

    def _create(self) -> sqlite3.Connection:
        self._check_inside()
        self._temporary.parent.mkdir(exist_ok=True)
        connection = self._connect()
        for table in _TABLES:
            connection.execute(table)
        return connection

    def _check_inside(self) -> None:
        folder = self._path.parent
        if leads_to(folder.parent, folder):
            msg = f"{folder} leads out of the data root"
            raise OSError(msg)

    def _connect(self) -> sqlite3.Connection:
        self._connection = sqlite3.connect(self._temporary, isolation_level=None)
        # No other process reads the temporary file, so neither a journal nor a flush before the last one is needed.
        for statement in ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", "BEGIN"):
            self._connection.execute(statement)
        return self._connection

    def _replace_index(self) -> None:
        if self._connection is None:
            return
        for key in _KEYS:
            self._connection.execute(key)
        self._connection.execute("INSERT INTO sums VALUES (?, ?, ?)", [_VERSION, self._total, self._sums.to_bytes()])
        self._connection.execute("COMMIT")
        self._connection.close()
        sync_path(self._temporary)
        os.utime(self._temporary, (self._made_at, self._made_at))
        self._temporary.replace(self._path)
        _remove_abandoned(self._path)

    @contextmanager
    def _logging_failures(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            log.info("No index at %s: %s", self._path, error)
            self._failed = True


def _remove_abandoned(path: Path) -> None:
    """Remove the temporary files of writers that died."""
    for abandoned in path.parent.glob(f".{path.name}.*.tmp"):
        if time.time() - abandoned.stat().st_mtime > _ABANDONED_S:
            abandoned.unlink(missing_ok=True)
