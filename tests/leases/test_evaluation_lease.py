"""The lease of an evaluation: one holder at a time over all processes, and no holder forever."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from essay_cohorts.errors import StoreError
from essay_cohorts.leases.evaluation_lease import CallLease, holder_of
from essay_cohorts.leases.lease import EMPTY_S
from essay_cohorts.leases.task_lease import CALLERS, TaskLease
from tests.conftest import task_ref

CLAIM = "call.json"

TASK = task_ref("run-1", "evaluation.evaluation_raw", 1, 3)
SHORT_S = 1.0
PATIENCE_S = 20.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An evaluation's folder in a data root."""
    made = tmp_path / "v_1"
    made.mkdir()
    return made


@pytest.fixture
def task_lease(tmp_path: Path) -> Iterator[TaskLease]:
    """The task lease of this process."""
    with TaskLease(tmp_path, TASK) as made:
        yield made


def left_in(root: Path) -> list[str]:
    """Return the names of the files in the data root."""
    return sorted(path.name for path in root.rglob("*") if path.is_file())


def take_within(lease: CallLease, seconds: float) -> bool:
    """Try repeatedly to take the lease, as a slice does."""
    end = time.monotonic() + seconds
    while not lease.take():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def holder_process(folder: Path, *more: Path, lease_s: float = 30.0) -> int:
    """Start a process that takes the leases of these folders and then does nothing; return its id."""
    ready, says_ready = os.pipe()
    child = os.fork()
    if not child:
        try:
            with TaskLease(folder.parent, TASK, lease_s) as task_lease:
                assert all(CallLease(each / CLAIM, task_lease).take() for each in (folder, *more))
                os.write(says_ready, b"x")
                time.sleep(60)
        finally:
            os._exit(1)
    os.close(says_ready)
    assert os.read(ready, 1) == b"x"
    os.close(ready)
    return child


def end(child: int) -> None:
    """End a process of this test."""
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def test_one_holder_and_its_name(tmp_path: Path, folder: Path, task_lease: TaskLease) -> None:
    """The holder of the lease is named, another task gets the lease after its release, and no file is left."""
    with TaskLease(tmp_path, TASK) as other:
        first, second = CallLease(folder / CLAIM, task_lease), CallLease(folder / CLAIM, other)
        assert first.take()
        assert not second.take()
        assert second.holder() == "evaluation_backfill run-1, evaluation.evaluation_raw 3, try 1"
        assert holder_of(tmp_path, folder / CLAIM) == second.holder()
        first.release()
        assert holder_of(tmp_path, folder / CLAIM) is None
        assert second.take()
        first.release()
        assert holder_of(tmp_path, folder / CLAIM) == second.holder()
        second.release()
    task_lease.__exit__(None, None, None)
    assert left_in(tmp_path) == []


def test_racing_processes_hold_it_one_at_a_time(tmp_path: Path, folder: Path) -> None:
    """Five processes that each want the same lease twenty times never hold it at the same time."""
    children = [_racer(folder, tmp_path / "inside") for _ in range(5)]
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 5


def _racer(folder: Path, inside: Path) -> int:
    child = os.fork()
    if child:
        return child
    try:
        with TaskLease(folder.parent, TASK) as task_lease:
            lease = CallLease(folder / CLAIM, task_lease)
            for _ in range(20):
                while not lease.take():
                    time.sleep(0.001)
                os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
                inside.unlink()
                lease.release()
        os._exit(0)
    finally:
        os._exit(1)


@pytest.mark.slow
def test_one_of_many_takes_over_from_a_killed_holder(tmp_path: Path, folder: Path) -> None:
    """If five processes find the same claim of a dead process, one of them gets the lease."""
    end(holder_process(folder))
    children = [_heir(folder, tmp_path / "heirs") for _ in range(5)]
    assert sorted(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children) == [0] * 5
    assert (tmp_path / "heirs").read_text(encoding="ascii") == "x"


