"""A web hook on the loopback address that keeps the notices it receives."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(kw_only=True)
class NoticeReceiver:
    """A running web hook: `url` is its address for Apprise, and `notices` holds the JSON bodies in order."""

    url: str
    notices: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    @contextmanager
    def started(cls) -> Iterator[NoticeReceiver]:
        """Receive notices on a free port until the block ends."""
        received: list[dict[str, Any]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Write no log line, so that the test's output stays readable."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield cls(url=f"json://127.0.0.1:{server.server_port}/", notices=received)
        finally:
            server.shutdown()
            server.server_close()

    def connection(self) -> str:
        """Return the Connection `notify_default` for this hook, as JSON."""
        return json.dumps({"conn_type": "apprise", "extra": {"config": [{"path": self.url, "tag": ""}]}})
