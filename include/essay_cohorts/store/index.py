"""An index of existing evaluations: which folder judges which essay. Derived from the store, and safe to delete.

The index is one SQLite file that is only ever replaced as a whole. A reader therefore sees one snapshot, the last of
two concurrent writers wins, and nothing is locked. A folder's metadata.json is written together with the folder and
never again, so the folder's name is enough to tell whether an entry is still true: a reader compares the names in the
index with the names on disk. To make that quick, names are spread over buckets by CRC-32 and each bucket has a sum.
Folders whose metadata.json is unusable are left out of the index, because a person may still fix them.
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
# With fewer evaluations, reading all of them takes less time than an index saves.
LEAST = 2_000
# Age at which an index is rebuilt, so that a metadata.json edited in place (against the rule) is noticed.
OLDEST_S = 3_600.0
# The version of the tables; an index of another version is rebuilt.
_FORM = 1
_TABLES = (
    "CREATE TABLE evaluation (bucket INTEGER, name TEXT, essay TEXT)",
    "CREATE TABLE sums (form INTEGER, total INTEGER, buckets BLOB)",
)
_KEYS = (
    "CREATE INDEX IF NOT EXISTS by_bucket ON evaluation (bucket)",
    "CREATE INDEX IF NOT EXISTS by_essay ON evaluation (essay)",
)
_INSERT = "INSERT INTO evaluation VALUES (?, ?, ?)"
_ABANDONED_S = 3_600.0
# The upper 32 bits of a sum count the names, so that one added or removed name always changes the sum.
_ONE = 1 << 32


class Entry(NamedTuple):
    """A folder's name, the bucket that the name falls into, and the essay that its evaluation judges."""

    bucket: int
    name: str
    essay: str


class NameSums:
    """One sum of names per bucket. Equal sums mean equal names, with one chance in 4 billion per change to err."""

    def __init__(self, content: bytes = bytes(8 * BUCKETS)) -> None:
        self._sums = array("q", content)
        if len(self._sums) != BUCKETS:
            msg = f"{len(self._sums)} buckets instead of {BUCKETS}"
            raise ValueError(msg)

    @classmethod
    def of(cls, folder: Path) -> NameSums:
        """Return the sums over the names that `folder_names` yields, in half the time."""
        sums = cls()
        buckets = sums._sums
        with _scanned(os.fsencode(folder)) as entries:
            for entry in entries:
                if not entry.name.startswith(b".") and entry.is_dir():
                    code = crc32(entry.name)
                    buckets[code % BUCKETS] += _ONE + code
        return sums

    @property
    def total(self) -> int:
        """The sum over all buckets."""
        return sum(self._sums)

    def add(self, name: str) -> None:
        """Add a name."""
        code = crc32(os.fsencode(name))
        self._sums[code % BUCKETS] += _ONE + code

    def clear(self, buckets: Iterable[int]) -> None:
        """Remove all names from some buckets."""
        for bucket in buckets:
            self._sums[bucket] = 0

    def differing(self, other: NameSums) -> set[int]:
        """Return the buckets whose sums differ."""
        pairs = zip(self._sums, other._sums, strict=True)
        return {bucket for bucket, (mine, others) in enumerate(pairs) if mine != others}

    def to_bytes(self) -> bytes:
        """Return the sums as bytes, for the constructor."""
        return self._sums.tobytes()


def folder_names(folder: Path, *, temporary: bool = False) -> Iterator[str]:
    """Yield the names of a stage's folders in any order; with `temporary` only the unfinished ones of a crash."""
    with _scanned(str(folder)) as entries:
        for entry in entries:
            if entry.name.startswith(".") is temporary and entry.is_dir():
                yield entry.name


def bucket_of(name: str) -> int:
    """Return the bucket that a name falls into."""
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
    """An open snapshot for reading: `total` entries, and the `sums` of their names.

    `made_at` is when the oldest entries were read from the store, in seconds since 1970.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, made_at: float) -> None:
        self.path, self.made_at, self._connection = path, made_at, connection
        form, total, sums = connection.execute("SELECT form, total, buckets FROM sums").fetchone()
        if form != _FORM:
            msg = "its tables are of another version"
            raise ValueError(msg)
        self.sums, self.total = NameSums(sums), int(total)

    @classmethod
    @contextmanager
    def opened(cls, path: Path) -> Iterator[EvaluationIndex | None]:
        """Open the index at `path`; None when it is missing or too old. A damaged one raises sqlite3.Error later."""
        try:
            made_at = path.stat().st_mtime
        except OSError:
            made_at = 0.0
        if time.time() - made_at > OLDEST_S:
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
        self._keep("wanted_bucket", buckets)
        return self._entries("bucket IN (SELECT value FROM wanted_bucket)")

    def entries_of(self, essay_ids: Iterable[str]) -> Iterator[Entry]:
        """Return the entries of some essays."""
        self._keep("wanted_essay", essay_ids)
        return self._entries("essay IN (SELECT value FROM wanted_essay)")

    def _keep(self, table: str, values: Iterable[object]) -> None:
        self._connection.execute(f"CREATE TEMP TABLE {table} (value PRIMARY KEY)")
        rows = ((value,) for value in values)
        self._connection.executemany(f"INSERT OR IGNORE INTO {table} VALUES (?)", rows)  # noqa: S608  (a constant of this module)

    def _entries(self, condition: str) -> Iterator[Entry]:
        query = f"SELECT bucket, name, essay FROM evaluation WHERE {condition}"  # noqa: S608  (a constant of this module)
        return map(Entry._make, self._connection.execute(query))


class IndexWriter:
    """Writes the next index entry by entry; `finish` puts it in place when it has at least LEAST entries.

    A failure is logged and not raised, because the store works without an index.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._temporary = path, temporary_name(path, new_token())
        self._sums, self._total = NameSums(), 0
        self._made_at = time.time()
        self._waiting: list[Entry] = []
        self._connection: sqlite3.Connection | None = None
        self._failed = False

    @classmethod
    def after(cls, former: EvaluationIndex, buckets: Collection[int]) -> IndexWriter:
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
        self._waiting.append(entry)
        if len(self._waiting) >= LEAST:
            with self._logging_failures():
                self._write()

    def finish(self) -> None:
        """Put the index in place; with too few entries, remove a former index."""
        with self._logging_failures():
            if self._failed:
                pass
            elif self._total + len(self._waiting) >= LEAST:
                self._write()
                self._put_in_place()
            elif self._path.exists():
                self._check_inside()
                self._path.unlink(missing_ok=True)
        with self._logging_failures():
            if self._connection is not None:
                self._connection.close()
                self._temporary.unlink(missing_ok=True)

    def _write(self) -> None:
        connection = self._connection or self._new()
        connection.executemany(_INSERT, self._waiting)
        for entry in self._waiting:
            self._sums.add(entry.name)
        self._total += len(self._waiting)
        self._waiting.clear()

    def _new(self) -> sqlite3.Connection:
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
        # No other process reads the file yet, so a journal and flushes before the last one would be useless.
        for statement in ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", "BEGIN"):
            self._connection.execute(statement)
        return self._connection

    def _put_in_place(self) -> None:
        if self._connection is None:
            return
        for key in _KEYS:
            self._connection.execute(key)
        self._connection.execute("INSERT INTO sums VALUES (?, ?, ?)", [_FORM, self._total, self._sums.to_bytes()])
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
