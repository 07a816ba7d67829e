"""A web hook on the loopback address that keeps what it is sent."""

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
    """`url` is how Apprise names the hook; `notices` are the JSON bodies that came, in their order."""

    url: str
    notices: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    @contextmanager
    def started(cls) -> Iterator[NoticeReceiver]:
        """Receives while the block runs, on a free port."""
        received: list[dict[str, Any]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield cls(url=f"json://127.0.0.1:{server.server_port}/", notices=received)
        finally:
            server.shutdown()
            server.server_close()

    def connection(self) -> str:
        """The Connection `notify_default` that leads here, in JSON form."""
        return json.dumps({"conn_type": "apprise", "extra": {"config": [{"path": self.url, "tag": ""}]}})
