"""The offline judge as a child process, started for one command and stopped with it."""

import json
import os
import secrets
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from devtools.errors import StartError
from devtools.supervision.environment import clean_environment
from devtools.supervision.ports import LOOPBACK
from devtools.supervision.supervised_processes import SupervisedProcesses
from devtools.supervision.supervisor import Command

NAME = "offline-judge"
START_TIMEOUT_S = 30.0


class OfflineJudge:
    """A context manager that runs the offline judge, an LLM server on 127.0.0.1 without a model."""

    def __init__(self, *, home: Path, project: Path) -> None:
        self._port_file = home / "port"
        self._port = 0
        module = ("-m", "devtools.offline_judge")
        argv = (sys.executable, *module, "--port", "0", "--port-file", str(self._port_file))
        self._home = home
        self._processes = SupervisedProcesses(
            home=home,
            directory=project,
            environment=clean_environment(os.environ, python_path=project),
            commands=(Command(name=NAME, argv=argv, log=str(home / f"{NAME}.log")),),
            label="the offline judge",
        )

    @property
    def url(self) -> str:
        """The base URL of the judge's OpenAI-compatible API."""
        return f"http://{LOOPBACK}:{self._port}/v1"

    def connection(self) -> str:
        """Return the Airflow Connection to the judge, in JSON form."""
        extra: Mapping[str, object] = {"connect_timeout_s": 5, "read_timeout_s": 60, "total_timeout_s": 120}
        # Random, because the password is masked in stored replies, and a word would be masked where it occurs.
        password = secrets.token_urlsafe(24)
        return json.dumps({"conn_type": "openai", "host": self.url, "password": password, "extra": extra})

    def check(self) -> None:
        """Return when the judge runs; StartError, with the last lines of its log, when it has ended."""
        self._processes.check()

    def calls(self) -> int:
        """Return how many requests the judge has received."""
        answer = httpx.get(f"http://{LOOPBACK}:{self._port}/stats", timeout=10, trust_env=False)
        return int(answer.raise_for_status().json()["requests"])

    def __enter__(self) -> Self:
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._port_file.unlink(missing_ok=True)
        deadline = time.monotonic() + START_TIMEOUT_S
        try:
            self._processes.start()
            while not self._port_file.exists():
                self._processes.check()
                if time.monotonic() > deadline:
                    msg = f"The offline judge did not start within {START_TIMEOUT_S:g} s."
                    raise StartError(msg)
                time.sleep(0.05)
            self._port = int(self._port_file.read_text("utf-8"))
        except BaseException:
            self._processes.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._processes.stop()
