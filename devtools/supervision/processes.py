"""Find all processes of one tree, and end them all."""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress

import psutil

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
POLL_S = 0.05


def adopt_orphans() -> None:
    """Make this process the parent of descendants whose own parent ends (on Linux; elsewhere do nothing)."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def end_with_parent() -> None:
    """Ask the kernel to end this process when its parent ends (on Linux; elsewhere do nothing)."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def descendants(root: int) -> list[psutil.Process]:
    """Return every living process below `root`, without `root`."""
    try:
        found = psutil.Process(root).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return [process for process in found if is_alive(process)]


def session_members(sessions: Collection[int], *, since: float) -> list[psutil.Process]:
    """Return the living processes of the sessions with any parent, without those that are older than `since`."""
    members = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if os.getsid(process.pid) in sessions and process.create_time() >= since and is_alive(process):
                members.append(process)
    return members


def is_alive(process: psutil.Process) -> bool:
    """Return whether the process still runs; a zombie, which only waits to be reaped, does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def reap(processes: Iterable[psutil.Process]) -> None:
    """Collect ended processes that this process adopted, so that none remains a zombie."""
    for process in processes:
        with suppress(OSError):
            os.waitpid(process.pid, os.WNOHANG)


def end_all(find: Callable[[], list[psutil.Process]], *, grace_s: float) -> list[psutil.Process]:
    """End what `find` finds with SIGTERM, and after `grace_s` with SIGKILL; return the processes that still live.

    `find` is called repeatedly, so that children started in the meantime are ended too.
    """
    signalled: set[psutil.Process] = set()
    deadline = time.monotonic() + grace_s
    while (found := find()) and time.monotonic() < deadline:
        _signal((process for process in found if process not in signalled), signal.SIGTERM)
        signalled.update(found)
        time.sleep(POLL_S)
    deadline = time.monotonic() + 5.0
    while (found := find()) and time.monotonic() < deadline:
        _signal(found, signal.SIGKILL)
        time.sleep(POLL_S)
    return found


def kill_tree(leader: int) -> None:
    """Kill a process and all below it at once, as `kill -9` and a power cut do, and return when they are gone."""
    victims = [psutil.Process(leader), *descendants(leader)]
    _signal(victims, signal.SIGKILL)
    psutil.wait_procs(victims, timeout=10)


def _signal(processes: Iterable[psutil.Process], signal_number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.Error):
            process.send_signal(signal_number)
