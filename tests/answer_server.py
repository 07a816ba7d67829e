"""A server of the tests that answers with what it is told, over real HTTP: statuses, headers, JSON and bare texts."""

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
    """One answer; `{n}` in its body becomes the request's number. It is sent after `delay_s` seconds."""

    body: object
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    delay_s: float = 0.0

    def content(self, number: int) -> bytes:
        """The body as bytes: a text as it is, all else as JSON."""
        text = self.body if isinstance(self.body, str) else json.dumps(self.body)
        return text.replace("{n}", str(number)).encode()


@dataclass(kw_only=True)
class AnswerServer:
    """Answers one request after another from `answers`; the last one repeats. `asked` are the bodies of requests.

    `by_essay` has answers for essays by their number, whenever they are asked for.
    """

    answers: Sequence[Answer]
    by_essay: Mapping[int, Answer] = field(default_factory=dict)
    base_url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    arrived: list[float] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def serving(self) -> Iterator[AnswerServer]:
        """The server on a free port of this machine; it ends with the block."""
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
        """The answer to a request, and the request's number from 1."""
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
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
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
                    return  # the client gave up waiting

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Says nothing."""

        return Handler
