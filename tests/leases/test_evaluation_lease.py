"""The lease of an evaluation: one holder at a time over all processes, and none for ever."""

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
def card(tmp_path: Path) -> Iterator[TaskLease]:
    """The card of this process."""
    with TaskLease(tmp_path, TASK) as made:
        yield made


def left_in(root: Path) -> list[str]:
    """What lies in the data root, apart from folders."""
    return sorted(path.name for path in root.rglob("*") if path.is_file())


def take_within(lease: CallLease, seconds: float) -> bool:
    """Tries again and again, as a slice does."""
    end = time.monotonic() + seconds
    while not lease.take():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def holder_process(folder: Path, *more: Path, lease_s: float = 30.0) -> int:
    """A process that has the leases of these folders and does nothing more; returns its number."""
    ready, says_ready = os.pipe()
    child = os.fork()
    if not child:
        try:
            with TaskLease(folder.parent, TASK, lease_s) as card:
                assert all(CallLease(each / CLAIM, card).take() for each in (folder, *more))
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


def test_one_holder_and_its_name(tmp_path: Path, folder: Path, card: TaskLease) -> None:
    """Who has the lease is told; another one gets it once it was given back, and nothing is left."""
    with TaskLease(tmp_path, TASK) as other:
        first, second = CallLease(folder / CLAIM, card), CallLease(folder / CLAIM, other)
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
    card.__exit__(None, None, None)
    assert left_in(tmp_path) == []


def test_racing_processes_hold_it_one_at_a_time(tmp_path: Path, folder: Path) -> None:
    """Five processes that want the same lease twenty times each never have it together."""
    children = [_racer(folder, tmp_path / "inside") for _ in range(5)]
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 5


def _racer(folder: Path, inside: Path) -> int:
    child = os.fork()
    if child:
        return child
    try:
        with TaskLease(folder.parent, TASK) as card:
            lease = CallLease(folder / CLAIM, card)
            for _ in range(20):
                while not lease.take():
                    time.sleep(0.001)
                os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
                inside.unlink()
                lease.release()
        os._exit(0)
    finally:
        os._exit(1)


def test_one_of_many_takes_over_from_a_killed_holder(tmp_path: Path, folder: Path) -> None:
    """Of five processes that find the same claim of a dead one, one gets the lease."""
    end(holder_process(folder))
    children = [_heir(folder, tmp_path / "heirs") for _ in range(5)]
    assert sorted(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children) == [0] * 5
    assert (tmp_path / "heirs").read_text(encoding="ascii") == "x"


