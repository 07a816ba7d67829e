"""A real LiteLLM proxy on this machine, in the environment of requirements-litellm.txt."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from devtools.supervision.environment import clean_environment
from devtools.supervision.ports import LOOPBACK, free_port

PROJECT = Path(__file__).resolve().parents[2]
LITELLM = PROJECT / ".venv-litellm" / "bin" / "litellm"
KEY = "sk-of-the-proxy-0123456789"
UPSTREAM_KEY = "sk-of-the-server-behind-9876543210"
_TIMEOUT_S = 120.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Proxy:
    """A running proxy: `mocked` answers with a prepared text, `forwarded` asks the server behind the proxy."""

    base_url: str

    def connection(self, key: str = KEY, **extra: float) -> str:
        """Return the Connection in JSON form, with waits too short to notice."""
        quick = {"max_attempts": 2, "first_wait_s": 0.001, "longest_wait_s": 0.002, **extra}
        return json.dumps({"conn_type": "openai", "host": self.base_url, "password": key, "extra": quick})


@contextmanager
def started_proxy(folder: Path, upstream_url: str) -> Iterator[Proxy]:
    """Start a proxy with its config and its log in `folder`, and end it when the block ends."""
    assert LITELLM.exists(), f"{LITELLM} is missing. Next: make test-litellm"
    port = free_port()
    # JSON is YAML, too.
    (folder / "config.yaml").write_text(json.dumps(_config(upstream_url)), "utf-8")
    command = [
        str(LITELLM),
        "--config",
        "config.yaml",
        "--host",
        LOOPBACK,
        "--port",
        str(port),
        "--telemetry",
        "False",
    ]
    environment = clean_environment(os.environ, python_path=folder) | {
        # Without this the proxy asks another host for today's prices when it starts.
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "NO_PROXY": LOOPBACK,
    }
    log = folder / "proxy.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output) as process,
    ):
        try:
            _wait_until_ready(f"http://{LOOPBACK}:{port}", process, log)
            yield Proxy(base_url=f"http://{LOOPBACK}:{port}/v1")
        finally:
            process.kill()


def _config(upstream_url: str) -> dict[str, Any]:
    mocked = {"model": "openai/mocked", "api_key": UPSTREAM_KEY, "mock_response": "Because.\nSCORE: 7"}
    forwarded = {"model": "openai/behind", "api_key": UPSTREAM_KEY, "api_base": upstream_url, "max_retries": 0}
    return {
        "model_list": [
            {"model_name": "mocked", "litellm_params": mocked},
            {"model_name": "forwarded", "litellm_params": forwarded},
        ],
        "general_settings": {"master_key": KEY},
        # A failed request must reach the caller as it is, and must not change the answer to the next one.
        "router_settings": {"num_retries": 0, "disable_cooldowns": True},
        "litellm_settings": {"num_retries": 0},
    }


def _wait_until_ready(root: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _TIMEOUT_S
    with httpx.Client(base_url=root, trust_env=False, timeout=5.0) as http:
        while process.poll() is None and time.monotonic() < end:
            try:
                if http.get("/health/liveliness").is_success:
                    return
            except httpx.TransportError:
                time.sleep(0.2)
    msg = f"the proxy did not start (exit status {process.poll()}): {log.read_text('utf-8', 'replace')[-2000:]}"
    raise RuntimeError(msg)
