"""A lease: a file that says which process may do something.

A process takes a lease by creating its file exclusively, and writes its host and process id into the file. While the
process lives, a thread of it refreshes the file's time. Another process may take the lease over when the file was not
refreshed for LEASE_S, or at once when its holder was a process of the same machine that no longer exists. filelock's
SoftFileLease does all of this with plain files, so a lease works on network file systems too.

filelock leaves one case open. A process that is killed between the creation of the file and the first write leaves an
empty file, which filelock respects forever. This module removes a file that stays empty for EMPTY_S.
"""

from __future__ import annotations

import socket
import time
from pathlib import Path

import psutil
from filelock import FileLock, SoftFileLease, Timeout

from essay_cohorts.files.atomic import storing
from essay_cohorts.files.json_files import read_text

# A lease that was not refreshed for this many seconds may be taken. All processes must use the same value.
LEASE_S = 30.0
# Creating the file and writing its owner takes under 1 ms. A file that is empty for this long was left
# by a killed process.
EMPTY_S = 2.0


def seems_held(path: Path, lease_s: float = LEASE_S) -> bool:
    """Return True if a living process seems to hold the lease.

    Takes nothing and writes nothing, so the answer may be outdated at once: use it for what people read.
    """
    try:
        silent_s = time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return False
    lines = (read_text(path) or "").splitlines()
    holder = dict(line.split("=", 1) for line in lines if "=" in line)
    pid = holder.get("pid", "")
    is_dead = holder.get("host") == socket.gethostname() and pid.isdecimal() and not psutil.pid_exists(int(pid))
    return silent_s < lease_s and not is_dead


class Lease:
    """One lease, as one process sees it.

    Keep the object between attempts, because it measures how long the lease is silent.
    """

    def __init__(self, path: Path, lease_s: float = LEASE_S) -> None:
        self.path = path
        # One thread may take the lease and another one release it.
        self._lock = SoftFileLease(path, lease_duration=lease_s, thread_local=False)
        self._taken_file: tuple[int, int] | None = None
        self._empty_file: tuple[tuple[int, int], float] | None = None

    def take(self) -> bool:
        """Return True if this process now has the lease, False if another process has it.

        StoreError if the file cannot be written.
        """
        with storing(self.path):
            for _ in range(2):
                try:
                    self._lock.acquire(blocking=False)
                except Timeout:
                    if not self._drop_if_empty():
                        return False
                else:
                    self._taken_file = self._current_file()
                    return True
        return False

    def is_held(self) -> bool:
        """Return False once this process has lost the lease.

        Another process took it over, for example while this one was frozen, or the file can no longer be refreshed.
        """
        if self._lock.compromise is not None:
            return False
        with storing(self.path):
            return self._taken_file is not None and self._current_file() == self._taken_file

    def release(self) -> None:
        """Give the lease back."""
        with storing(self.path):
            self._lock.release()

    def _current_file(self) -> tuple[int, int] | None:
        """Return the identity of the lease file; None if another process has removed the file."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    def _drop_if_empty(self) -> bool:
        """Remove a lease file that stayed empty; return True if it is gone.

        One process at a time does so, because otherwise a process could remove the new file of another one.
        """
        found = self._seen_empty()
        if found is None or time.monotonic() - found[1] < EMPTY_S:
            return False
        with FileLock(self.path.with_suffix(".broken")) as lock:
            if self._seen_empty() == found:
                self.path.unlink(missing_ok=True)
            Path(lock.lock_file).unlink(missing_ok=True)
        self._empty_file = None
        return True

    def _seen_empty(self) -> tuple[tuple[int, int], float] | None:
        """Return the identity of an empty lease file and the time at which it was first seen; None if not empty."""
        try:
            found = self.path.lstat()
        except FileNotFoundError:
            found = None
        if found is None or found.st_size:
            self._empty_file = None
            return None
        identity = found.st_ino, found.st_ctime_ns
        if self._empty_file is None or self._empty_file[0] != identity:
            self._empty_file = identity, time.monotonic()
        return self._empty_file