def _heir(folder: Path, heirs: Path) -> int:
    child = os.fork()
    if child:
        return child
    try:
        with TaskLease(folder.parent, TASK) as card:
            if take_within(CallLease(folder / CLAIM, card), 2.0):
                descriptor = os.open(heirs, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
                os.write(descriptor, b"x")
            time.sleep(3.0)  # its claim is respected as long as it lives
        os._exit(0)
    finally:
        os._exit(1)


def test_a_killed_holder_is_followed_at_once(tmp_path: Path, folder: Path, card: TaskLease) -> None:
    """The leases of a process of this machine that is gone are taken long before they run out."""
    other = tmp_path / "v_2"
    other.mkdir()
    end(holder_process(folder, other))
    for each in (folder, other):
        assert (each / CLAIM).exists()
        assert take_within(CallLease(each / CLAIM, card), 2.0)


def test_the_card_of_a_killed_process_is_cleared_by_the_next(tmp_path: Path, folder: Path) -> None:
    """Nothing gathers in the data root, whatever was killed there."""
    end(holder_process(folder))
    assert len(list((tmp_path / CALLERS).iterdir())) == 1
    with TaskLease(tmp_path, TASK):
        assert len(list((tmp_path / CALLERS).iterdir())) == 1
    assert list((tmp_path / CALLERS).iterdir()) == []


def test_a_living_holder_keeps_it_beyond_its_duration(tmp_path: Path, folder: Path) -> None:
    """A lease is refreshed as long as its process lives."""
    child = holder_process(folder, lease_s=SHORT_S)
    try:
        with TaskLease(tmp_path, TASK, SHORT_S) as card:
            assert not take_within(CallLease(folder / CLAIM, card), 3 * SHORT_S)
    finally:
        end(child)


def test_a_frozen_holder_loses_it(tmp_path: Path, folder: Path) -> None:
    """A process that gives no sign of life for the duration of its lease has it no more."""
    child = holder_process(folder, lease_s=SHORT_S)
    try:
        os.kill(child, signal.SIGSTOP)
        with TaskLease(tmp_path, TASK, SHORT_S) as card:
            assert take_within(CallLease(folder / CLAIM, card), PATIENCE_S)
    finally:
        end(child)


def test_whose_card_was_taken_claims_under_a_new_one(tmp_path: Path, folder: Path, card: TaskLease) -> None:
    """A process that was frozen for too long does not go on claiming in a name that others take for dead."""
    [mine] = (tmp_path / CALLERS).iterdir()
    mine.unlink()
    assert CallLease(folder / CLAIM, card).take()
    with TaskLease(tmp_path, TASK) as other:
        assert not CallLease(folder / CLAIM, other).take()


def test_whose_card_is_refreshed_no_more_claims_under_a_new_one(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A card that the disk does not let be refreshed is silent to the others, though it stands."""
    second = tmp_path / "v_2"
    second.mkdir()
    with TaskLease(tmp_path, TASK, SHORT_S) as card, TaskLease(tmp_path, TASK, SHORT_S) as other:
        assert CallLease(folder / CLAIM, card).take()
        monkeypatch.setattr("filelock._lease.touch", _refuse)
        time.sleep(3 * SHORT_S)
        monkeypatch.undo()
        assert CallLease(second / CLAIM, card).take()
        # The first claim stands under the former card, which is silent; the second under a living one.
        assert not take_within(CallLease(second / CLAIM, other), 3 * SHORT_S)
        assert take_within(CallLease(folder / CLAIM, other), PATIENCE_S)


def _refuse(*_: object, **__: object) -> None:
    raise OSError(errno.EIO, "made up")


def test_the_card_of_a_machine_that_is_no_more_is_cleared_after_a_day(tmp_path: Path, folder: Path) -> None:
    """Whether its task lives nobody can see, so the first look leaves it; silent for a day, it goes."""
    end(holder_process(folder))
    [left] = (tmp_path / CALLERS).iterdir()
    left.write_text(left.read_text(encoding="ascii").replace("host=", "host=not-"), encoding="ascii")
    for age_s, stands in ((3_600, True), (90_000, False)):
        past = time.time() - age_s
        os.utime(left, (past, past))
        with TaskLease(tmp_path, TASK):
            assert left.exists() is stands


def test_callers_that_are_no_folder_are_told(tmp_path: Path, folder: Path, card: TaskLease) -> None:
    """A StoreError that names the place, and not what the system raised."""
    shutil.rmtree(tmp_path / CALLERS)
    (tmp_path / CALLERS).write_text("in the way")
    with pytest.raises(StoreError, match=CALLERS):
        CallLease(folder / CLAIM, card).take()


def test_who_was_stopped_while_it_claimed_has_no_lease(
    folder: Path, card: TaskLease, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process stopped between making its claim and writing it finds that another has taken its place."""

    def write(descriptor: int, content: bytes) -> int:
        (folder / "theirs").write_text("another's claim")
        (folder / "theirs").replace(folder / CLAIM)
        return len(content)

    monkeypatch.setattr("essay_cohorts.leases.evaluation_lease.os.write", write)
    lease = CallLease(folder / CLAIM, card)
    taken = lease.take()
    monkeypatch.undo()
    assert not taken
    lease.release()
    assert (folder / CLAIM).read_text() == "another's claim"


def test_who_takes_over_clears_what_another_left_that_tried(folder: Path, card: TaskLease) -> None:
    """A process killed while it took a claim over left a temporary file: nothing of it stays."""
    end(holder_process(folder))
    (folder / f".{CLAIM}.0123456789ab.tmp").write_text("torn")
    lease = CallLease(folder / CLAIM, card)
    assert take_within(lease, PATIENCE_S)
    lease.release()
    assert left_in(folder) == []


def test_a_holder_on_another_machine_is_waited_for_until_its_lease_ran_out(tmp_path: Path, folder: Path) -> None:
    """Whether a process of another machine lives only its silence can tell."""
    end(holder_process(folder, lease_s=SHORT_S))
    [left] = (tmp_path / CALLERS).iterdir()
    left.write_text(left.read_text(encoding="ascii").replace("host=", "host=not-"), encoding="ascii")
    with TaskLease(tmp_path, TASK, SHORT_S) as card:
        lease = CallLease(folder / CLAIM, card)
        assert not lease.take()
        assert take_within(lease, PATIENCE_S)


@pytest.mark.parametrize("claim", ["", '{"caller": "9', '{"caller": "../../v_2"}', "[]"])
def test_a_claim_that_names_nobody_is_taken(tmp_path: Path, folder: Path, card: TaskLease, claim: str) -> None:
    """A torn claim, left by a process killed while it wrote it, belongs to nobody; a fresh one is respected."""
    (folder / CLAIM).write_text(claim, encoding="ascii")
    lease = CallLease(folder / CLAIM, card)
    assert not take_within(lease, EMPTY_S / 2)
    assert take_within(lease, PATIENCE_S)
    lease.release()
    assert left_in(folder) == []


def test_without_a_folder_there_is_no_lease(tmp_path: Path, card: TaskLease) -> None:
    """A folder that is gone is not rebuilt: StoreError."""
    with pytest.raises(StoreError, match="v_1 is gone"):
        CallLease(tmp_path / "v_1" / CLAIM, card).take()
    assert not (tmp_path / "v_1").exists()
