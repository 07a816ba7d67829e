"""Every request that may cost money, in `cohorts/<cohort_id>/calls.jsonl`: written down before it is sent.

A line with the most that it can cost comes first and is durable before the request leaves; a second line says how it
ended. So after a crash at any point one can say which requests may have been paid for without a reply, and what a run
can have spent at most. Lines are only ever appended, under a lock that all processes share.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from essay_cohorts.calls import CallEnd, Room, Spending
from essay_cohorts.domain import RunRef, TaskRef
from essay_cohorts.errors import StoreError
from essay_cohorts.files.atomic import check_inside, new_token, storing, sync_path, write_whole
from essay_cohorts.files.clock import now
from essay_cohorts.files.json_files import json_object
from essay_cohorts.records import price_of, run_of, text_of

JOURNAL = "calls.jsonl"
_LOCK = "calls.lock"
_LOCK_PATIENCE_S = 60.0
_LOCK_POLL_S = 0.005


@dataclass(frozen=True, kw_only=True, slots=True)
class Intent:
    """A request about to be sent: for what, by whom, and the most that it can cost (USD; None: not known).

    After `longest_s` seconds it has ended, whatever became of it.
    """

    gen_id: str
    llm_model_id: str
    worst_usd: float | None
    longest_s: float
    task: TaskRef


@dataclass(kw_only=True, slots=True)
class JournalledCall:
    """A request as the journal knows it; `end` is None while none was written down."""

    name: str
    intent: Mapping[str, Any]
    end: CallEnd | None = None
    cost_usd: float | None = None

    @property
    def run(self) -> RunRef:
        """The DagRun that made it."""
        return run_of(self.intent)

    @property
    def gen_id(self) -> str:
        """The evaluation that it was made for."""
        return text_of(self.intent, "gen_id")

    @property
    def most_usd(self) -> float:
        """What it cost where that is known, else the most that it can have cost; 0 without a price."""
        most = price_of(self.intent, "worst_usd") if self.cost_usd is None else self.cost_usd
        return most or 0.0

    @property
    def is_settled(self) -> bool:
        """True when it is known what became of it."""
        return self.end not in (None, CallEnd.UNKNOWN)

    def is_under_way(self) -> bool:
        """Return True while the process that made it can still write down how it ended."""
        until, pid, since = (self.intent.get(key) for key in ("until", "pid", "since"))
        if self.end is not None or not isinstance(until, int | float) or time.time() > until:
            return False
        # Of another machine nothing is known before the time is up.
        return self.intent.get("host") != socket.gethostname() or (since is not None and _since(pid) == since)


@dataclass(kw_only=True)
class CallJournal:
    """One cohort's journal as one process writes it, with what the runs have spent so far."""

    folder: Path
    _read: int = 0
    _counts: defaultdict[RunRef, int] = field(default_factory=lambda: defaultdict(int))
    _settled_usd: defaultdict[RunRef, float] = field(default_factory=lambda: defaultdict(float))
    _open: dict[str, JournalledCall] = field(default_factory=dict)
    _in_vain: list[JournalledCall] = field(default_factory=list)
    _later: list[dict[str, Any]] = field(default_factory=list)
    _mutex: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def for_writing(cls, root: Path, folder: Path) -> CallJournal:
        """Return the journal of the cohort in `folder`, once it is sure that this is in the data root `root`."""
        check_inside(root, folder)
        return cls(folder=folder)

    def __post_init__(self) -> None:
        # Used by whichever thread has the mutex.
        self._lock = FileLock(
            self.folder / _LOCK, timeout=_LOCK_PATIENCE_S, poll_interval=_LOCK_POLL_S, thread_local=False
        )

    def reserve(self, intent: Intent, room_for: Callable[[Spending], Room] | None = None) -> tuple[Room, str]:
        """Return whether the run's spending leaves room.

        Where it does, the request is on disk under the name returned.
        """
        with self._exclusive():
            room, name = Room.YES, new_token()
            if room_for is not None:
                self._catch_up()
                room = room_for(self._spending(intent.task.run))
            if room is Room.YES:
                self._append([_record(name, intent)], durable=True)
            return room, name

    def settle(self, name: str, end: CallEnd, cost_usd: float | None) -> None:
        """Write down how a request ended. Should a power cut lose the line, its worst case stays reserved."""
        with self._exclusive():
            self._append([_end_record(name, end, cost_usd)], durable=False)

    def settle_later(self, name: str, end: CallEnd, cost_usd: float | None) -> None:
        """As `settle`, but with the next line or by `flush`: for a request whose stored reply tells as much."""
        self._later.append(_end_record(name, end, cost_usd))

    def flush(self) -> None:
        """Write what `settle_later` kept."""
        if self._later:
            with self._exclusive():
                self._append([], durable=False)

    def spending(self, run: RunRef | None = None) -> Spending:
        """Return what a run has spent so far; without one, what all runs have spent together."""
        with self._mutex, storing(self.folder / JOURNAL):
            self._catch_up()
            return self._spending(run)

    def unsettled(self) -> tuple[JournalledCall, ...]:
        """Return the requests of which it is not known what became of them, those under way included."""
        with self._mutex, storing(self.folder / JOURNAL):
            self._catch_up()
            return tuple(self._open.values())

    def paid_in_vain(self) -> tuple[JournalledCall, ...]:
        """Return the requests that were paid for without a reply that could be kept."""
        with self._mutex, storing(self.folder / JOURNAL):
            self._catch_up()
            return tuple(self._in_vain)

    def _spending(self, run: RunRef | None) -> Spending:
        under_way: list[JournalledCall] = []
        lost: list[JournalledCall] = []
        for call in self._open.values():
            if run is None or call.run == run:
                (under_way if call.is_under_way() else lost).append(call)
        return Spending(
            calls=sum(self._counts.values()) if run is None else self._counts[run],
            settled_usd=sum(self._settled_usd.values()) if run is None else self._settled_usd[run],
            in_flight=len(under_way),
            in_flight_usd=sum(call.most_usd for call in under_way),
            unknown=len(lost),
            unknown_usd=sum(call.most_usd for call in lost),
        )

    def _catch_up(self) -> None:
        """Read what was appended since the last look. A torn line is a request that was never sent."""
        try:
            with (self.folder / JOURNAL).open("rb") as file:
                if os.fstat(file.fileno()).st_size < self._read:
                    self._forget()
                file.seek(self._read)
                content = file.read()
        except FileNotFoundError:
            self._forget()
            return
        whole = content[: content.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in _records(whole):
            self._note(line)

    def _forget(self) -> None:
        self._read = 0
        for kept in (self._counts, self._settled_usd, self._open, self._in_vain):
            kept.clear()

    def _note(self, line: Mapping[str, Any]) -> None:
        name, end = text_of(line, "call"), line.get("end")
        if "end" not in line:
            call = self._open[name] = JournalledCall(name=name, intent=line)
            self._counts[call.run] += 1
        elif name in self._open and end in list(CallEnd):
            call = self._open[name]
            call.end, call.cost_usd = CallEnd(end), price_of(line, "cost_usd")
            if call.is_settled:
                self._settled_usd[call.run] += call.most_usd
                if call.end is CallEnd.CHARGED:
                    self._in_vain.append(call)
                del self._open[name]

    def _append(self, lines: list[dict[str, Any]], *, durable: bool) -> None:
        kept = len(self._later)
        content = b"".join(json.dumps(line).encode() + b"\n" for line in [*self._later[:kept], *lines])
        descriptor = os.open(self.folder / JOURNAL, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            end = os.lseek(descriptor, 0, os.SEEK_END)
            torn = bool(end) and os.pread(descriptor, 1, end - 1) != b"\n"
            write_whole(descriptor, b"\n" * torn + content)
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        del self._later[:kept]
        if durable and not end:
            sync_path(self.folder)

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """One thread of one process at a time."""
        if not self.folder.is_dir():
            msg = f"{self.folder} is gone. Check that the data root is still mounted, then clear the run."
            raise StoreError(msg)
        with self._mutex, storing(self.folder / JOURNAL):
            try:
                with self._lock:
                    yield
            except Timeout:
                msg = (
                    f"{self.folder / _LOCK} was held by another process for {_LOCK_PATIENCE_S:g} s. "
                    "Find that process and end it, then clear the run."
                )
                raise StoreError(msg) from None


def _record(name: str, intent: Intent) -> dict[str, Any]:
    return {
        "call": name,
        "at": now(),
        "gen_id": intent.gen_id,
        "llm_model_id": intent.llm_model_id,
        "worst_usd": intent.worst_usd,
        **_writer(intent.task, os.getpid()),
        "until": time.time() + intent.longest_s,
    }


@cache
def _writer(task: TaskRef, pid: int) -> dict[str, Any]:
    return {**asdict(task), "host": socket.gethostname(), "pid": pid, "since": _since(pid)}


def _end_record(name: str, end: CallEnd, cost_usd: float | None) -> dict[str, Any]:
    return {"call": name, "at": now(), "end": end.value, "cost_usd": cost_usd}


def _records(content: bytes) -> Iterator[dict[str, Any]]:
    for line in content.splitlines():
        record = json_object(line)
        if record is not None:
            yield record


def _since(pid: object) -> float | None:
    """Return when a process of this machine was started; None when no process has this number (it may be reused)."""
    if pid == os.getpid():
        return _own_start(os.getpid())
    try:
        return psutil.Process(pid).create_time() if isinstance(pid, int) else None
    except (psutil.Error, ValueError, OverflowError):
        return None


@cache
def _own_start(pid: int) -> float:
    return psutil.Process(pid).create_time()
