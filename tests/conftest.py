"""Fixtures and helpers that several test files share: the offline judge, a store, and the DAG run without Airflow."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from xdist.remote import Producer

from devtools.cluster.postgresql import PostgreSQL, let_others_pass
from tests.judge_server import JudgeServer
from tests.store_builder import StoreBuilder
from tests.worker_files import FilesToWorkers

if TYPE_CHECKING:
    from essay_cohorts.backfill.summarise import Summary
    from essay_cohorts.calling.endpoint import Endpoint
    from essay_cohorts.domain import TaskRef
    from essay_cohorts.planning.planned_run import PlannedRun
    from essay_cohorts.settings import Settings

API_KEY = "sk-test-0123456789-never-to-be-shown"
DAG_ID = "evaluation_backfill"
_FILE_EVENTS = {"open", "os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir"}


# The folders whose tests need Airflow, a browser, a proxy or a long simulation. Slow files elsewhere set their own
# marker.
_NOT_QUICK = {
    **dict.fromkeys(("e2e", "local_airflow", "dags", "pages"), "airflow"),
    "cluster": "cluster",
    "litellm": "litellm",
    "fuzz": "slow",
}


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FilesToWorkers:
    """Tell pytest-xdist how to give tests to its workers."""
    return FilesToWorkers(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by folder, and put the slowest kinds of tests first."""
    tests = Path(__file__).parent
    for item in items:
        folder = item.path.relative_to(tests).parts[0]
        if folder in _NOT_QUICK:
            item.add_marker(_NOT_QUICK[folder])
        if "postgresql" in getattr(item, "fixturenames", ()):
            item.add_marker("postgresql")
    items.sort(
        key=lambda item: [item.get_closest_marker(name) is None for name in ("cluster", "airflow", "litellm", "slow")]
    )


@pytest.fixture(scope="session")
def session_judge_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JudgeServer]:
    """Start one offline judge for the whole session."""
    with JudgeServer.started(tmp_path_factory.mktemp("judge")) as server:
        yield server


@pytest.fixture
def judge_server(session_judge_server: JudgeServer) -> JudgeServer:
    """Return the session's offline judge without fault rules and without recorded requests."""
    session_judge_server.reset()
    return session_judge_server


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgreSQL]:
    """Start one PostgreSQL for all tests of this worker that need one."""
    with PostgreSQL(let_others_pass(tmp_path_factory.mktemp("postgresql")) / "server") as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def ledger_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of an empty ledger of each kind: a file in the data root, and a PostgreSQL database."""
    if request.param == "sqlite":
        return ""
    server: PostgreSQL = request.getfixturevalue("postgresql")
    return server.new_database()


@pytest.fixture
def store(tmp_path: Path) -> StoreBuilder:
    """Return a data root with two templates, two judges, k = 4, offline replies allowed, and no essays yet."""
    return StoreBuilder.sample(tmp_path / "data")


@pytest.fixture
def dag(store: StoreBuilder, judge_server: JudgeServer) -> PlayedDag:
    """Return the DAG over `store`, with the offline judge as its LLM."""
    return PlayedDag(root=store.root, base_url=judge_server.base_url)


@pytest.fixture
def log_lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Return a function that returns the messages that the package has logged so far."""
    caplog.set_level(logging.INFO, logger="essay_cohorts")
    return lambda: [record.getMessage() for record in caplog.records]


@dataclass(frozen=True, kw_only=True, slots=True)
class PlayedRun:
    """The results of a played run: the plan from XCom, the slices, the errors of failed slices, and the summary."""

    planned: PlannedRun
    slices: list[dict[str, Any]]
    summary: Summary
    errors: dict[int, Exception] = field(default_factory=dict)


