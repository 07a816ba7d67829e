"""The limit on calls in flight that several processes share."""

from __future__ import annotations

import asyncio
import os
import signal
from itertools import accumulate
from pathlib import Path

import pytest

from essay_cohorts.errors import StoreError
from essay_cohorts.leases.concurrency_slots import CallSlots

PATIENCE_S = 60.0


def note(path: Path, sign: str) -> None:
    """Append one character; appends of several processes do not mix."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, sign.encode())
    os.close(descriptor)


@pytest.fixture(autouse=True)
def slots_folder(tmp_path: Path) -> None:
    """Make the folder that the holders share, because they do not make it themselves."""
    (tmp_path / "slots").mkdir()


def test_without_the_folder_there_is_no_slot(tmp_path: Path) -> None:
    """The error says that the data root is gone, and the folder is not made again."""

    async def hold() -> None:
        async with CallSlots(tmp_path / "gone", 1).hold():
            msg = "there is nothing to hold"
            raise AssertionError(msg)

    with pytest.raises(StoreError, match=r"gone is gone\. Check that the data root is still mounted"):
        asyncio.run(hold())
    assert not (tmp_path / "gone").exists()


async def hold_often(folder: Path, slots: int, diary: Path, holders: int, turns: int) -> None:
    """Run holders in parallel; each records when it gets its slot and when it is about to give it back."""

    async def hold() -> None:
        for _ in range(turns):
            async with CallSlots(folder, slots).hold():
                note(diary, "+")
                await asyncio.sleep(0.01)
                note(diary, "-")

    await asyncio.gather(*(hold() for _ in range(holders)))


def in_child(folder: Path, slots: int, diary: Path, holders: int, turns: int) -> int:
    """Start a child process that holds slots; return its id."""
    child = os.fork()
    if child:
        return child
    try:
        asyncio.run(hold_often(folder, slots, diary, holders, turns))
        os._exit(0)
    finally:
        os._exit(1)


def most_at_once(diary: Path) -> int:
    """Return the highest number of holders at one moment that the diary shows."""
    return max(accumulate(1 if sign == "+" else -1 for sign in diary.read_text(encoding="ascii")))


@pytest.mark.parametrize("slots", [pytest.param(slots, id=f"{slots} slots") for slots in (1, 2)])
def test_never_more_holders_than_slots(tmp_path: Path, slots: int) -> None:
    """Three processes with two holders each never hold more slots than there are, and every holder gets its slots."""
    diary = tmp_path / "diary"
    children = [in_child(tmp_path / "slots", slots, diary, holders=2, turns=2) for _ in range(3)]
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    assert diary.read_text(encoding="ascii").count("+") == 3 * 2 * 2
    assert most_at_once(diary) <= slots


def test_never_more_holders_than_slots_in_one_process(tmp_path: Path) -> None:
    """The holders of one process share the slots as the holders of several processes do."""
    diary = tmp_path / "diary"
    asyncio.run(hold_often(tmp_path / "slots", 2, diary, holders=6, turns=1))
    assert most_at_once(diary) <= 2


def test_free_slots_are_used(tmp_path: Path) -> None:
    """All slots can be held at the same time."""

    async def hold_all() -> None:
        all_hold = asyncio.Barrier(3)

        async def hold() -> None:
            async with CallSlots(tmp_path / "slots", 3).hold():
                await all_hold.wait()

        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(hold(), hold(), hold())

    asyncio.run(hold_all())


def can_hold(folder: Path, within_s: float) -> bool:
    """Return True if the only slot can be taken in time."""

    async def hold() -> bool:
        try:
            async with asyncio.timeout(within_s), CallSlots(folder, 1).hold():
                return True
        except TimeoutError:
            return False

    return asyncio.run(hold())


def test_a_killed_holder_gives_its_slot_back(tmp_path: Path) -> None:
    """A process that holds the only slot keeps others from it, and frees the slot when it dies."""
    folder = tmp_path / "slots"
    ready, says_ready = os.pipe()
    child = os.fork()
    if not child:
        try:
            asyncio.run(_hold_for_ever(folder, says_ready))
        finally:
            os._exit(1)
    try:
        assert os.read(ready, 1) == b"x"
        assert not can_hold(folder, within_s=0.3)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(ready)
        os.close(says_ready)
    assert can_hold(folder, within_s=PATIENCE_S)


async def _hold_for_ever(folder: Path, says_ready: int) -> None:
    async with CallSlots(folder, 1).hold():
        os.write(says_ready, b"x")
        await asyncio.sleep(PATIENCE_S)


def test_an_error_gives_the_slot_back(tmp_path: Path) -> None:
    """An error in a holder's block frees its slot."""

    async def fail() -> None:
        async with CallSlots(tmp_path / "slots", 1).hold():
            msg = "on purpose"
            raise ValueError(msg)

    with pytest.raises(ValueError, match="on purpose"):
        asyncio.run(fail())
    assert can_hold(tmp_path / "slots", within_s=PATIENCE_S)
