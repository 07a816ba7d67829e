"""The journal of a cohort's requests: `cohorts/<cohort_id>/calls.jsonl` lists each request that may cost money.

Before a request is sent, the process appends a line with the most that the request can cost, and flushes the line to
the disk. A second line says how the request ended. After a crash at any point the journal therefore tells which
requests may have been paid for without a reply, and the most that a run can have spent. Lines are only appended, and
only under a lock that all processes share.
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
    """A request that is about to be sent: its evaluation, its task, and the most that it can cost.

    `worst_usd` is in USD, None when no price is known. After `longest_s` seconds the request has certainly ended.
    """

    gen_id: str
    llm_model_id: str
    worst_usd: float | None
    longest_s: float
    task: TaskRef


@dataclass(kw_only=True, slots=True)
class JournalledCall:
    """A request in the journal; `end` is None until the second line was written."""

    name: str
    intent: Mapping[str, Any]
    end: CallEnd | None = None
    cost_usd: float | None = None

    @property
    def run(self) -> RunRef:
        """The DagRun that made the request."""
        return run_of(self.intent)

    @property
    def gen_id(self) -> str:
        """The evaluation that the request was made for."""
        return text_of(self.intent, "gen_id")

    @property
    def most_usd(self) -> float:
        """The cost in USD when it is known, else the most that the request can have cost; 0 without a price."""
        most = price_of(self.intent, "worst_usd") if self.cost_usd is None else self.cost_usd
        return most or 0.0

    @property
    def is_settled(self) -> bool:
        """True when the journal tells how the request ended."""
        return self.end not in (None, CallEnd.UNKNOWN)

    def is_under_way(self) -> bool:
        """Return True while the process that made the request can still write how it ended."""
        until, pid, since = (self.intent.get(key) for key in ("until", "pid", "since"))
        if self.end is not None or not isinstance(until, int | float) or time.time() > until:
            return False
        # A process of another machine cannot be looked up, so only the end of the time counts.
        return self.intent.get("host") != socket.gethostname() or (since is not None and _since(pid) == since)


@dataclass(kw_only=True)
class CallJournal:
    """One cohort's journal, as one process reads and writes it, with the sums of what each run has spent."""

    folder: Path
    _read: int = 0
    _counts: defaultdict[RunRef, int] = field(default_factory=lambda: defaultdict(int))
    _settled_usd: defaultdict[RunRef, float] = field(default_factory=lambda: defaultdict(float))
    _open: dict[str, JournalledCall] = field(default_factory=dict)
    _charged_without_reply: list[JournalledCall] = field(default_factory=list)
    _unwritten: list[dict[str, Any]] = field(default_factory=list)
    _mutex: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def for_writing(cls, root: Path, folder: Path) -> CallJournal:
        """Return the journal of the cohort in `folder`. StoreError when `folder` is outside the data root `root`."""
        check_inside(root, folder)
        return cls(folder=folder)

    def __post_init__(self) -> None:
        # Several threads use the lock in turn: `_mutex` guards it.
        self._lock = FileLock(
            self.folder / _LOCK, timeout=_LOCK_PATIENCE_S, poll_interval=_LOCK_POLL_S, thread_local=False
        )

    def reserve(self, intent: Intent, room_for: Callable[[Spending], Room] | None = None) -> tuple[Room, str]:
        """Return whether the run's spending leaves room for the request, and the name of the request.

        When there is room, the request is on disk under that name.
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
        """Write how a request ended. If a power cut loses the line, the worst case stays reserved."""
        with self._exclusive():
            self._append([_end_record(name, end, cost_usd)], durable=False)

    def settle_later(self, name: str, end: CallEnd, cost_usd: float | None) -> None:
        """Keep the end of a request for the next write or `flush`; its stored reply proves the end until then."""
        self._unwritten.append(_end_record(name, end, cost_usd))

    def flush(self) -> None:
        """Write the ends that `settle_later` kept."""
        if self._unwritten:
            with self._exclusive():
                self._append([], durable=False)

    def spending(self, run: RunRef | None = None) -> Spending:
        """Return what one run has spent so far; without `run`, the sum of all runs."""
        with self._mutex, storing(self.folder / JOURNAL):
            self._catch_up()
            return self._spending(run)

    def unsettled(self) -> tuple[JournalledCall, ...]:
        """Return the requests whose end is not known, requests under way included."""
        with self._mutex, storing(self.folder / JOURNAL):
            self._catch_up()
            return tuple(self._open.values())

    def paid_in_vain(self) -> tuple[JournalledCall, ...]:
        """Return the requests that were paid for but brought no reply that could be kept."""
        with self._mutex, storing(self.folder / JOURNAL):
            self._catch_up()
            return tuple(self._charged_without_reply)

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
        """Read the lines appended since the last read. A torn line belongs to a request that was never sent."""
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
        for kept in (self._counts, self._settled_usd, self._open, self._charged_without_reply):
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
                    self._charged_without_reply.append(call)
                del self._open[name]

    def _append(self, lines: list[dict[str, Any]], *, durable: bool) -> None:
        kept = len(self._unwritten)
        content = b"".join(json.dumps(line).encode() + b"\n" for line in [*self._unwritten[:kept], *lines])
        descriptor = os.open(self.folder / JOURNAL, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            end = os.lseek(descriptor, 0, os.SEEK_END)
            torn = bool(end) and os.pread(descriptor, 1, end - 1) != b"\n"
            write_whole(descriptor, b"\n" * torn + content)
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        del self._unwritten[:kept]
        if durable and not end:
            sync_path(self.folder)

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Let in one thread of one process at a time."""
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
    """Return when the process was started; None when no process of this machine has this number.

    The start tells a process from a later one that got the same number.
    """
    if pid == os.getpid():
        return _own_start(os.getpid())
    try:
        return psutil.Process(pid).create_time() if isinstance(pid, int) else None
    except (psutil.Error, ValueError, OverflowError):
        return None


@cache
def _own_start(pid: int) -> float:
    return psutil.Process(pid).create_time()
