"""Tests of a scheduler that is killed during a run: the run succeeds by itself, and no reply is paid for twice."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from devtools.local_airflow.environment import airflow_environment
from devtools.local_airflow.keys import ensure_keys
from devtools.local_airflow.service import LocalAirflow
from devtools.rest_api.client import AirflowApi
from devtools.supervision import processes
from devtools.supervision.supervised_processes import SupervisedProcesses
from devtools.supervision.supervisor import STEADY_S, Command
from tests.e2e.conftest import DAG_ID, PROJECT
from tests.judge_server import JudgeServer
from tests.store_builder import StoreBuilder

CALLS, AT_ONCE, REPLIES_BEFORE = 96, 4, 10
CONF = {"cohort_id": "killed", "max_concurrency": AT_ONCE}
TIMEOUT_S = 180.0

pytestmark = pytest.mark.timeout(600)


@dataclass(kw_only=True)
class Scene:
    """The resources of one test: a store with CALLS missing evaluations, its judge, and the Airflow to kill."""

    folder: Path
    store: StoreBuilder
    judge: JudgeServer
    essays: list[str]
    cleanup: ExitStack
    ledger_url: str
    run_id: str = ""
    stored: dict[str, bytes] = field(default_factory=dict)
    in_flight: set[str] = field(default_factory=set)

    @property
    def given(self) -> dict[str, str]:
        connection = {"conn_type": "openai", "host": self.judge.base_url, "password": "sk-killed"}
        return {
            "DD_DATA_ROOT": str(self.store.root),
            "DD_LEDGER": self.ledger_url,
            "AIRFLOW_CONN_LLM_DEFAULT": json.dumps(connection),
        }

    def airflow(self, *, restarts: bool = True) -> LocalAirflow:
        """Start an Airflow in the scene's home."""
        home = self.folder / "airflow"
        return self.cleanup.enter_context(
            LocalAirflow(
                home=home, project=PROJECT, environment=self.given, port=0, dag_ids=[DAG_ID], restarts=restarts
            )
        )

    def second_scheduler(self, airflow: LocalAirflow) -> None:
        """Start a scheduler that does not know the processes of the first, as a person in a terminal would."""
        environment = airflow_environment(
            os.environ,
            self.given,
            layout=airflow.layout,
            keys=ensure_keys(airflow.layout.home),
            port=airflow.port,
            schedules=False,
        )
        home = self.folder / "second"
        home.mkdir()
        argv = (sys.executable, "-m", "airflow", "scheduler", "--skip-serve-logs")
        command = Command(name="scheduler", argv=argv, log=str(home / "scheduler.log"))
        scheduler = SupervisedProcesses(
            home=home, directory=PROJECT, environment=environment, commands=(command,), label="a test"
        )
        self.cleanup.callback(scheduler.stop)
        scheduler.start()

    def trigger_and_wait_for_replies(self, airflow: LocalAirflow) -> list[psutil.Process]:
        """Trigger the run and wait for some replies; return the scheduler and all its descendants."""
        began = time.monotonic()
        self.judge.faults({"fault": "latency", "seconds": 1})
        self.run_id = airflow.api.trigger(DAG_ID, {**CONF, "essay_ids": self.essays})
        scheduler = psutil.Process(airflow.pids["scheduler"])
        _until(lambda: _checked(airflow) and self.judge.stats()["replies"] >= REPLIES_BEFORE)
        # The supervisor does not restart a process that ends soon after its start, so wait until it counts as steady.
        _until(lambda: time.monotonic() - began > STEADY_S)
        return [scheduler, *processes.descendants(scheduler.pid)]

    def wait_until_dead(self, victims: list[psutil.Process]) -> None:
        """Wait until no victim lives and no request is in flight, then let the judge answer without delay."""
        _until(lambda: not _alive(victims) and self.judge.stats()["in_flight"] == 0)
        self.remember()
        self.judge.faults()

    def members(self) -> dict[tuple[str, str, str], str]:
        """Return the cohort's evaluations by their keys in the judge's tally."""
        rows = [row for row in self.store.rows("cohorts/killed/membership.csv") if row["stage"] == "evaluation"]
        return {
            (row["parent_gen_id"].removeprefix("e_essay"), row["template_id"], f"example/{row['llm_model_id']}"): (
                row["gen_id"]
            )
            for row in rows
        }

    def remember(self) -> None:
        """Record the bytes of every stored reply, and the evaluations that were requested but have no reply."""
        root = self.store.root
        folder = root / "gens/evaluation"
        replies = [*folder.glob("*/raw.txt"), *folder.glob("*/raw_metadata.json")]
        self.stored = {str(path.relative_to(root)): path.read_bytes() for path in replies}
        members = self.members()
        self.in_flight = {members[key] for key in self.judge.tally() if _reply(members[key]) not in self.stored}

    def assert_run_ends_well(self, api: AirflowApi) -> set[str]:
        """Assert that the run succeeds with all scores and repeats no stored reply; return the repeated calls."""
        assert api.wait(DAG_ID, self.run_id, timeout_s=TIMEOUT_S) == "success"

        members = self.members()
        assert len(members) == CALLS
        for gen_id in members.values():
            assert (self.store.root / "gens/evaluation" / gen_id / "parsed.txt").exists()

        now = self.store.files("gens/evaluation")
        assert {name: now.get(name) for name in self.stored} == self.stored

        asked = self.judge.tally()
        again = {members[key] for key, times in asked.items() if times > 1}
        assert set(asked) == set(members)
        assert max(asked.values()) <= 2
        assert not {gen_id for gen_id in again if _reply(gen_id) in self.stored}
        assert len(again) <= AT_ONCE, f"{len(again)} were called twice, and only {AT_ONCE} can have been in flight"
        return again


