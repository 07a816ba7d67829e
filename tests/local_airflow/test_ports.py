"""The choice of a port."""

import socket

from devtools.supervision.ports import free_port


def test_a_free_preferred_port_is_used() -> None:
    """A preferred port that is free is returned."""
    port = free_port()
    assert free_port(port) == port


def test_a_port_in_use_is_replaced() -> None:
    """When another server listens on the preferred port, another free port is returned."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        preferred = taken.getsockname()[1]
        assert free_port(preferred) not in (0, preferred)
