"""The lease of an evaluation: one holder at a time over all processes, and none for ever."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from include.cohorts.call_lease import HOLDER, LEASE, CallLease, holder_of
from include.cohorts.errors import StoreError
from include.cohorts.lease_file import EMPTY_S
from tests.conftest import task_ref

TASK = task_ref("run-1", "evaluation.evaluation_raw", 1, 3)
SHORT_S = 1.0
PATIENCE_S = 20.0


def take_within(lease: CallLease, seconds: float) -> bool:
    """Tries again and again, as a slice does."""
    end = time.monotonic() + seconds
    while not lease.take():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def holder_process(folder: Path, *, lease_s: float = 30.0) -> int:
    """A process that has the lease and does nothing more; returns its number."""
    ready, says_ready = os.pipe()
    child = os.fork()
    if not child:
        try:
            lease = CallLease(folder, TASK, lease_s)
            assert lease.take()
            os.write(says_ready, b"x")
            time.sleep(60)
        finally:
            os._exit(1)
    os.close(says_ready)
    assert os.read(ready, 1) == b"x"
    os.close(ready)
    return child


def end(child: int) -> None:
    """Ends a process of this test."""
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def test_one_holder_and_its_name(tmp_path: Path) -> None:
    """Who has the lease is told; another one gets it once it was given back, and nothing is left."""
    first, second = CallLease(tmp_path, TASK), CallLease(tmp_path, TASK)
    assert first.take() and not second.take()
    assert second.holder() == "evaluation_backfill run-1, evaluation.evaluation_raw 3, try 1"
    assert holder_of(tmp_path) == second.holder()
    first.release()
    assert holder_of(tmp_path) is None
    assert second.take()
    second.release()
    assert list(tmp_path.iterdir()) == []


def test_racing_processes_hold_it_one_at_a_time(tmp_path: Path) -> None:
    """Five processes that want the same lease twenty times each never have it together."""
    folder, inside = tmp_path / "v_1", tmp_path / "inside"
    folder.mkdir()
    children = [_racer(folder, inside) for _ in range(5)]
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 5


def _racer(folder: Path, inside: Path) -> int:
    child = os.fork()
    if child:
        return child
    try:
        lease = CallLease(folder, TASK)
        for _ in range(20):
            while not lease.take():
                time.sleep(0.001)
            os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
            inside.unlink()
            lease.release()
        os._exit(0)
    finally:
        os._exit(1)


def test_a_killed_holder_is_followed_at_once(tmp_path: Path) -> None:
    """The lease of a process of this machine that is gone is taken long before it runs out."""
    end(holder_process(tmp_path))
    assert (tmp_path / LEASE).exists()
    assert take_within(CallLease(tmp_path, TASK), 2.0)


def test_a_living_holder_keeps_it_beyond_its_duration(tmp_path: Path) -> None:
    """A lease is refreshed as long as its process lives."""
    child = holder_process(tmp_path, lease_s=SHORT_S)
    try:
        assert not take_within(CallLease(tmp_path, TASK, SHORT_S), 3 * SHORT_S)
    finally:
        end(child)


def test_a_frozen_holder_loses_it(tmp_path: Path) -> None:
    """A process that gives no sign of life for the duration of its lease has it no more."""
    child = holder_process(tmp_path, lease_s=SHORT_S)
    try:
        os.kill(child, signal.SIGSTOP)
        assert take_within(CallLease(tmp_path, TASK, SHORT_S), PATIENCE_S)
    finally:
        end(child)


def test_a_holder_on_another_machine_is_waited_for_until_its_lease_ran_out(tmp_path: Path) -> None:
    """Whether a process of another machine lives only its silence can tell."""
    end(holder_process(tmp_path, lease_s=SHORT_S))
    marker = (tmp_path / LEASE).read_text(encoding="ascii")
    (tmp_path / LEASE).write_text(marker.replace("host=", "host=not-"), encoding="ascii")
    lease = CallLease(tmp_path, TASK, SHORT_S)
    assert not lease.take()
    assert take_within(lease, PATIENCE_S)


def test_a_lease_that_nobody_wrote_into_is_taken(tmp_path: Path) -> None:
    """An empty file, left by a process killed right after making it, belongs to nobody; a fresh one is respected."""
    (tmp_path / LEASE).touch()
    lease = CallLease(tmp_path, TASK)
    assert not take_within(lease, EMPTY_S / 2)
    assert take_within(lease, PATIENCE_S)
    lease.release()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_holder_left_of_its_name_is_cleared(tmp_path: Path) -> None:
    """The torn beginning of the file that names the holder goes with the next lease."""
    (tmp_path / f".{HOLDER}.0123.tmp").write_text("{", encoding="ascii")
    lease = CallLease(tmp_path, TASK)
    assert lease.take()
    lease.release()
    assert list(tmp_path.iterdir()) == []


def test_without_a_folder_there_is_no_lease(tmp_path: Path) -> None:
    """A folder that is gone is not made anew: StoreError."""
    with pytest.raises(StoreError, match="v_1 is gone"):
        CallLease(tmp_path / "v_1", TASK).take()
    assert list(tmp_path.iterdir()) == []