def _reply(gen_id: str) -> str:
    return f"gens/evaluation/{gen_id}/raw.txt"


@pytest.fixture
def scene(tmp_path: Path, ledger_url: str) -> Iterator[Scene]:
    """Return the store and its judge, before any Airflow is started."""
    store = StoreBuilder.sample(tmp_path / "data", replicates=1)
    with JudgeServer.started(tmp_path) as judge, ExitStack() as cleanup:
        essays = [store.essay(number) for number in range(100, 100 + CALLS // 4)]
        yield Scene(folder=tmp_path, store=store, judge=judge, essays=essays, cleanup=cleanup, ledger_url=ledger_url)


def test_a_killed_scheduler_is_restarted_and_the_run_continues(
    scene: Scene, capfd: pytest.CaptureFixture[str]
) -> None:
    """After SIGKILL of the scheduler a new one starts, the old tasks end, and the run succeeds."""
    airflow = scene.airflow()
    tree = scene.trigger_and_wait_for_replies(airflow)
    tree[0].kill()
    scene.wait_until_dead(tree)
    _until(lambda: _checked(airflow).pids["scheduler"] != tree[0].pid)
    assert "scheduler ended with code -9; it is started again" in capfd.readouterr().err
    assert scene.assert_run_ends_well(airflow.api) <= scene.in_flight


@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)  # a crash of PostgreSQL has a test of its own
def test_after_a_crash_of_the_machine_the_next_start_continues_the_run(scene: Scene) -> None:
    """After SIGKILL of every process, a new start in the same home continues the run, which succeeds."""
    first = scene.airflow()
    scene.trigger_and_wait_for_replies(first)
    supervisor = first.pids["supervisor"]
    everything = [psutil.Process(supervisor), *processes.descendants(supervisor)]
    for process in everything:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    scene.wait_until_dead(everything)
    first.stop()
    assert scene.assert_run_ends_well(scene.airflow().api) <= scene.in_flight


def test_calls_of_tasks_that_outlive_their_scheduler_are_not_repeated(scene: Scene) -> None:
    """After SIGKILL of the scheduler alone, the second try of a task does not repeat calls of the first try."""
    airflow = scene.airflow(restarts=False)
    tree = scene.trigger_and_wait_for_replies(airflow)
    tasks = [process for process in tree[1:] if process.ppid() != tree[0].pid]
    assert tasks
    # The delay is longer than the start of the second try, and shorter than the time that Airflow gives a process to
    # end, so the calls of both tries could overlap. The delay stays until the processes of the first try have ended.
    scene.judge.faults({"fault": "latency", "seconds": 4})
    tree[0].kill()
    scene.remember()
    scene.second_scheduler(airflow)
    _until(lambda: not _alive(tasks))
    scene.judge.faults()
    api = AirflowApi(airflow.url, user=airflow.user, password=airflow.password)
    scene.assert_run_ends_well(api)


def _alive(victims: list[psutil.Process]) -> bool:
    return any(processes.is_alive(process) for process in victims)


def _checked(airflow: LocalAirflow) -> LocalAirflow:
    airflow.check()
    return airflow


def _until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
