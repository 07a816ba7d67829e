"""A lease: a file that says which process may do something.

A process takes a lease by creating its file, which fails if the file exists. The process writes its host and process
id into the file. While the process lives, one of its threads refreshes the file's modification time. Another process
may take over the lease in two cases: the file was not refreshed for LEASE_S, or the holder ran on the same machine
and no longer exists. filelock's SoftFileLease does all of this with plain files, so a lease also works on a network
file system.

filelock does not cover one case. A process that is killed after it created the file and before it wrote into the file
leaves an empty file. For filelock, such a lease stays taken forever. This module removes a file that stays empty for
EMPTY_S.
"""

from __future__ import annotations

import socket
import time
from pathlib import Path

import psutil
from filelock import FileLock, SoftFileLease, Timeout

from essay_cohorts.files.atomic import storing
from essay_cohorts.files.json_files import read_text

# A lease that was not refreshed for this many seconds may be taken over. All processes must use the same value.
LEASE_S = 30.0
# Creating the file and writing the holder into it takes under 1 ms. A file that is empty for this many seconds was
# left by a killed process.
EMPTY_S = 2.0


def seems_held(path: Path, lease_s: float = LEASE_S) -> bool:
    """Return True if a living process seems to hold the lease.

    This function does not take the lease. Another process may take or release the lease at any moment, so use the
    answer only for what people read.
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

    Keep the object between attempts, because it measures how long the holder has not refreshed the lease.
    """

    def __init__(self, path: Path, lease_s: float = LEASE_S) -> None:
        self.path = path
        # One thread may take the lease and another one release it.
        self._lock = SoftFileLease(path, lease_duration=lease_s, thread_local=False)
        self._taken_file: tuple[int, int] | None = None
        self._empty_file: tuple[tuple[int, int], float] | None = None

    def take(self) -> bool:
        """Try to take the lease, without waiting. Return True if this process has it now, else False.

        StoreError if the file cannot be written.
        """
        with storing(self.path):
            # The second attempt follows when the first one removed an empty file.
            for _ in range(2):
                try:
                    self._lock.acquire(blocking=False)
                except Timeout:
                    if not self._remove_empty_file():
                        return False
                else:
                    self._taken_file = self._current_file()
                    return True
        return False

    def is_held(self) -> bool:
        """Return True while this process has the lease.

        A process loses its lease when the file can no longer be refreshed, or when another process takes over the
        lease, for example because this process was frozen.
        """
        if self._lock.compromise is not None:
            return False
        with storing(self.path):
            return self._taken_file is not None and self._current_file() == self._taken_file

    def release(self) -> None:
        """Release the lease."""
        with storing(self.path):
            self._lock.release()

    def _current_file(self) -> tuple[int, int] | None:
        """Return the device and inode of the lease file; None if another process has removed the file."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    def _remove_empty_file(self) -> bool:
        """Remove a lease file that stayed empty for EMPTY_S; return True if another attempt to take it makes sense.

        A lock lets in one process at a time. Without the lock, a second process could remove the new lease file that
        another process has created in the meantime.
        """
        found = self._find_empty_file()
        if found is None or time.monotonic() - found[1] < EMPTY_S:
            return False
        with FileLock(self.path.with_suffix(".broken")) as lock:
            if self._find_empty_file() == found:
                self.path.unlink(missing_ok=True)
            Path(lock.lock_file).unlink(missing_ok=True)
        self._empty_file = None
        return True

    def _find_empty_file(self) -> tuple[tuple[int, int], float] | None:
        """Return the identity of the empty lease file and when this object first saw it; None unless it is empty."""
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
