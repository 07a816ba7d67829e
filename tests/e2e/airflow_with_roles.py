"""Starts an Airflow whose auth manager has roles, below a base path, and requests every page as each user.

    .venv-fab/bin/python -m tests.e2e.airflow_with_roles HOME DATA_ROOT PATH...

Runs in the environment of requirements-fab.txt. Prints one JSON object with the status, the redirect target and the
text of each answer, by user and path. Without a PATH it knows the DAGs too, prints its address, and serves until its
standard input is closed; it has no scheduler, so a run that is started stays queued.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from devtools.local_airflow.environment import Layout, airflow_environment
from devtools.local_airflow.keys import ensure_keys
from devtools.supervision.ports import LOOPBACK, free_port

PROJECT = Path(__file__).resolve().parents[2]
BASE_PATH = "/team/airflow"
PASSWORD = "only-for-this-test"
# The user `elsewhere` may read another DAG, but not the DAG of these cohorts.
ROLES = {"reader": "Viewer", "nobody": "Public", "elsewhere": "OtherDag", "starter": "User"}
_TIMEOUT_S = 90.0


def main() -> None:
    """Start the Airflow, then request the pages and print the answers, or serve."""
    home, data_root, *paths = sys.argv[1:]
    port = free_port()
    base = f"http://{LOOPBACK}:{port}{BASE_PATH}"
    environment = _environment(Path(home), data_root, port, base)
    _run(environment, "-m", "airflow", "db", "migrate")
    _run(environment, "-c", "from tests.e2e.airflow_with_roles import add_users; add_users()")
    if not paths:
        _run(environment, "-m", "airflow", "dags", "reserialize")
    serve = ["api-server", "--host", LOOPBACK, "--port", str(port), "--workers", "1"]
    server = [sys.executable, "-m", "airflow", *serve]
    log = (Path(home) / "api-server.log").open("wb")
    with log, subprocess.Popen(server, cwd=PROJECT, env=environment, stdout=log, stderr=log) as process:
        try:
            with httpx.Client(trust_env=False, timeout=_TIMEOUT_S) as http:
                _wait(http, base, process)
                sys.stdout.write(f"{json.dumps(_request_all(http, base, paths)) if paths else base}\n")
            if not paths:
                sys.stdout.flush()
                sys.stdin.read()
        finally:
            process.terminate()


def _environment(home: Path, data_root: str, port: int, base: str) -> dict[str, str]:
    given = {
        "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
        "AIRFLOW__API__BASE_URL": base,
        "DD_DATA_ROOT": data_root,
    }
    layout = Layout(home=home, project=PROJECT)
    home.mkdir(parents=True, exist_ok=True)
    keys = ensure_keys(home)
    return airflow_environment(os.environ, given, layout=layout, keys=keys, port=port, schedules=False)


def add_users() -> None:
    """Add the users and their roles. The process must have the environment of this Airflow."""
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

    with get_application_builder() as builder:
        security = builder.sm
        security.sync_roles()
        other = security.add_role("OtherDag")
        security.add_permission_to_role(other, security.create_permission("can_read", "DAG:other"))
        for user, role in ROLES.items():
            address = f"{user}@example.org"
            security.add_user(user, user, user, address, security.find_role(role), password=PASSWORD)


def _run(environment: dict[str, str], *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=PROJECT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        msg = f"{arguments}: {done.stdout[-500:]} {done.stderr[-2000:]}"
        raise RuntimeError(msg)


def _request_all(http: httpx.Client, base: str, paths: list[str]) -> dict[str, dict[str, Any]]:
    answers = {"": _answers(http, base, paths, {})}
    for user in ROLES:
        answers[user] = _answers(http, base, paths, login(http, base, user))
    return answers


def login(http: httpx.Client, base: str, user: str) -> dict[str, str]:
    """Return the headers with which a request is one of this user."""
    answer = http.post(f"{base}/auth/token", json={"username": user, "password": PASSWORD})
    return {"Authorization": f"Bearer {answer.raise_for_status().json()['access_token']}"}


def _wait(http: httpx.Client, base: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(httpx.HTTPError):
            if http.get(f"{base}/api/v2/version").is_success:
                return
        time.sleep(0.3)
    msg = "the API server did not answer: see api-server.log"
    raise RuntimeError(msg)


def _answers(http: httpx.Client, base: str, paths: list[str], headers: dict[str, str]) -> dict[str, Any]:
    answers = {}
    for path in paths:
        for accept in ("text/html", "application/json"):
            answer = http.get(f"{base}{path}", headers={**headers, "Accept": accept})
            answers[f"{accept} {path}"] = {
                "status": answer.status_code,
                "location": answer.headers.get("location", ""),
                "text": answer.text,
            }
    return answers


if __name__ == "__main__":
    main()
