"""Tests of one real Airflow with a small test DAG, whose owner process is killed at the end."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from devtools.errors import ApiError, HomeInUseError
from devtools.local_airflow.keys import ensure_keys, ensure_password
from devtools.local_airflow.service import LocalAirflow
from devtools.rest_api.client import AirflowApi
from devtools.rest_api.runs import DagRun, TaskInstance
from devtools.supervision import processes
from devtools.supervision.supervised_processes import PACKAGE_ROOT

DAG_ID = "stand_in"
STAND_IN = Path(__file__).parent / "stand_in"
RUN_TIMEOUT_S = 60
OWNER = """
import json, sys, time
from pathlib import Path
from devtools.local_airflow.service import LocalAirflow
home, project = map(Path, sys.argv[1:])
with LocalAirflow(home=home, project=project, port=0, dag_ids=("stand_in",), environment={"GIVEN": "yes"}) as airflow:
    print(json.dumps({"url": airflow.url, "pids": airflow.pids}), flush=True)
    time.sleep(600)
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Owned:
    """A running Airflow, the process that owns it, and its API client."""

    owner: psutil.Process
    home: Path
    pids: dict[str, int]
    api: AirflowApi

    def processes(self) -> list[psutil.Process]:
        supervisor = self.pids["supervisor"]
        return [psutil.Process(supervisor), *processes.descendants(supervisor)]


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Owned]:
    home = tmp_path_factory.mktemp("project") / "a home"
    leaks = {
        "OPENAI_API_KEY": "k",
        "DD_COHORT": "c",
        "AIRFLOW__CORE__EXECUTOR": "nonsense",
        "AIRFLOW_HOME": "/nowhere",
    }
    argv = [sys.executable, "-c", OWNER, str(home), str(STAND_IN)]
    with subprocess.Popen(argv, cwd=PACKAGE_ROOT, env=os.environ | leaks, stdout=subprocess.PIPE, text=True) as owner:
        try:
            assert owner.stdout is not None
            started: dict[str, Any] = json.loads(owner.stdout.readline())
            api = AirflowApi(started["url"], user="admin", password=ensure_password(home))
            yield Owned(owner=psutil.Process(owner.pid), home=home, pids=started["pids"], api=api)
        finally:
            owner.kill()


def test_a_run_succeeds(airflow: Owned) -> None:
    """A triggered run succeeds, its changes are reported, and its results and log can be read."""
    states: list[str | None] = []

    def note_states(_run: DagRun, tasks: list[TaskInstance]) -> None:
        states.extend(task.state for task in tasks if task.task_id == "look")

    run_id = airflow.api.trigger(DAG_ID)
    assert airflow.api.wait(DAG_ID, run_id, RUN_TIMEOUT_S, note_states) == "success"
    assert states[-1] == "success"
    assert airflow.api.xcom(DAG_ID, run_id, "look") == {"leaked": [], "given": "yes"}
    assert [airflow.api.xcom(DAG_ID, run_id, "each", index) for index in range(3)] == [3, 4, 5]
    assert "a word from the task" in airflow.api.task_log(DAG_ID, run_id, "look")


def test_a_cleared_instance_runs_again(airflow: Owned) -> None:
    """Clearing one mapped instance of a finished run gives this instance a second try, and the others none."""
    run_id = airflow.api.trigger(DAG_ID)
    airflow.api.wait(DAG_ID, run_id, RUN_TIMEOUT_S)
    assert len(airflow.api.clear_tasks(DAG_ID, run_id, [("each", 1)])) == 1
    assert airflow.api.wait(DAG_ID, run_id, RUN_TIMEOUT_S) == "success"
    tries = {task.map_index: task.try_number for task in airflow.api.task_instances(DAG_ID, run_id)}
    assert tries == {-1: 1, 0: 1, 1: 2, 2: 1}


def test_a_bad_conf_is_refused_with_airflows_message(airflow: Owned) -> None:
    """A conf that a param's schema does not allow starts no run."""
    with pytest.raises(ApiError, match="Invalid input for param seconds: -1 is less than the minimum of 0"):
        airflow.api.trigger(DAG_ID, {"seconds": -1})


def test_nothing_listens_beyond_this_machine(airflow: Owned) -> None:
    """The api-server has the only listening socket of all processes, on 127.0.0.1."""
    sockets = [connection for process in airflow.processes() for connection in process.net_connections(kind="inet")]
    listening = [connection.laddr for connection in sockets if connection.status == psutil.CONN_LISTEN]
    assert [f"http://{address.ip}:{address.port}" for address in listening] == [airflow.api.url]


def test_secrets_stay_in_their_files(airflow: Owned) -> None:
    """Only the owner can read the keys and the password, and no log file contains a key or the password."""
    files = [airflow.home / "keys.json", airflow.home / "passwords.json"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    keys = ensure_keys(airflow.home)
    secrets = [keys.fernet_key, keys.api_secret_key, keys.jwt_secret, ensure_password(airflow.home)]
    logs = [path.read_text(errors="replace") for path in airflow.home.rglob("*.log")]
    assert logs
    assert not any(secret in log for secret in secrets for log in logs)


def test_a_home_in_use_is_refused(airflow: Owned) -> None:
    """A second Airflow in the same home is refused with a sentence that names the process of the first."""
    with pytest.raises(HomeInUseError, match=f"in use by process {airflow.owner.pid}"):
        LocalAirflow(home=airflow.home, project=STAND_IN, port=0).start()


def test_a_killed_owner_leaves_nothing(airflow: Owned) -> None:
    """After SIGKILL of the owner every process ends by itself, including a task at work."""
    run_id = airflow.api.trigger(DAG_ID, {"seconds": 300})
    deadline = time.monotonic() + RUN_TIMEOUT_S
    while not any(task.state == "running" for task in airflow.api.task_instances(DAG_ID, run_id)):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    running = airflow.processes()
    assert len(running) > 5
    airflow.owner.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while left := [process for process in running if processes.is_alive(process)]:
        assert time.monotonic() < deadline, f"still there: {left}"
        time.sleep(0.1)
