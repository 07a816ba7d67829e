"""Who may start a run from the plan page: a real browser, and an Airflow whose users have roles."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.airflow_with_roles import PASSWORD, login
from tests.e2e.browser import Visitor, chromium
from tests.e2e.conftest import DAG_ID, PROJECT
from tests.store_builder import StoreBuilder

PYTHON = PROJECT / ".venv-fab" / "bin" / "python"

# The login page of the FAB provider 3.10.2 has this error in its own script.
ERROR_OF_THE_LOGIN_PAGE = "Cannot read properties of undefined (reading 'tz')"


@dataclass(frozen=True, kw_only=True)
class Account:
    """A user of the Airflow with roles."""

    url: str
    user: str
    password: str = PASSWORD

    def runs(self, cohort_id: str) -> list[dict[str, Any]]:
        """Return the DagRuns of a cohort, read through the REST API with the rights of this user."""
        with httpx.Client(trust_env=False, timeout=30) as http:
            headers = login(http, self.url, self.user)
            answer = http.get(f"{self.url}/api/v2/dags/{DAG_ID}/dagRuns", headers=headers)
            runs = answer.raise_for_status().json()["dag_runs"]
        return [run for run in runs if run["conf"].get("cohort_id") == cohort_id]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start the Airflow with roles over a store with one essay, and return its address."""
    folder: Path = tmp_path_factory.mktemp("rights")
    store = StoreBuilder.sample(folder / "data")
    store.essay(1)
    command = [str(PYTHON), "-m", "tests.e2e.airflow_with_roles", str(folder / "airflow"), str(store.root)]
    log = (folder / "airflow.log").open("wb")
    with (
        log,
        subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        address = process.stdout.readline().decode().strip()
        assert address, (folder / "airflow.log").read_text()[-3000:]
        yield address
        process.stdin.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start one browser for this file."""
    with chromium() as running:
        yield running


def _plan(cohort_id: str) -> str:
    return f"plan?show=1&cohort_id={cohort_id}&essay_ids=e_essay1&templates=novelty&replicates=2&max_concurrency=4"


def test_a_started_run_has_the_shown_conf_and_the_viewer_s_name(browser: Browser, url: str) -> None:
    """The button starts one run, as the viewer, with the conf of the page; a reload shows it and starts no other."""
    account = Account(url=url, user="starter")
    visitor = Visitor.logged_in(browser, account)
    page = visitor.see(_plan("by_starter"))
    shown = json.loads(page.locator("[data-copied]").first.inner_text())
    button = page.get_by_role("button", name="Run this (4 calls, cost unknown)")
    button.dblclick()
    expect(page.get_by_text("Started: plan__by_starter__")).to_contain_text("queued")
    expect(button).to_be_disabled()
    page.reload(wait_until="networkidle")
    expect(page.get_by_text("A run of this cohort is under way: plan__by_starter__")).to_be_visible()
    expect(button).to_be_disabled()
    (run,) = account.runs("by_starter")
    assert run["conf"] == shown
    assert shown["essay_ids"] == ["e_essay1"]
    assert (run["triggering_user_name"], run["triggered_by"], run["state"]) == ("starter", "ui", "queued")
    assert run["note"] == "Cohort by_starter, from the page Plan: 4 calls, cost unknown, 0 reused."
    link = page.get_by_role("link", name=run["dag_run_id"])
    assert link.get_attribute("href") == f"/team/airflow/dags/{DAG_ID}/runs/{run['dag_run_id']}"
    visitor.leave()
    assert set(visitor.errors) <= {ERROR_OF_THE_LOGIN_PAGE}


def test_without_the_right_to_trigger_no_run_is_started(browser: Browser, url: str) -> None:
    """A viewer who may read the DAG but not trigger it reads why nothing was started, and there is no run."""
    account = Account(url=url, user="reader")
    visitor = Visitor.logged_in(browser, account)
    page = visitor.see(_plan("by_reader"))
    button = page.get_by_role("button", name="Run this")
    button.click()
    expect(page.get_by_text(f"You may not trigger the DAG {DAG_ID}, so nothing was started.")).to_be_visible()
    visitor.picture("plan_forbidden")
    assert account.runs("by_reader") == []
    visitor.leave()
    assert set(visitor.errors) <= {ERROR_OF_THE_LOGIN_PAGE}


def test_after_the_end_of_a_session_no_run_is_started(browser: Browser, url: str) -> None:
    """A viewer whose session is over gets a link that leads to the login and back to the plan."""
    account = Account(url=url, user="starter")
    visitor = Visitor.logged_in(browser, account)
    page = visitor.see(_plan("logged_out"))
    page.context.clear_cookies()
    page.get_by_role("button", name="Run this").click()
    expect(page.get_by_text("Your session is over, so nothing was started.")).to_be_visible()
    page.get_by_role("link", name="Log in again").click()
    page.fill("input[name=username]", account.user)
    page.fill("input[name=password]", account.password)
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Run this")).to_be_enabled()
    assert account.runs("logged_out") == []
    visitor.leave()
    assert set(visitor.errors) <= {ERROR_OF_THE_LOGIN_PAGE}
