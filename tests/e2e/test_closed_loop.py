"""Tests of the closed loop with a real scheduler: scores lead to scheduled calls, whose scores are aggregated."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from devtools.local_airflow.environment import airflow_environment
from devtools.local_airflow.keys import ensure_keys
from devtools.local_airflow.service import LocalAirflow
from devtools.rest_api.runs import DagRun
from tests.e2e.browser import Visitor, chromium
from tests.e2e.notice_receiver import NoticeReceiver
from tests.judge_server import JudgeServer
from tests.store_builder import StoreBuilder

PROJECT = Path(__file__).resolve().parents[2]
BACKFILL, SCHEDULED, AGGREGATE = "evaluation_backfill", "scheduled_backfill", "aggregate_scores"
ENDED = ("success", "failed")
AGGREGATED = "7_cross_experiment/aggregated_scores.csv"
PER_ESSAY = 2 * 4
# A test has several waits, each with its own time limit, so the limit of a whole test is high.
pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True)
class Loop:
    """An Airflow that runs DAGs on schedule, with its judge, notice receiver and data root."""

    airflow: LocalAirflow
    judge: JudgeServer
    receiver: NoticeReceiver
    root: Path
    cli_environment: dict[str, str]

    def new_store(self, *essays: int) -> StoreBuilder:
        """Replace the data root by one with these essays, scored by novelty so that higher numbers rank higher."""
        shutil.rmtree(self.root, ignore_errors=True)
        store = StoreBuilder.sample(self.root)
        for number in essays:
            essay = store.essay(number)
            for model in ("judge-a", "judge-b"):
                for replicate in range(1, 5):
                    gen_id = f"base{number}{model[-1]}{replicate}"
                    store.evaluation(gen_id, essay, model=model, replicate=replicate, score=number / 10)
        self.judge.reset()
        self.receiver.notices.clear()
        return store

    def airflow_command(
        self, *arguments: str, timeout_s: float = 240, has_begun: Callable[[], bool] = lambda: False
    ) -> None:
        """Run Airflow's command line, and repeat the command while Airflow says that it has to wait.

        The command writes to the database itself, and SQLite may refuse this while other processes write. A backfill
        that has ended counts as running until the scheduler checks it again. A backfill that SQLite refused halfway
        counts as running for two minutes, because the scheduler gives every backfill this time to get its first run.
        `has_begun` returns True if a refused command has already done enough and must not be repeated.
        """

        def tried() -> subprocess.CompletedProcess[str] | None:
            done = subprocess.run(
                [sys.executable, "-m", "airflow", *arguments],
                cwd=PROJECT,
                env=self.cli_environment,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            waits = ("database is locked", "Another backfill is running")
            return None if any(message in done.stderr for message in waits) and not has_begun() else done

        done = until(tried, timeout_s)
        assert done.returncode == 0 or has_begun(), done.stderr[-2000:]

    def backfill(self, first: str, last: str) -> None:
        self.airflow_command("backfill", "create", "--dag-id", SCHEDULED, "--from-date", first, "--to-date", last)

    def backfill_again(self, first: str, last: str, earliest: DagRun) -> None:
        """Start a backfill over completed runs, and wait until its run `earliest` has started again.

        The command must not be repeated if SQLite refused it late: it has then cleared this run already, and a second
        command would clear the run while it works.
        """
        dates = ["--from-date", first, "--to-date", last, "--reprocess-behavior", "completed"]

        def was_cleared() -> bool:
            run = self.airflow.api.dag_run(SCHEDULED, earliest.run_id)
            return run.state not in ENDED or run.started_at != earliest.started_at

        self.airflow_command("backfill", "create", "--dag-id", SCHEDULED, *dates, has_begun=was_cleared)
        until(lambda: was_cleared() or None, 60)

    def run(self, conf: dict[str, Any]) -> DagRun:
        run_id = self.airflow.api.trigger(BACKFILL, conf)
        self.airflow.api.wait(BACKFILL, run_id, timeout_s=150)
        return self.airflow.api.dag_run(BACKFILL, run_id)

    def runs(self, dag_id: str, prefix: str = "") -> list[DagRun]:
        return [run for run in self.airflow.api.dag_runs(dag_id) if run.run_id.startswith(prefix)]

    def ended(self, dag_id: str, count: int, prefix: str = "", timeout_s: float = 150) -> list[DagRun]:
        """Return the runs of a DAG once there are at least `count` and all have ended."""

        def ended_runs() -> list[DagRun] | None:
            runs = self.runs(dag_id, prefix)
            return runs if len(runs) >= count and all(run.state in ENDED for run in runs) else None

        return until(ended_runs, timeout_s)

    def events(self, asset: str, cohort_id: str) -> list[dict[str, Any]]:
        found = self.airflow.api.asset_events(asset)
        return [event for event in found if event["extra"].get("cohort_id") == cohort_id]

    def members(self, cohort_id: str) -> list[list[str]]:
        """Return the rows of membership.csv without the cohort's name."""
        lines = (self.root / "cohorts" / cohort_id / "membership.csv").read_text("utf-8").splitlines()
        return [[cell for cell in line.split(",") if cell != cohort_id] for line in lines]


