"""A lease: a file that says who may do something, made by exclusive creation and refreshed while it is held.

filelock's SoftFileLease does nearly all of it with nothing but files, so it serves on network file systems too. What
was not refreshed for LEASE_S, or whose process is seen to be gone, can be taken by the next. Left to do is the file
of a process that was killed between making it and writing into it: to filelock an empty file is somebody's for ever.
"""

from __future__ import annotations

import socket
import time
from pathlib import Path

import psutil
from filelock import FileLock, SoftFileLease, Timeout

from essay_cohorts.files.atomic import storing
from essay_cohorts.files.json_files import read_text

# Seconds without a sign of life after which a lease may be taken. Every process must agree on it.
LEASE_S = 30.0
# Creating the file and writing its owner takes under 1 ms; a file that is empty for this long was left
# by a killed process.
EMPTY_S = 2.0


def seems_held(path: Path, lease_s: float = LEASE_S) -> bool:
    """Return whether somebody has the lease, by a look that takes nothing and writes nothing: for telling people."""
    try:
        silent_s = time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return False
    lines = (read_text(path) or "").splitlines()
    holder = dict(line.split("=", 1) for line in lines if "=" in line)
    pid = holder.get("pid", "")
    is_gone = holder.get("host") == socket.gethostname() and pid.isdecimal() and not psutil.pid_exists(int(pid))
    return silent_s < lease_s and not is_gone


class Lease:
    """One lease, as one process sees it. Keep it to try again: how long a lease was silent is counted here."""

    def __init__(self, path: Path, lease_s: float = LEASE_S) -> None:
        self.path = path
        # Taken in one thread and released in another.
        self._lock = SoftFileLease(path, lease_duration=lease_s, thread_local=False)
        self._file: tuple[int, int] | None = None
        self._empty: tuple[tuple[int, int], float] | None = None

    def take(self) -> bool:
        """Return True when this process has the lease now, False when another has it.

        StoreError when the disk refuses.
        """
        with storing(self.path):
            for _ in range(2):
                try:
                    self._lock.acquire(blocking=False)
                except Timeout:
                    if not self._drop_if_empty():
                        return False
                else:
                    self._file = self._standing_file()
                    return True
        return False

    def is_held(self) -> bool:
        """Return False once it is lost.

        Another process took it, as from one that was frozen, or it is refreshed no more.
        """
        if self._lock.compromise is not None:
            return False
        with storing(self.path):
            return self._file is not None and self._standing_file() == self._file

    def release(self) -> None:
        """Give the lease back."""
        with storing(self.path):
            self._lock.release()

    def _standing_file(self) -> tuple[int, int] | None:
        """Return which file stands there; None when it is gone, as it may be at any moment after it was made."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    def _drop_if_empty(self) -> bool:
        """Remove a file that nobody wrote into; one process at a time, so that none removes another's new one."""
        found = self._seen_empty()
        if found is None or time.monotonic() - found[1] < EMPTY_S:
            return False
        with FileLock(self.path.with_suffix(".broken")) as lock:
            if self._seen_empty() == found:
                self.path.unlink(missing_ok=True)
            Path(lock.lock_file).unlink(missing_ok=True)
        self._empty = None
        return True

    def _seen_empty(self) -> tuple[tuple[int, int], float] | None:
        """Return which empty file stands there, and since when it was seen; None when it is not empty."""
        try:
            found = self.path.lstat()
        except FileNotFoundError:
            found = None
        if found is None or found.st_size:
            self._empty = None
            return None
        name = found.st_ino, found.st_ctime_ns
        if self._empty is None or self._empty[0] != name:
            self._empty = name, time.monotonic()
        return self._empty