def _heir(folder: Path, heirs: Path) -> int:
    child = os.fork()
    if child:
        return child
    try:
        with TaskLease(folder.parent, TASK) as task_lease:
            if take_within(CallLease(folder / CLAIM, task_lease), 2.0):
                descriptor = os.open(heirs, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
                os.write(descriptor, b"x")
            time.sleep(3.0)  # its claim is respected as long as it lives
        os._exit(0)
    finally:
        os._exit(1)


def test_a_killed_holder_is_followed_at_once(tmp_path: Path, folder: Path, task_lease: TaskLease) -> None:
    """The leases of a dead process on this machine are taken long before they expire."""
    other = tmp_path / "v_2"
    other.mkdir()
    end(holder_process(folder, other))
    for each in (folder, other):
        assert (each / CLAIM).exists()
        assert take_within(CallLease(each / CLAIM, task_lease), 2.0)


def test_the_next_task_removes_the_lease_of_a_killed_process(tmp_path: Path, folder: Path) -> None:
    """The next task removes the lease of a killed process, so that files do not pile up in the data root."""
    end(holder_process(folder))
    assert len(list((tmp_path / CALLERS).iterdir())) == 1
    with TaskLease(tmp_path, TASK):
        assert len(list((tmp_path / CALLERS).iterdir())) == 1
    assert list((tmp_path / CALLERS).iterdir()) == []


@pytest.mark.slow
def test_a_living_holder_keeps_it_beyond_its_duration(tmp_path: Path, folder: Path) -> None:
    """A lease is refreshed while its process lives."""
    child = holder_process(folder, lease_s=SHORT_S)
    try:
        with TaskLease(tmp_path, TASK, SHORT_S) as task_lease:
            assert not take_within(CallLease(folder / CLAIM, task_lease), 3 * SHORT_S)
    finally:
        end(child)


@pytest.mark.slow
def test_a_frozen_holder_loses_it(tmp_path: Path, folder: Path) -> None:
    """A process that is frozen for longer than its lease lasts loses the lease."""
    child = holder_process(folder, lease_s=SHORT_S)
    try:
        os.kill(child, signal.SIGSTOP)
        with TaskLease(tmp_path, TASK, SHORT_S) as task_lease:
            assert take_within(CallLease(folder / CLAIM, task_lease), PATIENCE_S)
    finally:
        end(child)


def test_a_task_whose_lease_was_taken_claims_under_a_new_one(
    tmp_path: Path, folder: Path, task_lease: TaskLease
) -> None:
    """A process that was frozen for too long stops claiming under a name that others take for dead."""
    [mine] = (tmp_path / CALLERS).iterdir()
    mine.unlink()
    assert CallLease(folder / CLAIM, task_lease).take()
    with TaskLease(tmp_path, TASK) as other:
        assert not CallLease(folder / CLAIM, other).take()


@pytest.mark.slow
def test_a_task_whose_lease_cannot_be_refreshed_claims_under_a_new_one(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task lease that the disk does not let be refreshed is silent to other tasks, although its file exists."""
    second = tmp_path / "v_2"
    second.mkdir()
    with TaskLease(tmp_path, TASK, SHORT_S) as task_lease, TaskLease(tmp_path, TASK, SHORT_S) as other:
        assert CallLease(folder / CLAIM, task_lease).take()
        monkeypatch.setattr("filelock._lease.touch", _refuse)
        time.sleep(3 * SHORT_S)
        monkeypatch.undo()
        assert CallLease(second / CLAIM, task_lease).take()
        # The first claim names the former task lease, which is silent. The second names a live one.
        assert not take_within(CallLease(second / CLAIM, other), 3 * SHORT_S)
        assert take_within(CallLease(folder / CLAIM, other), PATIENCE_S)


def _refuse(*_: object, **__: object) -> None:
    raise OSError(errno.EIO, "made up")


def test_the_task_lease_of_a_lost_machine_is_removed_after_a_day(tmp_path: Path, folder: Path) -> None:
    """No process can see whether a task on another machine lives, so its lease is removed only after a silent day."""
    end(holder_process(folder))
    [left] = (tmp_path / CALLERS).iterdir()
    left.write_text(left.read_text(encoding="ascii").replace("host=", "host=not-"), encoding="ascii")
    for age_s, remains in ((3_600, True), (90_000, False)):
        past = time.time() - age_s
        os.utime(left, (past, past))
        with TaskLease(tmp_path, TASK):
            assert left.exists() is remains


def test_callers_that_are_not_a_folder_are_reported(tmp_path: Path, folder: Path, task_lease: TaskLease) -> None:
    """The error is a StoreError that names the place."""
    shutil.rmtree(tmp_path / CALLERS)
    (tmp_path / CALLERS).write_text("in the way")
    with pytest.raises(StoreError, match=CALLERS):
        CallLease(folder / CLAIM, task_lease).take()


def test_a_process_that_was_stopped_while_it_claimed_has_no_lease(
    folder: Path, task_lease: TaskLease, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that was stopped between making its claim and writing it sees that another process took its place."""

    def write(descriptor: int, content: bytes) -> int:
        (folder / "theirs").write_text("another's claim")
        (folder / "theirs").replace(folder / CLAIM)
        return len(content)

    monkeypatch.setattr("essay_cohorts.leases.evaluation_lease.os.write", write)
    lease = CallLease(folder / CLAIM, task_lease)
    taken = lease.take()
    monkeypatch.undo()
    assert not taken
    lease.release()
    assert (folder / CLAIM).read_text() == "another's claim"


def test_a_takeover_removes_the_files_of_an_unfinished_one(folder: Path, task_lease: TaskLease) -> None:
    """A process that was killed while it took a claim over left a temporary file, which the next taker removes."""
    end(holder_process(folder))
    (folder / f".{CLAIM}.0123456789ab.tmp").write_text("torn")
    lease = CallLease(folder / CLAIM, task_lease)
    assert take_within(lease, PATIENCE_S)
    lease.release()
    assert left_in(folder) == []


@pytest.mark.slow
def test_a_holder_on_another_machine_is_waited_for_until_its_lease_ran_out(tmp_path: Path, folder: Path) -> None:
    """Only silence shows that a process on another machine is dead."""
    end(holder_process(folder, lease_s=SHORT_S))
    [left] = (tmp_path / CALLERS).iterdir()
    left.write_text(left.read_text(encoding="ascii").replace("host=", "host=not-"), encoding="ascii")
    with TaskLease(tmp_path, TASK, SHORT_S) as task_lease:
        lease = CallLease(folder / CLAIM, task_lease)
        assert not lease.take()
        assert take_within(lease, PATIENCE_S)


@pytest.mark.slow
@pytest.mark.parametrize("claim", ["", '{"caller": "9', '{"caller": "../../v_2"}', "[]"])
def test_a_claim_that_names_nobody_is_taken(tmp_path: Path, folder: Path, task_lease: TaskLease, claim: str) -> None:
    """A torn claim, left by a process that was killed while writing it, is taken over; a fresh claim is respected."""
    (folder / CLAIM).write_text(claim, encoding="ascii")
    lease = CallLease(folder / CLAIM, task_lease)
    assert not take_within(lease, EMPTY_S / 2)
    assert take_within(lease, PATIENCE_S)
    lease.release()
    assert left_in(folder) == []


def test_without_a_folder_there_is_no_lease(tmp_path: Path, task_lease: TaskLease) -> None:
    """An evaluation's missing folder is not made again: StoreError."""
    with pytest.raises(StoreError, match="v_1 is gone"):
        CallLease(tmp_path / "v_1" / CLAIM, task_lease).take()
    assert not (tmp_path / "v_1").exists()
