"""A private Redis server: Debian's package, with a folder and a port of its own."""

import shutil
import socket
from pathlib import Path

from devtools.cluster.service import Service
from devtools.errors import StartError
from devtools.supervision.ports import LOOPBACK


class Redis(Service):
    """A server that listens on the loopback only, and keeps queued tasks in `folder` over a restart."""

    name = "redis"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        folder.mkdir(mode=0o700, parents=True)

    @property
    def url(self) -> str:
        """The URL for Celery's broker."""
        return f"redis://{LOOPBACK}:{self.port}/0"

    def argv(self) -> tuple[str, ...]:
        """Return the command that runs the server in the foreground."""
        program = shutil.which("redis-server")
        if program is None:
            msg = "Redis is not installed. Next: sudo apt-get install redis-server"
            raise StartError(msg)
        files = ("--dir", str(self.folder), "--appendonly", "yes", "--save", "")
        return (program, "--bind", LOOPBACK, "--port", str(self.port), *files)

    def is_ready(self) -> bool:
        """Return True when the server answers."""
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False