@dataclass(kw_only=True)
class PlayedDag:
    """Runs the steps of `evaluation_backfill` in this process, in the DAG's order, with concurrent slices.

    Values between steps are converted to JSON and back, as XCom does. `rules` override the short waits of the call
    rules. `connect` raises `no_connection` if it is set, and `connects` counts the calls of `connect`. `servers` has
    the address, the key and the rules of each connection but `llm_default`.
    """

    root: Path
    base_url: str
    rules: dict[str, float] = field(default_factory=dict)
    processes: int = 2
    no_connection: Exception | None = None
    connects: int = 0
    ledger: str = ""
    servers: Mapping[str, PlayedServer] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        """Return the settings that every step receives."""
        from essay_cohorts.settings import Settings

        return Settings(data_root=self.root, processes=self.processes, ledger=self.ledger)

    def plan(
        self, conf: Mapping[str, Any] | None = None, *, run_id: str = "run-1", try_number: int = 1
    ) -> PlannedRun:
        """Run the first task; a BadInput is passed on to the caller."""
        from essay_cohorts.backfill.plan_cohort import plan_cohort
        from essay_cohorts.planning.planned_run import PlannedRun

        task = task_ref(run_id, "plan_cohort", try_number)
        planned = plan_cohort(self.settings, conf or {}, task)
        return PlannedRun.from_xcom(json.loads(json.dumps(planned.to_xcom())))

    def run(self, conf: Mapping[str, Any] | None = None, *, run_id: str = "run-1", try_number: int = 1) -> PlayedRun:
        """Run the whole DAG. A cleared run has the same `run_id` and a higher `try_number`."""
        return self.run_planned(
            self.plan(conf, run_id=run_id, try_number=try_number), run_id=run_id, try_number=try_number
        )

    def run_planned(self, planned: PlannedRun, *, run_id: str = "run-1", try_number: int = 1) -> PlayedRun:
        """Run all steps after planning; keep the CohortErrors of slices, as a scheduler keeps failed tasks."""
        from essay_cohorts.backfill import slice_tasks
        from essay_cohorts.backfill.report.write_report import write_report
        from essay_cohorts.backfill.summarise import summarise_cohort

        errors: dict[int, Exception] = {}
        slices: list[dict[str, Any]] = (
            [] if planned.dry_run else json.loads(json.dumps(slice_tasks.cut_into_slices(self.settings, planned)))
        )
        asyncio.run(self._play_slices(planned, slices, errors, run_id, try_number))
        run = task_ref(run_id, "summarise_cohort", try_number).run
        summary = summarise_cohort(self.settings, planned, run)
        write_report(self.settings, planned, run)
        json.dumps(summary.to_xcom())
        return PlayedRun(planned=planned, slices=slices, summary=summary, errors=errors)

    def call_planned(self, planned: PlannedRun, *, run_id: str = "run-1") -> None:
        """Run the steps after planning up to the calls: no reply is scored, and the run is not summarised."""
        from essay_cohorts.backfill import slice_tasks

        slices = slice_tasks.cut_into_slices(self.settings, planned)
        asyncio.run(self._play_slices(planned, slices, {}, run_id, 1, scores=False))

    async def _play_slices(
        self,
        planned: PlannedRun,
        slices: list[dict[str, Any]],
        errors: dict[int, Exception],
        run_id: str,
        try_number: int,
        *,
        scores: bool = True,
    ) -> None:
        from essay_cohorts.backfill import slice_tasks
        from essay_cohorts.backfill.call_missing import call_missing
        from essay_cohorts.errors import CohortError
        from essay_cohorts.planning.slices import Slice

        async def play(index: int, part: Slice) -> None:
            if not slice_tasks.check_parsed(self.settings, planned, part):
                return
            task = task_ref(run_id, "evaluation.evaluation_raw", try_number, index)
            try:
                slice_tasks.write_prompts(self.settings, planned, part)
                await call_missing(self.settings, planned, part, task, self.connect)
            except CohortError as error:
                errors[index] = error
            if scores:
                slice_tasks.parse_replies(self.settings, planned, part, task)

        await asyncio.gather(*(play(index, Slice(**part)) for index, part in enumerate(slices)))

    async def connect(self, connection_ids: Collection[str]) -> dict[str, Endpoint]:
        """Return a client for the server of each connection, with waits of a few milliseconds."""
        self.connects += 1
        if self.no_connection is not None:
            raise self.no_connection
        default = PlayedServer(base_url=self.base_url, rules=self.rules)
        servers = {"llm_default": default, **self.servers}
        return {name: servers[name].endpoint() for name in connection_ids}


@dataclass(frozen=True, kw_only=True, slots=True)
class PlayedServer:
    """A server of a played DAG: its address, its key, and rules that override the short waits."""

    base_url: str
    key: str = API_KEY
    rules: Mapping[str, float] = field(default_factory=dict)

    def endpoint(self) -> Endpoint:
        """Return a client for the server."""
        from openai import AsyncOpenAI, DefaultAsyncHttpxClient

        from essay_cohorts.calling.endpoint import Endpoint
        from essay_cohorts.llm_client.client_settings import CallRules

        http = DefaultAsyncHttpxClient(trust_env=False, verify=False)
        quick: dict[str, Any] = {"max_attempts": 3, "first_wait_s": 0.001, "longest_wait_s": 0.002, **self.rules}
        client = AsyncOpenAI(api_key=self.key, base_url=self.base_url, http_client=http)
        return Endpoint(client=client, rules=CallRules(**quick))


def task_ref(run_id: str, task_id: str, try_number: int, map_index: int = -1) -> TaskRef:
    """Return the reference of one try of a task of the played DAG."""
    from essay_cohorts.domain import TaskRef

    return TaskRef(dag_id=DAG_ID, run_id=run_id, task_id=task_id, map_index=map_index, try_number=try_number)


def killed_before(event_number: int, below: Path, action: Callable[[], object]) -> bool:
    """Run `action` in a child process that is SIGKILLed right before its n-th file-system call in a folder.

    Return False if the action finished before that call. The counted calls are open, rename, link, remove, mkdir and
    rmdir.
    """
    child = os.fork()
    if child:
        status = os.waitpid(child, 0)[1]
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the action failed in the child"
        return os.WIFSIGNALED(status)
    try:
        _kill_myself_before(event_number, str(below))
        action()
        os._exit(0)
    except BaseException:  # noqa: BLE001  (the child must never return into the test)
        traceback.print_exc()
    finally:
        os._exit(1)


def _kill_myself_before(event_number: int, below: str) -> None:
    remaining = event_number

    def hook(event: str, args: tuple[Any, ...]) -> None:
        nonlocal remaining
        if event in _FILE_EVENTS and str(args[0]).startswith(below):
            remaining -= 1
            if remaining == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


@contextmanager
def full_disk(after_bytes: int) -> Iterator[None]:
    """Limit the size of each file of this process within the block: a longer write fails with EFBIG."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (after_bytes, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)


def torn_after(size: int, action: Callable[[], object]) -> bool:
    """Run `action` in a child that dies when a file reaches `size` bytes; return False if no file grew so long."""
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        with full_disk(size):
            action()
        os._exit(0)
    finally:
        os._exit(1)
