"""A PostgreSQL server of the tests' own: Debian's package, with a folder and a port of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psutil

from devtools.supervision.ports import free_port

_DEBIAN = Path("/usr/lib/postgresql")
_USER = "ledger"


@dataclass(kw_only=True)
class PostgreSQL:
    """A running server; `new_database` makes an empty database and returns its URL."""

    folder: Path
    port: int
    _numbers: Iterator[int] = field(default_factory=count)

    @classmethod
    @contextmanager
    def started(cls, folder: Path) -> Iterator[PostgreSQL]:
        """Start a server that keeps its files in `folder` and listens on the loopback only."""
        server = cls(folder=folder, port=free_port())
        folder.mkdir(mode=0o755, parents=True)
        if os.getuid() == 0:
            # PostgreSQL refuses to run as root, and needs to reach its folder as another user.
            shutil.chown(folder, _other_user())
            for above in folder.parents:
                if above.stat().st_uid == 0 and above != Path("/"):
                    above.chmod(above.stat().st_mode | 0o011)
        server._as_user("initdb", "--auth=trust", f"--username={_USER}", "--no-sync", "-D", f"{folder}/data")
        server.start()
        try:
            yield server
        finally:
            server.stop()

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = f"-p {self.port} -h 127.0.0.1 -k {self.folder} -c max_connections=200"
        self._pg_ctl("start", "-w", "-l", f"{self.folder}/log", "-o", options)

    def stop(self, mode: str = "fast") -> None:
        """Stop the server; with the mode "immediate" as a crash would."""
        self._pg_ctl("stop", "-w", "-m", mode)

    def kill(self) -> None:
        """Kill the server and every process of it, as `kill -9` and a power cut do."""
        postmaster = psutil.Process(int((self.folder / "data/postmaster.pid").read_text().split()[0]))
        victims = [postmaster, *postmaster.children(recursive=True)]
        for victim in victims:
            with suppress(psutil.NoSuchProcess):
                victim.kill()
        psutil.wait_procs(victims, timeout=10)

    def new_database(self) -> str:
        """Make an empty database and return its URL."""
        name = f"ledger_{next(self._numbers)}"
        self._as_user("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", _USER, name)
        return f"postgresql+psycopg://{_USER}:secret@127.0.0.1:{self.port}/{name}"

    def _pg_ctl(self, *arguments: str) -> None:
        self._as_user("pg_ctl", "-D", f"{self.folder}/data", *arguments)

    def _as_user(self, program: str, *arguments: str) -> None:
        run([*_prefix(), _program(program), *arguments], self.folder)


def run(command: Sequence[str], folder: Path) -> None:
    """Run a program; its output is part of the error if it fails."""
    with (folder.parent / "postgresql-commands.log").open("a+") as output:
        done = subprocess.run(command, stdout=output, stderr=output, cwd="/", check=False)
        if done.returncode:
            output.seek(0)
            msg = f"{' '.join(command)} failed:\n{output.read()[-2_000:]}"
            raise RuntimeError(msg)


def _prefix() -> list[str]:
    return [] if os.getuid() else ["setpriv", f"--reuid={_other_user()}", "--regid=nogroup", "--clear-groups"]


def _other_user() -> str:
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in known)


def _program(name: str) -> str:
    found = sorted(_DEBIAN.glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    program = str(found[-1]) if found else shutil.which(name)
    if program is None:
        msg = "These tests need PostgreSQL: apt-get install postgresql"
        raise RuntimeError(msg)
    return program
