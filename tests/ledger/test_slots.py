"""The limit on calls in flight that several processes share, in a file and in PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import accumulate
from pathlib import Path

import pytest

from essay_cohorts.calling.concurrency_slots import ConcurrencySlots, SharedSlots
from essay_cohorts.errors import StoreError
from essay_cohorts.files.disk_executor import DiskThreads
from essay_cohorts.ledger.ledger import Ledger
from essay_cohorts.settings import Settings

PATIENCE_S = 60.0


def note(path: Path, sign: str) -> None:
    """Append one character; appends of several processes do not mix."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, sign.encode())
    os.close(descriptor)


@asynccontextmanager
async def slots_of(settings: Settings, count: int, workers: int = 1) -> AsyncIterator[ConcurrencySlots]:
    """Open the slots of a cohort as a slice with so many workers does."""
    ledger = Ledger.of(settings)
    with ledger.caller("a slice") as caller:
        async with DiskThreads() as disk:
            slots = ConcurrencySlots(ledger.slots(caller, "c", count), disk)
            slots.prepare(workers)
            yield slots


async def hold_often(settings: Settings, count: int, diary: Path, holders: int, turns: int) -> None:
    """Run holders in parallel; each records when it gets its slot and when it is about to give it back."""
    async with slots_of(settings, count) as slots:

        async def hold() -> None:
            async with slots.hold():
                note(diary, "+")
                await asyncio.sleep(0.01)
                note(diary, "-")

        for _ in range(turns):
            slots.prepare(holders)
            await asyncio.gather(*(hold() for _ in range(holders)))


def in_child(settings: Settings, count: int, diary: Path, holders: int, turns: int) -> int:
    """Start a child process that holds slots; return its id."""
    child = os.fork()
    if child:
        return child
    try:
        asyncio.run(hold_often(settings, count, diary, holders, turns))
        os._exit(0)
    finally:
        os._exit(1)


def most_at_once(diary: Path) -> int:
    """Return the highest number of holders at one moment that the diary shows."""
    return max(accumulate(1 if sign == "+" else -1 for sign in diary.read_text(encoding="ascii")))


@pytest.mark.parametrize("count", [pytest.param(count, id=f"{count} slots") for count in (1, 2)])
def test_never_more_holders_than_slots(settings: Settings, tmp_path: Path, count: int) -> None:
    """Three processes with two holders each never hold more slots than there are, and every holder gets its slots."""
    diary = tmp_path / "diary"
    children = [in_child(settings, count, diary, holders=2, turns=2) for _ in range(3)]
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    assert diary.read_text(encoding="ascii").count("+") == 3 * 2 * 2
    assert most_at_once(diary) <= count


def test_never_more_holders_than_slots_in_one_process(settings: Settings, tmp_path: Path) -> None:
    """The holders of one process share the slots as the holders of several processes do."""
    diary = tmp_path / "diary"
    asyncio.run(hold_often(settings, 2, diary, holders=6, turns=1))
    assert most_at_once(diary) <= 2


def test_free_slots_are_used(settings: Settings) -> None:
    """All slots can be held at the same time; another cohort has slots of its own."""

    async def hold_all() -> None:
        all_hold = asyncio.Barrier(4)

        async def hold(slots: ConcurrencySlots) -> None:
            async with slots.hold():
                await all_hold.wait()

        async with slots_of(settings, 3, workers=3) as slots, DiskThreads() as disk, asyncio.timeout(PATIENCE_S):
            ledger = Ledger.of(settings)
            with ledger.caller("a slice of another cohort") as caller:
                other = ConcurrencySlots(ledger.slots(caller, "d", 1), disk)
                other.prepare(1)
                await asyncio.gather(hold(slots), hold(slots), hold(slots), hold(other))

    asyncio.run(hold_all())


def can_hold(settings: Settings, within_s: float) -> bool:
    """Return True if the only slot can be taken in time."""

    async def hold() -> bool:
        async with slots_of(settings, 1) as slots:
            try:
                async with asyncio.timeout(within_s), slots.hold():
                    return True
            except TimeoutError:
                return False

    return asyncio.run(hold())


