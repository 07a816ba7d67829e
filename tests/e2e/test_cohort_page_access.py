"""Tests of access to the pages with roles; with Airflow's simple auth manager each role reads all DAGs."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PlayedDag
from tests.judge_server import JudgeServer
from tests.store_builder import StoreBuilder

PROJECT = Path(__file__).resolve().parents[2]
PYTHON = PROJECT / ".venv-fab" / "bin" / "python"
BASE = "/team/airflow"
PATHS = [
    "/cohorts/",
    "/cohorts/c/main",
    "/cohorts/c/main/progress",
    "/cohorts/c/main/cell?essay=e_essay1&template=novelty&model=judge-a",
    "/cohorts/c/main/scores",
    "/cohorts/c/main/scores.csv",
    "/cohorts/c/main/scores.jsonl",
    "/cohorts/evaluation/v_any",
    "/cohorts/compare",
    "/cohorts/plan",
    "/cohorts/plan/essays?text=essay",
    "/cohorts/static/cohorts.css",
    "/cohorts/no/such/page",
    "/cohorts/?dag_id=other",
    "/cohorts/c/main?dag_id=other",
]

Answers = dict[str, dict[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory, session_judge_server: JudgeServer) -> Answers:
    """Return the answers to each user by path; the user "" has no login."""
    folder = tmp_path_factory.mktemp("roles")
    store = StoreBuilder.sample(folder / "data")
    session_judge_server.faults()
    dag = PlayedDag(root=store.root, base_url=session_judge_server.base_url)
    dag.run({"cohort_id": "main", "essay_ids": [store.essay(1)]})
    command = [str(PYTHON), "-m", "tests.e2e.airflow_with_roles", str(folder / "airflow"), str(store.root), *PATHS]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: Answers = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("path", PATHS)
def test_without_a_login_no_page_is_shown(answers: Answers, path: str) -> None:
    """Without a login a program gets 401, and a browser is sent to the login page."""
    answer = answers[""]
    assert answer[f"application/json {path}"]["status"] == 401
    browser = answer[f"text/html {path}"]
    assert browser["status"] == 307
    assert re.match(rf".*{BASE}/auth/login", browser["location"])
    assert "main" not in browser["text"]


@pytest.mark.parametrize("user", ["nobody", "elsewhere"], ids=["without-a-right", "with-the-right-to-another-dag"])
@pytest.mark.parametrize("path", PATHS)
def test_without_the_right_to_read_the_dag_no_page_is_shown(answers: Answers, user: str, path: str) -> None:
    """Without the right to read the DAG every page is refused, whatever DAG the address names."""
    for accept in ("application/json", "text/html"):
        answer = answers[user][f"{accept} {path}"]
        assert answer["status"] == 403
        assert "e_essay1" not in answer["text"]


@pytest.mark.parametrize("path", [path for path in PATHS if "any" not in path and "no/such" not in path])
def test_a_reader_sees_every_page_and_its_links_hold_under_a_path(answers: Answers, path: str) -> None:
    """If `[api] base_url` has a path, each address in a page begins with this path."""
    answer = answers["reader"][f"text/html {path}"]
    assert answer["status"] == 200
    addresses = re.findall(r'(?:href|src|action)="(/[^"]*)"', answer["text"])
    assert all(address.startswith(f"{BASE}/") for address in addresses)
