"""Runs a command as if on another machine: with a host name and process ids of its own, where the system permits."""

import subprocess

# Every process of the host ends with the first one. --mount-proc makes /proc show the host's own processes.
_AS_HOST = ("unshare", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc")
_SET_NAME = 'hostname "$0" && exec "$@"'


def own_hosts_permitted() -> bool:
    """Return True when this user may give a command a host name and process ids of its own."""
    try:
        return subprocess.run(on_host("probe", "true"), capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def on_host(name: str, *command: str) -> tuple[str, ...]:
    """Return the command that runs `command` on a host of this name."""
    return (*_AS_HOST, "sh", "-c", _SET_NAME, name, *command)
