"""Starts the offline judge in its own process and sends requests to it as any client would."""

import contextlib
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import httpx

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "devtools.offline_judge"]
KEY = "sk-a-key-that-must-not-be-kept"
PATIENCE_S = 30.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    """A started judge: its process, the line it printed, and a client whose paths start at the server's root."""

    process: subprocess.Popen[str]
    line: str
    http: httpx.Client

    def ask(
        self, prompt: str = "An essay.", *, model: str = "m", timeout: float = PATIENCE_S, **more: Any
    ) -> httpx.Response:
        body = {"model": model, "messages": [{"role": "user", "content": prompt}], **more}
        return self.http.post("/v1/chat/completions", json=body, timeout=timeout)

    def read(self, path: str) -> Any:
        return self.http.get(path).raise_for_status().json()

    def set_faults(self, *rules: dict[str, Any]) -> None:
        self.http.put("/faults", json=list(rules)).raise_for_status()


@contextlib.contextmanager
def started(*options: str, stderr: IO[str] | None = None) -> Iterator[Running]:
    command = [*COMMAND, *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=stderr, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            url = line.split()[-1].removesuffix("/v1")
            headers = {"Authorization": f"Bearer {KEY}"}
            with httpx.Client(base_url=url, headers=headers, timeout=PATIENCE_S, trust_env=False) as http:
                yield Running(process=process, line=line, http=http)
        finally:
            process.kill()


def content(reply: httpx.Response) -> str:
    text: str = reply.raise_for_status().json()["choices"][0]["message"]["content"]
    return text


def score(reply: httpx.Response) -> float:
    found = re.fullmatch(r"SCORE: (\d\.\d)", content(reply).splitlines()[-1])
    assert found, content(reply)
    return float(found[1])


def wait_until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


@contextlib.contextmanager
def waiting(judge: Running, count: int) -> Iterator[list[socket.socket]]:
    """Keep `count` requests in flight, each on its own connection, and close the connections at the end."""
    body = b'{"model": "m", "messages": [{"role": "user", "content": "x"}]}'
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: judge\r\nAuthorization: Bearer k\r\nContent-Length: {len(body)}"
    )
    url = judge.http.base_url
    with contextlib.ExitStack() as stack:
        clients = [
            stack.enter_context(socket.create_connection((url.host, url.port or 80), timeout=PATIENCE_S))
            for _ in range(count)
        ]
        for client in clients:
            client.sendall(head.encode() + b"\r\n\r\n" + body)
        wait_until(lambda: judge.read("/stats")["in_flight"] == count)
        yield clients
