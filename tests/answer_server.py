"""An HTTP server for tests that answers with prepared statuses, headers, JSON values and plain texts."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """A prepared answer, sent after `delay_s` seconds; `{n}` in the body is replaced by the request's number."""

    body: object
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    delay_s: float = 0.0

    def content(self, number: int) -> bytes:
        """Return the body as bytes: a text unchanged, any other value as JSON."""
        text = self.body if isinstance(self.body, str) else json.dumps(self.body)
        return text.replace("{n}", str(number)).encode()


@dataclass(kw_only=True)
class AnswerServer:
    """A server that sends `answers` in order and repeats the last answer.

    `asked` holds the requests' bodies, and `received` everything that was sent: the headers and the body as text.
    `by_essay` maps essay numbers to answers; a request about such an essay gets its answer, whatever its turn is.
    `arrived` holds the times at which the requests arrived, from the monotonic clock.
    """

    answers: Sequence[Answer]
    by_essay: Mapping[int, Answer] = field(default_factory=dict)
    base_url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    received: list[str] = field(default_factory=list)
    arrived: list[float] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def serving(self) -> Iterator[AnswerServer]:
        """Serve on a free port of this machine until the block ends."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        server.daemon_threads = True
        self.base_url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()

    def next_answer(self, body: dict[str, Any]) -> tuple[Answer, int]:
        """Return the answer to a request, and the request's number, counted from 1."""
        with self._lock:
            self.asked.append(body)
            self.arrived.append(time.monotonic())
            number = len(self.asked)
        prompt = str(body["messages"][-1]["content"])
        for essay, answer in self.by_essay.items():
            if f"Essay number {essay}." in prompt:
                return answer, number
        return self.answers[min(number, len(self.answers)) - 1], number

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"]))
                server.received.append(f"{self.path}\n{self.headers}{content.decode()}")
                body = json.loads(content)
                answer, number = server.next_answer(body)
                time.sleep(answer.delay_s)
                content = answer.content(number)
                try:
                    self.send_response(answer.status)
                    for name, value in {"Content-Type": answer.content_type, **answer.headers}.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)
                except ConnectionError:
                    return  # the client has closed the connection

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Write no log line, so that the test's output stays readable."""

        return Handler
