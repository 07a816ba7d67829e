"""The offline judge in its own process, for tests that call an LLM's API over real HTTP."""

from __future__ import annotations

import ctypes
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

PROJECT = Path(__file__).resolve().parents[1]
_TIMEOUT_S = 30.0
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgeServer:
    """A running offline judge. Clients use `base_url`; the methods set its fault rules and read its counts."""

    base_url: str
    process: subprocess.Popen[bytes]
    http: httpx.Client

    @classmethod
    @contextmanager
    def started(cls, folder: Path, *options: str) -> Iterator[JudgeServer]:
        """Start a judge on a free port, with its port file in `folder`, and kill it when the block ends."""
        port_file = folder / "judge.port"
        port_file.unlink(missing_ok=True)
        command = [sys.executable, "-m", "devtools.offline_judge", "--port-file", str(port_file), *options]
        with subprocess.Popen(
            command, cwd=PROJECT, stdout=subprocess.DEVNULL, preexec_fn=_die_with_parent
        ) as process:
            try:
                root = f"http://127.0.0.1:{_wait_for_port(port_file, process)}"
                with httpx.Client(base_url=root, trust_env=False, timeout=_TIMEOUT_S) as http:
                    yield cls(base_url=f"{root}/v1", process=process, http=http)
            finally:
                process.kill()

    def faults(self, *rules: dict[str, Any]) -> None:
        """Replace the server's fault rules; without arguments the server makes no faults."""
        # json.dumps escapes lone surrogates, which UTF-8 cannot hold; httpx's own encoder would raise an error.
        self.http.put("/faults", content=json.dumps(rules)).raise_for_status()

    def stats(self) -> dict[str, Any]:
        """Return the server's counts: requests, replies, in_flight, peak_in_flight, by_status."""
        counts: dict[str, Any] = self.http.get("/stats").raise_for_status().json()
        return counts

    def requests(self) -> list[dict[str, Any]]:
        """Return the requests that the server received, in order of arrival."""
        records: list[dict[str, Any]] = self.http.get("/requests").raise_for_status().json()
        return records

    def reset(self) -> None:
        """Delete the recorded requests, the counts and the fault rules."""
        self.faults()
        self.http.delete("/requests").raise_for_status()

    def calls(self) -> int:
        """Return the number of requests since the last reset."""
        return int(self.stats()["requests"])

    def tally(self) -> Counter[tuple[str, str, str]]:
        """Count the requests by (essay number, template, model sent), read from prompts that `StoreBuilder` made."""
        return Counter(
            (
                record["prompt"].split("Essay number ", 1)[1].split(".", 1)[0],
                record["prompt"].removeprefix("Judge ").split(".", 1)[0],
                record["model"],
            )
            for record in self.requests()
        )


def _die_with_parent() -> None:
    # A killed pytest runs no `finally`, so the kernel must kill the server.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _wait_for_port(port_file: Path, process: subprocess.Popen[bytes]) -> int:
    end = time.monotonic() + _TIMEOUT_S
    while not port_file.exists():
        if process.poll() is not None or time.monotonic() > end:
            msg = f"the offline judge did not start (exit status {process.poll()})"
            raise RuntimeError(msg)
        time.sleep(0.02)
    return int(port_file.read_text(encoding="ascii"))