Found = TypeVar("Found")


def until(poll: Callable[[], Found | None], timeout_s: float) -> Found:
    """Return the first answer that is not None, or fail after `timeout_s` seconds."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        answer = poll()
        if answer is not None:
            return answer
        time.sleep(0.5)
    msg = f"nothing after {timeout_s:g} s"
    raise AssertionError(msg)


def soon_and_daily() -> str:
    """Return a daily cron expression whose next time is in one or two minutes."""
    return f"{datetime.now(UTC) + timedelta(seconds=110):%M %H} * * *"


@pytest.fixture(scope="module")
def running_loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    """Start the loop once for this module, with the DAGs paused or unpaused as their files say."""
    folder = tmp_path_factory.mktemp("loop")
    root = folder / "data"
    root.mkdir()
    with JudgeServer.started(folder) as judge, NoticeReceiver.started() as receiver:
        extra = {"max_attempts": 2, "first_wait_s": 0.05, "longest_wait_s": 0.1}
        llm = {"conn_type": "openai", "host": judge.base_url, "password": "sk-loop", "extra": extra}
        given = {
            "DD_DATA_ROOT": str(root),
            "AIRFLOW_CONN_LLM_DEFAULT": json.dumps(llm),
            "AIRFLOW_CONN_NOTIFY_DEFAULT": receiver.connection(),
            "DD_SCHEDULE": soon_and_daily(),
            "DD_SCHEDULED_CONF": json.dumps({"target_template": "coherence", "top_n": 2}),
        }
        airflow = LocalAirflow(
            home=folder / "airflow",
            project=PROJECT,
            environment=given,
            port=0,
            dag_ids=[BACKFILL, SCHEDULED, AGGREGATE],
            schedules=True,
            triggerer=True,
        )
        with airflow:
            keys = ensure_keys(airflow.layout.home)
            environment = airflow_environment(
                os.environ, given, layout=airflow.layout, keys=keys, port=airflow.port, schedules=True
            )
            yield Loop(airflow=airflow, judge=judge, receiver=receiver, root=root, cli_environment=dict(environment))


@pytest.fixture
def loop(running_loop: Loop) -> Loop:
    """Return the loop after both scheduled runs have ended; a backfill needs the DAG to be unpaused."""
    running_loop.airflow.api.unpause(SCHEDULED)
    running_loop.ended(SCHEDULED, 2, "scheduled__")
    return running_loop


def test_it_is_paused_at_first(running_loop: Loop) -> None:
    """Until a person unpauses the scheduled DAG, nothing is selected or paid for; the other DAGs are unpaused."""
    paused = {dag["dag_id"]: dag["is_paused"] for dag in running_loop.airflow.api.dags()}
    assert (paused[SCHEDULED], paused[BACKFILL], paused[AGGREGATE]) == (True, False, False)
    assert running_loop.runs(SCHEDULED) == []


def test_on_schedule_what_is_missing_is_judged_once(running_loop: Loop) -> None:
    """The first run selects, triggers and waits, then scores are aggregated; the second finds nothing to call."""
    loop = running_loop
    loop.new_store(1, 2, 3)
    loop.airflow.api.unpause(SCHEDULED)
    first = loop.ended(SCHEDULED, 1, "scheduled__")[0]
    [triggered] = loop.runs(BACKFILL, "by_schedule__")
    assert (first.state, triggered.state) == ("success", "success")
    cohort_id = triggered.conf["cohort_id"]
    assert cohort_id.startswith("scheduled_2")
    assert triggered.conf["essay_ids"] == ["e_essay3", "e_essay2"]
    assert loop.judge.calls() == 2 * PER_ESSAY
    assert f"{2 * PER_ESSAY} planned" in loop.airflow.api.task_log(SCHEDULED, first.run_id, "report")

    def gathered() -> bool | None:
        return (loop.root / AGGREGATED).read_text("utf-8").count(f",{cohort_id},") == 2 * PER_ESSAY or None

    until(gathered, 60)
    loop.judge.reset()
    second = loop.ended(SCHEDULED, 2, "scheduled__")[1]
    assert second.run_id.removeprefix("scheduled__") > first.run_id.removeprefix("scheduled__")
    states = {task.task_id: task.state for task in loop.airflow.api.task_instances(SCHEDULED, second.run_id)}
    assert second.state == "success"
    assert (states["select_missing"], states["trigger_backfill"], states["report"]) == (
        "success",
        "skipped",
        "skipped",
    )
    assert loop.judge.calls() == 0
    assert len(loop.runs(BACKFILL, "by_schedule__")) == 1
    assert not (loop.root / "2_tasks").exists()


def test_a_backfill_over_dates_judges_once_and_a_second_calls_nothing(loop: Loop) -> None:
    """Three concurrent runs work one after the other; a backfill over the same dates makes no calls."""
    loop.new_store(1, 2, 3)
    dates = ("2026-02-01T00:00:00", "2026-02-04T00:00:00")
    loop.backfill(*dates)
    runs = loop.ended(SCHEDULED, 3, "backfill__2026-02-")
    assert [run.state for run in runs] == ["success"] * 3
    assert loop.judge.calls() == 2 * PER_ESSAY
    [triggered] = loop.runs(BACKFILL, "by_schedule__scheduled_202602")
    assert triggered.conf["cohort_id"].startswith("scheduled_20260201T")

    loop.judge.reset()
    loop.backfill(*dates)
    loop.backfill_again(*dates, runs[0])
    again = loop.ended(SCHEDULED, 3, "backfill__2026-02-")
    assert [run.state for run in again] == ["success"] * 3
    assert loop.judge.calls() == 0
    # Each time that the first run was cleared adds a run; a command that SQLite refused may have cleared it too.
    rerun = loop.runs(BACKFILL, "by_schedule__scheduled_202602")
    assert [run.run_id.removeprefix(triggered.run_id) for run in rerun[:2]] == ["", "__2"]
    assert all((run.state, run.conf) == ("success", triggered.conf) for run in rerun)


def test_bad_settings_of_the_schedule_are_reported(loop: Loop) -> None:
    """Wrong settings fail before anything is triggered, with one message in the log and one notice."""
    loop.new_store(1)
    run_id = loop.airflow.api.trigger(SCHEDULED, {"target_template": "coherense", "tpo_n": 3})
    assert loop.airflow.api.wait(SCHEDULED, run_id, timeout_s=90) == "failed"
    log = loop.airflow.api.task_log(SCHEDULED, run_id, "select_missing")
    assert 'conf: tpo_n: there is no such setting, and it would have been ignored. Did you mean "top_n"?' in log
    assert "Traceback" not in log
    states = {task.task_id: task.state for task in loop.airflow.api.task_instances(SCHEDULED, run_id)}
    assert states["trigger_backfill"] == "upstream_failed"
    [notice] = [each for each in loop.receiver.notices if run_id in each["message"]]
    assert (notice["title"], notice["type"]) == (f"{SCHEDULED} failed", "failure")


def test_the_three_ways_in_give_the_same_membership(loop: Loop) -> None:
    """The trigger form, the command line and the schedule give the same members for the same essays."""
    members = {}
    loop.new_store(1, 2, 3)
    with chromium() as browser:
        visitor = Visitor.logged_in(browser, loop.airflow)
        page = visitor.page
        page.goto(f"{loop.airflow.url}/dags/{BACKFILL}")
        page.get_by_role("button", name="Trigger Dag").click()
        page.fill("#element_cohort_id", "by_form")
        page.fill("#element_essay_ids", "e_essay3\ne_essay2")
        page.fill("#element_templates", "coherence")
        visitor.picture("trigger_form")
        page.get_by_role("button", name="Trigger", exact=True).last.click()
        until(lambda: (loop.root / "cohorts" / "by_form" / "report.html").exists() or None, 90)
        visitor.leave()
    members["form"] = loop.members("by_form")

    loop.new_store(1, 2, 3)
    conf = {"cohort_id": "by_command", "essay_ids": ["e_essay3", "e_essay2"], "templates": ["coherence"]}
    loop.airflow_command("dags", "trigger", BACKFILL, "--run-id", "by_command", "--conf", json.dumps(conf))
    assert loop.airflow.api.wait(BACKFILL, "by_command", timeout_s=90) == "success"
    members["command"] = loop.members("by_command")

    loop.new_store(1, 2, 3)
    loop.backfill("2026-03-01T00:00:00", "2026-03-02T00:00:00")
    [run] = loop.ended(SCHEDULED, 1, "backfill__2026-03-01")
    [triggered] = loop.runs(BACKFILL, "by_schedule__scheduled_20260301")
    assert (run.state, triggered.state) == ("success", "success")
    members["schedule"] = loop.members(triggered.conf["cohort_id"])
    assert members["form"] == members["command"] == members["schedule"]
    assert sum(row[0] == "evaluation" for row in members["form"]) == 2 * PER_ESSAY


def test_each_finished_evaluation_is_one_event_and_a_cohort_another(loop: Loop) -> None:
    """Each reused or scored gen_id is one asset event; a second run adds no event and aggregates nothing."""
    store = loop.new_store(1, 2)
    conf = {"cohort_id": "assets", "essay_ids": ["e_essay1", "e_essay2"]}
    aggregated = len(loop.ended(AGGREGATE, 0))
    assert loop.run(conf).state == "success"
    assert len(loop.ended(AGGREGATE, aggregated + 1)) == aggregated + 1
    rows = store.rows("cohorts/assets/plan.csv")
    planned = {row["gen_id"]: row["action"] for row in rows if row["stage"] == "evaluation"}
    events = loop.events("finished_evaluations", "assets")
    outcomes = {event["partition_key"]: event["extra"]["outcome"] for event in events}
    assert len(events) == len(planned) == 2 * 2 * PER_ESSAY
    assert outcomes == {gen_id: "reused" if action == "reuse" else "scored" for gen_id, action in planned.items()}
    assert Counter(event["source_task_id"] for event in events) == {
        "announce_reused": 2 * PER_ESSAY,
        "evaluation.evaluation_parsed": 2 * PER_ESSAY,
    }
    [completion] = loop.events("completed_cohorts", "assets")
    assert (completion["extra"]["planned"], completion["extra"]["called"]) == (4 * PER_ESSAY, 2 * PER_ESSAY)

    assert loop.run(conf).state == "success"
    assert len(loop.events("finished_evaluations", "assets")) == 4 * PER_ESSAY
    assert len(loop.events("completed_cohorts", "assets")) == 1
    assert len(loop.runs(AGGREGATE)) == aggregated + 1
    with chromium() as browser:
        visitor = Visitor.logged_in(browser, loop.airflow)
        visitor.page.goto(f"{loop.airflow.url}/assets")
        visitor.page.get_by_role("link", name="finished_evaluations").click()
        visitor.page.get_by_text(next(iter(planned)), exact=False).first.wait_for(timeout=20_000)
        visitor.picture("asset")
        visitor.leave()


def test_what_did_not_happen_adds_no_event(loop: Loop) -> None:
    """A dry run, refused replies and failed calls add no event for an evaluation or a cohort."""
    loop.new_store(1)
    conf = {"essay_ids": ["e_essay1"], "templates": ["coherence"]}
    assert loop.run({**conf, "cohort_id": "dry", "dry_run": True}).state == "success"
    loop.judge.faults({"fault": "garbage"})
    assert loop.run({**conf, "cohort_id": "refused"}).state == "failed"
    loop.judge.faults({"fault": "status", "status": 422})
    assert loop.run({**conf, "cohort_id": "failed", "replicates": 8}).state == "failed"
    for cohort_id in ("dry", "refused", "failed"):
        assert loop.events("finished_evaluations", cohort_id) == []
        assert loop.events("completed_cohorts", cohort_id) == []


def test_people_are_notified_how_runs_end(loop: Loop) -> None:
    """Finished, incomplete and over-budget runs send one notice with a link to the log; a dry run sends none."""
    loop.new_store(1)
    conf = {"essay_ids": ["e_essay1"], "templates": ["coherence"]}
    assert loop.run({**conf, "cohort_id": "n_dry", "dry_run": True}).state == "success"
    assert loop.run({**conf, "cohort_id": "n_budget", "max_llm_calls": 3}).state == "failed"
    assert loop.run({**conf, "cohort_id": "n_done"}).state == "success"
    loop.judge.faults({"fault": "status", "status": 422})
    assert loop.run({**conf, "cohort_id": "n_red", "replicates": 5}).state == "failed"
    titles = [(each["title"], each["type"]) for each in loop.receiver.notices]
    assert titles == [
        ("Cohort n_budget: the budget is used up, 5 evaluations are deferred", "warning"),
        ("Cohort n_done is finished", "success"),
        ("Cohort n_red is not complete", "failure"),
    ]
    for notice in loop.receiver.notices:
        assert f"{loop.airflow.url}/dags/{BACKFILL}/runs/" in notice["message"]
    assert "8 planned = " in loop.receiver.notices[1]["message"]
