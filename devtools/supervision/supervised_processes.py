"""The owner's side of a supervisor, which stops the owner's commands when the owner ends in any way."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from devtools.errors import HomeInUseError, LocalAirflowError, StartError
from devtools.supervision import processes
from devtools.supervision.environment import clean_environment
from devtools.supervision.supervisor import GRACE_S, Command, Order

PACKAGE_ROOT = Path(__file__).parents[2]
SUPERVISOR_LOG = "supervisor.log"


class SupervisedProcesses:
    """Commands that run in processes of their own until `stop`, or until this process ends in any way."""

    def __init__(
        self,
        *,
        home: Path,
        directory: Path,
        environment: Mapping[str, str],
        commands: tuple[Command, ...],
        label: str,
    ) -> None:
        self.pids: dict[str, int] = {}
        self.exit_codes: dict[str, int] = {}
        self._order = Order(
            home=str(home),
            directory=str(directory),
            environment=dict(environment),
            commands=commands,
            owner=os.getpid(),
            label=label,
        )
        self._logs = {command.name: Path(command.log) for command in commands}
        self._supervisor_log = home / SUPERVISOR_LOG
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._since = 0.0
        self._unread = b""
        self._problem: LocalAirflowError | None = None

    @property
    def supervisor_pid(self) -> int | None:
        """The id of the process that starts and stops the others; None when it does not run."""
        return self._supervisor.pid if self._supervisor else None

    def start(self) -> None:
        """Start the supervisor and send it the order; `check` reports problems."""
        order_read, order_write = os.pipe()
        events_read, events_write = os.pipe()
        os.set_blocking(events_read, False)
        with self._supervisor_log.open("wb") as log:
            self._supervisor = subprocess.Popen(
                [sys.executable, "-m", "devtools.supervision.supervisor"],
                cwd=PACKAGE_ROOT,
                env=clean_environment(os.environ, python_path=PACKAGE_ROOT),
                stdin=order_read,
                stdout=events_write,
                stderr=log,
                start_new_session=True,
            )
        os.close(order_read)
        os.close(events_write)
        self._order_pipe, self._events = os.fdopen(order_write, "wb"), os.fdopen(events_read, "rb", buffering=0)
        self._since = psutil.Process(self._supervisor.pid).create_time()
        with suppress(BrokenPipeError):  # `check` says why it ended
            self._order_pipe.write((json.dumps(asdict(self._order)) + "\n").encode())
            self._order_pipe.flush()

    def check(self) -> None:
        """Return when everything that should run still runs; print on standard error what was started again.

        Raises:
            HomeInUseError: another live process has the home.
            StartError: a process ended; the message has the name and the last lines of its log file.
        """
        if self._supervisor is None:
            msg = "Nothing runs: it was not started, or it was stopped."
            raise StartError(msg)
        piece = self._events.read(65536)
        if piece == b"":
            log = last_lines(self._supervisor_log)
            self._problem = self._problem or StartError(f"The supervisor ended: {self._supervisor_log}.{log}")
        self._handle_events(piece or b"")
        if self._problem is not None:
            raise self._problem

    def _handle_events(self, piece: bytes) -> None:
        *lines, self._unread = (self._unread + piece).split(b"\n")
        for line in lines:
            event = json.loads(line)
            if event["event"] == "started":
                self.pids[event["name"]] = event["pid"]
            elif event["event"] == "lost":
                name, code = event["name"], event["code"]
                print(f"{name} ended with code {code}; it is started again. Log: {self._logs[name]}", file=sys.stderr)
            else:
                self._problem = self._problem or self._problem_of(event)

    def _problem_of(self, event: dict[str, Any]) -> LocalAirflowError | None:
        if event["event"] == "refused":
            return HomeInUseError(event["sentence"])
        if event["event"] == "stopped":
            return StartError("Everything was stopped from outside.")
        name, code = event["name"], event["code"]
        self.exit_codes[name] = code
        [command] = [each for each in self._order.commands if each.name == name]
        if command.optional or (code == 0 and command.first):
            return None
        return StartError(f"{name} ended with code {code}.{self._tail(name)}")

    def _tail(self, name: str) -> str:
        path = self._logs[name]
        return f" Its log is {path}; the last lines:{last_lines(path)}"

    def stop(self) -> None:
        """Stop everything and return when nothing is left; a second call does nothing."""
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is None:
            return
        with suppress(OSError):
            self._order_pipe.close()
        try:
            supervisor.wait(timeout=GRACE_S + 10)
        except subprocess.TimeoutExpired:
            supervisor.kill()
            supervisor.wait()
        self._handle_events(self._events.read() or b"")
        self._events.close()
        if supervisor.returncode != 0:
            self._end_sessions()

    def _end_sessions(self) -> None:
        """End the processes that a killed supervisor left; each command leads a session of its own."""
        sessions = set(self.pids.values())
        processes.end_all(lambda: processes.session_members(sessions, since=self._since), grace_s=GRACE_S)


def last_lines(path: Path, count: int = 12) -> str:
    """Return the last lines of a log, each indented on a line of its own; "" for an empty log."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()[-count:]
    except OSError:
        return ""
    return "".join(f"\n    {line}" for line in lines)
