"""Free ports of 127.0.0.1."""

import os
import socket

from devtools.errors import PortError

LOOPBACK = "127.0.0.1"


def free_port(preferred: int = 0) -> int:
    """Return `preferred` when the port is free, else any free port; 0 means any free port."""
    if preferred and not _bind_error(preferred):
        return preferred
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def check_port(port: int) -> None:
    """Return when a server can listen on the port.

    Raises:
        PortError: another server listens on the port, or the system does not let this user have it.
    """
    if reason := _bind_error(port):
        next_step = "End the program that uses it, name another port, or name none for any free port."
        msg = f"Port {port} of {LOOPBACK} cannot be used: {reason}. {next_step}"
        raise PortError(msg)


def _bind_error(port: int) -> str:
    """Return why no server can listen on the port; "" when one can."""
    with socket.socket() as probe:
        # A server binds with this option, too: a port whose last connections are in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            return os.strerror(error.errno) if error.errno else str(error)
        return ""
