"""The choice of a port."""

import socket

from devtools.supervision.ports import free_port


def test_the_preferred_port_is_taken_when_nobody_listens_on_it() -> None:
    """A free port that was asked for is the answer."""
    port = free_port()
    assert free_port(port) == port


def test_a_port_in_use_is_replaced() -> None:
    """When somebody listens on the preferred port, another one that is free is the answer."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        preferred = taken.getsockname()[1]
        assert free_port(preferred) not in (0, preferred)
