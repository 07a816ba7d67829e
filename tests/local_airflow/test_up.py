"""`make up`: its port, its data root with the offline judge, and one real start."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from devtools.errors import DataRootError, PortError
from devtools.local_airflow.__main__ import main
from devtools.local_airflow.up import check_accepts_made_up, up
from devtools.local_airflow.user_settings import LLM_VARIABLE, read_user_settings
from devtools.rest_api.client import AirflowApi
from devtools.supervision.ports import free_port
from essay_cohorts.provenance import OFFLINE_OK
from tests.e2e.browser import chromium

PROJECT = Path(__file__).resolve().parents[2]
DAG_ID = "evaluation_backfill"
TIMEOUT_S = 120


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project folder with the code of this one and a copy of its sample data."""
    project = tmp_path / "project"
    project.mkdir()
    for name in ("dags", "plugins", "devtools", "include"):
        (project / name).symlink_to(PROJECT / name)
    shutil.copytree(PROJECT / "data", project / "data", ignore=shutil.ignore_patterns("cohorts", "7_*", ".*"))
    return project


@pytest.fixture
def port_in_use() -> Iterator[int]:
    """Return a port on which another server listens."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield int(other.getsockname()[1])


def test_a_named_port_in_use_is_an_error(project: Path, port_in_use: int, capsys: pytest.CaptureFixture[str]) -> None:
    """A port that the user named is not replaced: the message says why it cannot be used, and nothing starts."""
    with pytest.raises(
        PortError, match=rf"^Port {port_in_use} of 127\.0\.0\.1 cannot be used: Address already in use"
    ):
        up(project, offline=False, port=port_in_use)
    assert main(["--project", str(project), "up", "--port", str(port_in_use)]) == 1
    assert "name another port" in capsys.readouterr().err
    assert not (project / ".airflow").exists()


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http"])
def test_a_port_is_a_number_from_1_to_65535(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Another value than a port is refused with the range of ports."""
    with pytest.raises(SystemExit):
        main(["up", f"--port={port}"])
    assert f"'{port}' is not a port. Name a number from 1 to 65535." in capsys.readouterr().err


def test_the_offline_judge_needs_a_data_root_for_practice(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A data root of real work is refused before anything starts, and no command makes it accept made-up scores."""
    real = tmp_path / "real"
    (real / "1_raw").mkdir(parents=True)
    monkeypatch.setenv("DD_DATA_ROOT", str(real))
    with pytest.raises(DataRootError, match=f"{real}: it has no {OFFLINE_OK}, so made-up scores do not count"):
        up(project, offline=True, port=None)
    assert [path.name for path in real.rglob("*")] == ["1_raw"]
    assert not (project / ".airflow").exists()


def test_a_missing_data_root_is_named() -> None:
    """The message about a data root that is missing does not speak of its files."""
    with pytest.raises(DataRootError, match=r"data root /nowhere: it is missing\. Nothing was started"):
        check_accepts_made_up(Path("/nowhere"))


def test_the_offline_judge_is_the_only_one_that_is_asked(tmp_path: Path) -> None:
    """With the offline judge no Connection of the user is passed on, and all other settings are."""
    given = {LLM_VARIABLE: "real", "AIRFLOW_CONN_VLLM": "real", "DD_COHORT": "c"}
    settings = read_user_settings(tmp_path, given).with_offline_judge("made up", "http://127.0.0.1:1/v1")
    assert settings.environment == {LLM_VARIABLE: "made up", "DD_COHORT": "c"}
    assert settings.llm_source is not None
    assert settings.llm_source.endswith("at http://127.0.0.1:1/v1, which is not a model: its scores are made up")


def test_it_runs_with_the_offline_judge_until_it_is_stopped(project: Path) -> None:
    """The welcome's address leads to the page after the login, a run gets scores, and Ctrl-C ends every process."""
    port = free_port()
    command = [sys.executable, "-m", "devtools.local_airflow", "--project", str(project)]
    command += ["up", "--judge", "offline", "--port", str(port)]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            welcome = "".join(iter(running.stdout.readline, "Ctrl-C stops it.\n"))
            started = psutil.Process(running.pid).children(recursive=True)
            password = re.findall(r"password +(\S+)", welcome)[0]
            address = re.findall(r"open Cohorts +(\S+)", welcome)[0]
            assert f"Airflow is ready: http://127.0.0.1:{port}\n" in welcome
            assert "from the offline judge at http://127.0.0.1:" in welcome
            _see_cohorts(address, password)
            api = AirflowApi(f"http://127.0.0.1:{port}", user="admin", password=password)
            conf = {"templates": ["novelty"], "replicates": 1, "include_existing_evaluations": False}
            run_id = api.trigger(DAG_ID, {"cohort_id": "c", **conf})
            assert api.wait(DAG_ID, run_id, TIMEOUT_S) == "success"
            assert api.xcom(DAG_ID, run_id, "summarise_cohort")["called"] == 16
        finally:
            running.send_signal(signal.SIGINT)
            running.wait(timeout=60)
    assert len(started) > 5
    assert psutil.wait_procs(started, timeout=20)[1] == []


def _see_cohorts(address: str, password: str) -> None:
    """Open the address in a browser that is not logged in, log in, and wait for the page in Airflow's frame."""
    with chromium() as browser:
        page = browser.new_page()
        page.goto(address)
        page.fill("input[name=username]", "admin")
        page.fill("input[name=password]", password)
        page.keyboard.press("Enter")
        page.frame_locator("iframe").get_by_role("heading", name="Cohorts", exact=True).wait_for()
        assert page.url.startswith(address)