def test_a_killed_holder_gives_its_slot_back(settings: Settings) -> None:
    """A process that holds the only slot keeps others from it, and frees the slot when it dies."""
    ready, says_ready = os.pipe()
    child = os.fork()
    if not child:
        try:
            asyncio.run(_hold_for_ever(settings, says_ready))
        finally:
            os._exit(1)
    try:
        assert os.read(ready, 1) == b"x"
        assert not can_hold(settings, within_s=0.3)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(ready)
        os.close(says_ready)
    assert can_hold(settings, within_s=10)


async def _hold_for_ever(settings: Settings, says_ready: int) -> None:
    async with slots_of(settings, 1) as slots, slots.hold():
        os.write(says_ready, b"x")
        await asyncio.sleep(PATIENCE_S)


def test_an_error_gives_the_slot_back(settings: Settings) -> None:
    """An error in a holder's block frees its slot, and so does the end of a holder that was still waiting."""

    async def fail() -> None:
        async with slots_of(settings, 1, workers=2) as slots, slots.hold():
            waiting = asyncio.ensure_future(_hold(slots))
            await asyncio.sleep(0.2)
            waiting.cancel()
            await asyncio.wait({waiting})
            msg = "on purpose"
            raise ValueError(msg)

    with pytest.raises(ValueError, match="on purpose"):
        asyncio.run(fail())
    assert can_hold(settings, within_s=10)


async def _hold(slots: ConcurrencySlots) -> None:
    async with slots.hold():
        msg = "there is no second slot"
        raise AssertionError(msg)


class UnknownOutcome:
    """Slots whose database went away after it gave a slot out, and is away when the slot is given back."""

    def __init__(self) -> None:
        self.taken: list[Sequence[str]] = []

    def take(self, tokens: Sequence[str]) -> list[str]:
        self.taken.append(tokens)
        return list(tokens) if len(self.taken) > 1 else []

    def release(self, token: str) -> None:
        msg = "The ledger cannot be used"
        raise StoreError(msg)


def test_a_lost_database_does_not_spoil_finished_calls(caplog: pytest.LogCaptureFixture) -> None:
    """The same token is used for each attempt, and an error when the slot is given back is only a warning."""
    slots = UnknownOutcome()

    async def hold() -> None:
        async with DiskThreads() as disk:
            shared = ConcurrencySlots(slots, disk)
            shared.prepare(1)
            async with shared.hold():
                pass

    asyncio.run(hold())
    assert len(slots.taken) == 2
    assert len(set(slots.taken)) == 1
    assert "The ledger cannot be used" in caplog.text


def test_taking_twice_holds_one_slot(settings: Settings) -> None:
    """A transaction that ran twice, because its outcome was unknown, comes to the same result."""
    ledger = Ledger.of(settings)
    with ledger.caller("a slice") as caller:
        slots = ledger.slots(caller, "c", 1)
        assert slots.take(["one"]) == ["one"]
        assert slots.take(["one", "two"]) == ["one"]
        assert slots.take(["two"]) == []
        slots.release("one")
        slots.release("one")
        assert slots.take(["two", "three"]) == ["two"]


class Watched:
    """Slots that note which tokens are asked for."""

    def __init__(self, slots: SharedSlots) -> None:
        self.slots, self.asked = slots, list[Sequence[str]]()

    def take(self, tokens: Sequence[str]) -> list[str]:
        self.asked.append(tuple(tokens))
        return self.slots.take(tokens)

    def release(self, token: str) -> None:
        self.slots.release(token)


def test_a_round_takes_all_its_slots_at_once(settings: Settings) -> None:
    """The first worker takes slots for all; if it is cancelled while it takes them, none is lost."""

    async def run() -> list[Sequence[str]]:
        ledger = Ledger.of(settings)
        with ledger.caller("a slice") as caller:
            async with DiskThreads() as disk:
                watched = Watched(ledger.slots(caller, "c", 3))
                slots = ConcurrencySlots(watched, disk)
                slots.prepare(3)
                cancelled = asyncio.ensure_future(_hold(slots))
                for _ in range(2):
                    await asyncio.sleep(0)
                cancelled.cancel()
                await asyncio.wait({cancelled})
                async with asyncio.timeout(PATIENCE_S), slots.hold(), slots.hold(), slots.hold():
                    return watched.asked

    asked = asyncio.run(run())
    assert {len(tokens) for tokens in asked} == {3}
    assert len(set(asked)) == 1
