"""A private PostgreSQL server: Debian's package, with a folder and a port of its own."""

import os
import pwd
import shutil
import subprocess
from itertools import count
from pathlib import Path

from devtools.cluster.service import Service
from devtools.errors import StartError
from devtools.supervision.ports import LOOPBACK

USER = "cluster"
_DEBIAN = Path("/usr/lib/postgresql")


class PostgreSQL(Service):
    """A server that keeps its files in `folder` and listens on the loopback only, without passwords.

    `new_database` makes an empty database and returns its URL.
    """

    name = "postgresql"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._numbers = count()
        folder.mkdir(mode=0o755, parents=True)
        if os.getuid() == 0:
            # PostgreSQL refuses to run as root, and needs to reach its folder as another user.
            closed = [above for above in folder.parents if not above.stat().st_mode & 0o001]
            if closed:
                msg = f"PostgreSQL runs as {_other_user()}, who may not pass {closed[0]}. Next: set TMPDIR=/tmp"
                raise StartError(msg)
            shutil.chown(folder, _other_user())
        self._run("initdb", "--auth=trust", f"--username={USER}", "--no-sync", "-D", f"{folder}/data")

    def argv(self) -> tuple[str, ...]:
        """Return the command that runs the server in the foreground."""
        # No socket in the folder: its path may be longer than a socket's can be.
        options = ("-h", LOOPBACK, "-c", "unix_socket_directories=", "-c", "max_connections=300")
        return (*_as_other_user(), _program("postgres"), "-D", f"{self.folder}/data", "-p", str(self.port), *options)

    def is_ready(self) -> bool:
        """Return True when the server answers."""
        asked = [_program("pg_isready"), "--quiet", "-h", LOOPBACK, "-p", str(self.port)]
        return subprocess.run(asked, check=False).returncode == 0

    def new_database(self, name: str = "", driver: str = "psycopg") -> str:
        """Make an empty database and return its URL for SQLAlchemy."""
        name = name or f"database_{next(self._numbers)}"
        self._run("createdb", "-h", LOOPBACK, "-p", str(self.port), "-U", USER, name)
        return self.url(name, driver)

    def url(self, name: str, driver: str) -> str:
        """Return the URL of a database."""
        return f"postgresql+{driver}://{USER}:secret@{LOOPBACK}:{self.port}/{name}"

    def _run(self, program: str, *arguments: str) -> None:
        command = [*_as_other_user(), _program(program), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)
        if done.returncode:
            msg = f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-2_000:]}"
            raise StartError(msg)


def let_others_pass(folder: Path) -> Path:
    """Let other users reach what is in a folder of a test's own, and in those above that belong to root."""
    for each in (folder, *folder.parents):
        if os.getuid() == 0 and each.stat().st_uid == 0 and not each.stat().st_mode & 0o001:
            each.chmod(each.stat().st_mode | 0o011)
    return folder


def _as_other_user() -> tuple[str, ...]:
    if os.getuid():
        return ()
    # Without --pdeathsig the other user's process would outlive a supervisor that is killed.
    return ("setpriv", f"--reuid={_other_user()}", "--regid=nogroup", "--clear-groups", "--pdeathsig=TERM")


def _other_user() -> str:
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in known)


def _program(name: str) -> str:
    found = sorted(_DEBIAN.glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    program = str(found[-1]) if found else shutil.which(name)
    if program is None:
        msg = "PostgreSQL is not installed. Next: sudo apt-get install postgresql"
        raise StartError(msg)
    return program
