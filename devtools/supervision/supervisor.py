"""Keep a few processes running for as long as the process that asked for them lives.

Run as `python -m devtools.supervision.supervisor` with a pipe as standard input: its first line is an order
(JSON), and the pipe is the lifeline. When it closes, because its owner said so, ended or was killed, everything
that was started is stopped, and so it is on SIGTERM, SIGINT and SIGHUP. Standard output carries one JSON event a
line: `refused`, `started`, `lost` (ended, and is started again), `ended`, `stopped`.
"""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import psutil
from filelock import FileLock, Timeout

from devtools.supervision import processes

GRACE_S = 8.0
LOCK_FILE = "lock"
OWNER_FILE = "owner.json"
# An owner that was killed leaves the lock to a supervisor that still stops what it started.
TAKEOVER_S = 15.0
# What ends sooner after its start is broken, and would only end again.
STEADY_S = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """One process: `first` ones run to their end, one after another, before the others start.

    One to `restart` is started again when it ended by itself or was killed, once it had run for a while.
    """

    name: str
    argv: tuple[str, ...]
    log: str
    first: bool = False
    restart: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What to run, where, and for whom: `owner` is the process that holds the other end of the lifeline."""

    home: str
    directory: str
    environment: dict[str, str]
    commands: tuple[Command, ...]
    owner: int
    label: str

    @classmethod
    def from_json(cls, text: str) -> "Order":
        """Return the order that `json.dumps(asdict(order))` wrote."""
        fields: dict[str, Any] = json.loads(text)
        commands = tuple(Command(**{**each, "argv": tuple(each["argv"])}) for each in fields.pop("commands"))
        return cls(commands=commands, **fields)


class Supervisor:
    """Starts the order's commands, reports or restarts those that end, and stops all that is left."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._commands = {command.name: command for command in order.commands}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._started_at: dict[str, float] = {}
        self._sessions: set[int] = set()
        self._since = psutil.Process().create_time()
        self._told_to_stop = False
        self._lifeline = selectors.DefaultSelector()
        self._lifeline.register(sys.stdin.fileno(), selectors.EVENT_READ)

    def run(self) -> None:
        """Start everything and return when the lifeline closed and all is stopped."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._stop_soon)
        processes.adopt_orphans()
        try:
            self._start_all()
            while not self._should_stop(wait_s=0.2):
                self._report_ended()
        finally:
            processes.end_all(self._living, grace_s=GRACE_S)

    def _stop_soon(self, _number: int, _frame: FrameType | None) -> None:
        self._told_to_stop = True

    def _should_stop(self, *, wait_s: float) -> bool:
        if not self._told_to_stop and self._lifeline.select(timeout=wait_s):
            # The owner never writes a second time: something to read is the end of the pipe.
            self._told_to_stop = True
        return self._told_to_stop

    def _start_all(self) -> None:
        for command in self._order.commands:
            if self._should_stop(wait_s=0):
                return
            self._start(command)
            while command.first and command.name in self._running and not self._should_stop(wait_s=0.05):
                if self._report_ended() not in (None, 0):
                    self._told_to_stop = True

    def _start(self, command: Command) -> None:
        # A restart keeps what the former process said last.
        with Path(command.log).open("ab" if command.name in self._started_at else "wb") as log:
            process = subprocess.Popen(
                command.argv,
                cwd=self._order.directory,
                env=self._order.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # The last resort, for the case that this supervisor itself is killed.
                preexec_fn=processes.end_with_parent,
            )
        self._running[command.name] = process
        self._started_at[command.name] = time.monotonic()
        self._sessions.add(process.pid)
        tell("started", name=command.name, pid=process.pid)

    def _report_ended(self) -> int | None:
        """Report or restart what ended since the last look; return the exit code of the last one of them."""
        code = None
        for name, process in list(self._running.items()):
            if (code := process.poll()) is None:
                continue
            del self._running[name]
            if self._commands[name].restart and time.monotonic() - self._started_at[name] >= STEADY_S:
                tell("lost", name=name, code=code)
                self._end_session(process.pid)
                self._start(self._commands[name])
            else:
                tell("ended", name=name, code=code)
        return code

    def _end_session(self, leader: int) -> None:
        """End what a process left behind, at once: a task process of a lost scheduler would work against the next."""

        def left() -> list[psutil.Process]:
            self._reap_adopted()
            return processes.session_members({leader}, since=self._since)

        processes.end_all(left, grace_s=0)

    def _living(self) -> list[psutil.Process]:
        for process in self._running.values():
            process.poll()
        living = {child for child in self._reap_adopted() if processes.is_alive(child)}
        if sys.platform != "linux":  # where orphans are not adopted
            living.update(processes.session_members(self._sessions, since=self._since))
        return list(living)

    def _reap_adopted(self) -> list[psutil.Process]:
        own = {process.pid for process in self._running.values()}
        children = psutil.Process().children(recursive=True)
        processes.reap(child for child in children if child.pid not in own)
        return children


def tell(event: str, **fields: object) -> None:
    """Write one event for the owner; an owner that is gone is told nothing."""
    with contextlib.suppress(OSError):
        os.write(1, (json.dumps({"event": event, **fields}) + "\n").encode())


@contextlib.contextmanager
def only_one(order: Order) -> Iterator[None]:
    """Hold the home's lock, and say in a file whose it is.

    Raises:
        Timeout: a live process holds it.
    """
    lock = FileLock(Path(order.home) / LOCK_FILE)
    owner_file = Path(order.home) / OWNER_FILE
    deadline = time.monotonic() + TAKEOVER_S
    while True:
        try:
            lock.acquire(timeout=0)
            break
        except Timeout:
            if living_owner(owner_file) or time.monotonic() > deadline:
                raise
            time.sleep(0.2)
    try:
        owner = {"pid": order.owner, "since": psutil.Process(order.owner).create_time(), "label": order.label}
        owner_file.write_text(json.dumps(owner), encoding="utf-8")
        yield
    finally:
        owner_file.unlink(missing_ok=True)
        lock.release()


def living_owner(owner_file: Path) -> str | None:
    """Return who holds the home, in words, or None when that process is gone or unknown."""
    try:
        owner = json.loads(owner_file.read_text(encoding="utf-8"))
        if psutil.Process(owner["pid"]).create_time() == owner["since"]:
            return f"process {owner['pid']}, {owner['label']}"
    except (OSError, ValueError, KeyError, psutil.Error):
        return None
    return None


def main() -> None:
    """Read the order, keep its processes, and say when all is stopped."""
    line = sys.stdin.readline()
    if not line:
        return
    order = Order.from_json(line)
    try:
        with only_one(order):
            Supervisor(order).run()
    except Timeout:
        holder = living_owner(Path(order.home) / OWNER_FILE) or "another process"
        tell("refused", sentence=f"{order.home} is already in use by {holder}: stop that one first.")
        return
    tell("stopped")


if __name__ == "__main__":
    main()
