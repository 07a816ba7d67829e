"""Keep a few processes running as long as their owner, the process that ordered them, lives.

Run as `python -m devtools.supervision.supervisor` with a pipe as standard input. The first line of the pipe is an
order (JSON). The pipe closes when its owner closes it, ends or is killed; then the supervisor stops everything that
it started, and likewise on SIGTERM, SIGINT and SIGHUP. Standard output carries one JSON event per line: `refused`,
`started`, `lost` (a command ended and is started again), `ended`, `stopped`.
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
# The supervisor of a killed owner keeps the lock while it stops what it started, so a new supervisor waits this long.
TAKEOVER_S = 15.0
# A command that ends sooner after its first start is broken and would only end again, so it is not restarted. One
# that ran for longer may have lost a server that all parts need: it is started again for PATIENCE_S, every PAUSE_S.
STEADY_S, PATIENCE_S, PAUSE_S = 10.0, 60.0, 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """One process to run.

    Commands with `first` run to their end, one after another, before the others start. A command with `restart` is
    started again when it ended or was killed after it had run for STEADY_S, and again for PATIENCE_S if it ends
    sooner then. The others can do without one that is `optional`.
    """

    name: str
    argv: tuple[str, ...]
    log: str
    first: bool = False
    restart: bool = False
    optional: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What to run, where, and for whom: `owner` is the id of the process that holds the other end of the pipe."""

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
    """Starts the commands of an order, reports or restarts the commands that end, and stops all at the end."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._commands = {command.name: command for command in order.commands}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._started_at: dict[str, float] = {}
        self._steady_at: dict[str, float] = {}
        self._due: dict[str, float] = {}
        self._sessions: set[int] = set()
        self._since = psutil.Process().create_time()
        self._stop_requested = False
        self._owner_pipe = selectors.DefaultSelector()
        self._owner_pipe.register(sys.stdin.fileno(), selectors.EVENT_READ)

    def run(self) -> None:
        """Start everything, and return when the owner's pipe was closed and everything is stopped."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._request_stop)
        processes.adopt_orphans()
        try:
            self._start_all()
            while not self._should_stop(wait_s=0.2):
                self._report_ended()
                self._start_due()
        finally:
            processes.end_all(self._living, grace_s=GRACE_S)

    def _request_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stop_requested = True

    def _should_stop(self, *, wait_s: float) -> bool:
        if not self._stop_requested and self._owner_pipe.select(timeout=wait_s):
            # The owner never writes a second line, so a readable pipe is a closed pipe.
            self._stop_requested = True
        return self._stop_requested

    def _start_all(self) -> None:
        for command in self._order.commands:
            if self._should_stop(wait_s=0):
                return
            self._start(command)
            while command.first and command.name in self._running and not self._should_stop(wait_s=0.05):
                if self._report_ended() not in (None, 0):
                    self._stop_requested = True

    def _start(self, command: Command) -> None:
        # A restart appends to the log, so that the last lines of the former process are kept.
        with Path(command.log).open("ab" if command.name in self._started_at else "wb") as log:
            process = subprocess.Popen(
                command.argv,
                cwd=self._order.directory,
                env=self._order.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # The kernel ends the process when this supervisor itself is killed.
                preexec_fn=processes.end_with_parent,
            )
        self._running[command.name] = process
        self._started_at[command.name] = time.monotonic()
        self._sessions.add(process.pid)
        emit("started", name=command.name, pid=process.pid)

    def _report_ended(self) -> int | None:
        """Report or restart the commands that ended since the last call; return the exit code of the last."""
        code = None
        for name, process in list(self._running.items()):
            if (code := process.poll()) is None:
                continue
            del self._running[name]
            now = time.monotonic()
            is_steady = now - self._started_at[name] >= STEADY_S
            if is_steady:
                self._steady_at[name] = now
            if self._commands[name].restart and now - self._steady_at.get(name, -PATIENCE_S) < PATIENCE_S:
                emit("lost", name=name, code=code)
                self._end_session(process.pid)
                self._due[name] = now if is_steady else now + PAUSE_S
            else:
                emit("ended", name=name, code=code)
        return code

    def _start_due(self) -> None:
        for name in [name for name, at in self._due.items() if at <= time.monotonic()]:
            del self._due[name]
            self._start(self._commands[name])

    def _end_session(self, leader: int) -> None:
        """Kill what an ended process left; otherwise a task of a lost scheduler would work against the next one."""

        def remaining() -> list[psutil.Process]:
            self._reap_adopted()
            return processes.session_members({leader}, since=self._since)

        processes.end_all(remaining, grace_s=0)

    def _living(self) -> list[psutil.Process]:
        for process in self._running.values():
            process.poll()
        living = {child for child in self._reap_adopted() if processes.is_alive(child)}
        if sys.platform != "linux":  # only Linux lets this process adopt orphans
            living.update(processes.session_members(self._sessions, since=self._since))
        return list(living)

    def _reap_adopted(self) -> list[psutil.Process]:
        own = {process.pid for process in self._running.values()}
        children = psutil.Process().children(recursive=True)
        processes.reap(child for child in children if child.pid not in own)
        return children


def emit(event: str, **fields: object) -> None:
    """Write one event for the owner; do nothing when the owner has ended."""
    with contextlib.suppress(OSError):
        os.write(1, (json.dumps({"event": event, **fields}) + "\n").encode())


@contextlib.contextmanager
def home_lock(order: Order) -> Iterator[None]:
    """Hold the lock of the home, and name its owner in OWNER_FILE.

    Raises:
        Timeout: a live process holds the lock.
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
    """Return the process that holds the home, in words; None when it has ended or is unknown."""
    try:
        owner = json.loads(owner_file.read_text(encoding="utf-8"))
        if psutil.Process(owner["pid"]).create_time() == owner["since"]:
            return f"process {owner['pid']}, {owner['label']}"
    except (OSError, ValueError, KeyError, psutil.Error):
        return None
    return None


def main() -> None:
    """Read the order, run its commands until the owner ends, and report that all is stopped."""
    line = sys.stdin.readline()
    if not line:
        return
    order = Order.from_json(line)
    try:
        with home_lock(order):
            Supervisor(order).run()
    except Timeout:
        holder = living_owner(Path(order.home) / OWNER_FILE) or "another process"
        emit(
            "refused",
            sentence=f"{order.home} is already in use by {holder}. End that process first; Ctrl-C ends `make up`.",
        )
        return
    emit("stopped")


if __name__ == "__main__":
    main()
