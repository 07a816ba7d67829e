"""A server that the cluster's parts share: one program in the foreground, with a folder and a port of its own."""

import time
from pathlib import Path
from types import TracebackType
from typing import Self

from devtools.errors import StartError
from devtools.supervision import processes
from devtools.supervision.environment import clean_environment
from devtools.supervision.ports import free_port
from devtools.supervision.supervised_processes import PACKAGE_ROOT, SupervisedProcesses, last_lines
from devtools.supervision.supervisor import Command

_START_TIMEOUT_S = 30.0
_POLL_S = 0.05


class Service:
    """A server that ends when the process that started it ends in any way.

    A subclass says what to run (`argv`), and whether it answers yet (`is_ready`).
    """

    name = "service"

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self._processes: SupervisedProcesses | None = None

    def argv(self) -> tuple[str, ...]:
        """Return the command that runs the server in the foreground."""
        raise NotImplementedError

    def is_ready(self) -> bool:
        """Return True when the server answers."""
        raise NotImplementedError

    def start(self) -> None:
        """Start the server and return when it answers; a server that was stopped or killed starts again.

        Raises:
            StartError: it ended, or did not answer in time; the message has the last lines of its log.
        """
        self.stop()
        log = self.folder / "log"
        self._processes = SupervisedProcesses(
            home=self.folder,
            directory=PACKAGE_ROOT,
            environment=clean_environment({}, python_path=PACKAGE_ROOT),
            commands=(Command(name=self.name, argv=self.argv(), log=str(log)),),
            label=f"{self.name} on port {self.port}",
        )
        self._processes.start()
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self.is_ready():
            self._processes.check()
            if time.monotonic() > deadline:
                msg = f"{self.name} does not answer after {_START_TIMEOUT_S:g} s.{last_lines(log)}"
                raise StartError(msg)
            time.sleep(_POLL_S)

    def check(self) -> None:
        """Return when the server runs; StartError when it ended."""
        if self._processes is not None:
            self._processes.check()

    def stop(self) -> None:
        """Stop the server and return when nothing of it is left; a second call does nothing."""
        if self._processes is not None:
            self._processes.stop()
            self._processes = None

    def kill(self) -> None:
        """Kill the server and every process of it, as `kill -9` and a power cut do."""
        if self._processes is None:
            return
        self._processes.check()
        processes.kill_tree(self._processes.pids[self.name])

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
