"""Tests of three ways to install the package in an existing Airflow: its folders, a DAG bundle, or a wheel.

Airflow runs in the environment of requirements-fab.txt, which has the dependencies of the packages but not the
packages themselves.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from devtools.local_airflow.service import LocalAirflow
from tests.judge_server import JudgeServer
from tests.store_builder import StoreBuilder

PROJECT = Path(__file__).resolve().parents[2]
PYTHON = PROJECT / ".venv-fab" / "bin" / "python"
DAG_ID = "evaluation_backfill"
DAG_FILE = """from essay_cohorts_airflow.dags.evaluation_backfill import evaluation_backfill

evaluation_backfill()  # a DAG of Airflow
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the package from the files of the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(PROJECT)]
    subprocess.run(command, check=True, timeout=120)
    return next(folder.glob("*.whl"))


def copied(project: Path, *folders: str) -> Path:
    """Copy some folders of the checkout."""
    for folder in folders:
        shutil.copytree(PROJECT / folder, project / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return project


Way = Callable[[Path, Path], dict[str, str]]


def as_folders(project: Path, wheel: Path) -> dict[str, str]:
    """Install dags/ and plugins/ of a checkout, without a PYTHONPATH to the packages."""
    copied(project, "dags", "plugins", "include")
    return {}


def as_bundle(project: Path, wheel: Path) -> dict[str, str]:
    """Install a bundle whose DAG files import the packages next to it; Airflow's own folders are empty."""
    bundle = copied(project / "bundle", "dags", "include") / "dags"
    (project / "dags").mkdir()
    (project / "plugins").mkdir()
    local = {"name": "essays", "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle"}
    bundles = [{**local, "kwargs": {"path": str(bundle)}}]
    return {"AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles)}


def as_package(project: Path, wheel: Path) -> dict[str, str]:
    """Install the wheel, and one DAG file of three lines in a subfolder of the dags folder."""
    installed = project / "site-packages"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    (project / "plugins").mkdir()
    (project / "dags" / "team").mkdir(parents=True)
    (project / "dags" / "team" / "essays.py").write_text(DAG_FILE)
    return {"PYTHONPATH": str(installed)}


@pytest.mark.parametrize(
    ("way", "has_page"),
    [
        pytest.param(as_folders, True, id="folders of a checkout"),
        pytest.param(as_bundle, False, id="a DAG bundle"),
        pytest.param(as_package, True, id="an installed package"),
    ],
)
def test_a_way_in_judges_once_and_shows_the_page(tmp_path: Path, wheel: Path, way: Way, has_page: bool) -> None:
    """A run scores what is missing, and the page exists except with a bundle, which has no plugin."""
    project = tmp_path / "project"
    project.mkdir()
    store = StoreBuilder.sample(tmp_path / "data", replicates=1)
    with JudgeServer.started(tmp_path) as judge:
        connection = {"conn_type": "openai", "host": judge.base_url, "password": "sk-of-the-test"}
        given = {
            "DD_DATA_ROOT": str(store.root),
            "AIRFLOW_CONN_LLM_DEFAULT": json.dumps(connection),
            **way(project, wheel),
        }
        essay = store.essay(1)
        home = tmp_path / "airflow"
        with LocalAirflow(
            home=home, project=project, environment=given, port=0, dag_ids=[DAG_ID], python=str(PYTHON)
        ) as airflow:
            run_id = airflow.api.trigger(DAG_ID, {"cohort_id": "c", "essay_ids": [essay], "templates": ["novelty"]})
            assert airflow.api.wait(DAG_ID, run_id, timeout_s=150) == "success"
            page = httpx.get(f"{airflow.url}/cohorts/", headers={"Accept": "application/json"}, trust_env=False)
        assert judge.calls() == 2
    assert store.read("cohorts/c/scores.csv").count(",scored,") == 2
    # The plugin's page answers 401 without a login. Without the plugin, Airflow answers with a page of its own.
    assert (page.status_code == 401) is has_page
