"""What several test files share: the offline judge, a store, and the DAG played without Airflow."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from xdist.remote import Producer

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


# Folders whose tests need Airflow, a browser or a long simulation; the other slow files are marked in themselves.
_NOT_QUICK = {"e2e": "airflow", "local_airflow": "airflow", "dags": "airflow", "pages": "airflow", "fuzz": "slow"}


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FilesToWorkers:
    """Tells pytest-xdist how tests are given to workers."""
    return FilesToWorkers(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks tests by folder; the slowest kinds of tests start first."""
    tests = Path(__file__).parent
    for item in items:
        folder = item.path.relative_to(tests).parts[0]
        if folder in _NOT_QUICK:
            item.add_marker(_NOT_QUICK[folder])
    items.sort(key=lambda item: [item.get_closest_marker(name) is None for name in ("airflow", "slow")])


@pytest.fixture(scope="session")
def only_judge_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JudgeServer]:
    """One offline judge for the whole session."""
    with JudgeServer.started(tmp_path_factory.mktemp("judge")) as server:
        yield server


@pytest.fixture
def judge_server(only_judge_server: JudgeServer) -> JudgeServer:
    """The session's offline judge, without faults and with nothing remembered."""
    only_judge_server.reset()
    return only_judge_server


@pytest.fixture
def store(tmp_path: Path) -> StoreBuilder:
    """A data root with two templates, two judges, k = 4 and made-up replies allowed; no essays yet."""
    return StoreBuilder.sample(tmp_path / "data")


@pytest.fixture
def dag(store: StoreBuilder, judge_server: JudgeServer) -> PlayedDag:
    """The DAG over `store`, with the offline judge as its LLM."""
    return PlayedDag(root=store.root, base_url=judge_server.base_url)


@pytest.fixture
def log_lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Reads the messages logged by the product so far."""
    caplog.set_level(logging.INFO, logger="essay_cohorts")
    return lambda: [record.getMessage() for record in caplog.records]


@dataclass(frozen=True, kw_only=True, slots=True)
class PlayedRun:
    """What a played run left: XCom of planning, its slices, each slice's error, the summary."""

    planned: PlannedRun
    slices: list[dict[str, Any]]
    summary: Summary
    errors: dict[int, Exception] = field(default_factory=dict)


@dataclass(kw_only=True)
class PlayedDag:
    """Plays `evaluation_backfill` in this process: the same steps in the same order, the slices side by side.

    Values between steps go through JSON, as XCom does it. `rules` replace the quick call rules; `no_connection` is
    what asking for a client raises; `connects` counts the clients that were asked for.
    """

    root: Path
    base_url: str
    rules: dict[str, float] = field(default_factory=dict)
    processes: int = 2
    no_connection: Exception | None = None
    connects: int = 0

    @property
    def settings(self) -> Settings:
        """The settings that the steps are given."""
        from essay_cohorts.settings import Settings

        return Settings(data_root=self.root, processes=self.processes)

    def plan(
        self, conf: Mapping[str, Any] | None = None, *, run_id: str = "run-1", try_number: int = 1
    ) -> PlannedRun:
        """The first task; BadInput passes through."""
        from essay_cohorts.backfill.plan_cohort import plan_cohort
        from essay_cohorts.planning.planned_run import PlannedRun

        task = task_ref(run_id, "plan_cohort", try_number)
        planned = plan_cohort(self.settings, conf or {}, task)
        return PlannedRun.from_xcom(json.loads(json.dumps(planned.to_xcom())))

    def run(self, conf: Mapping[str, Any] | None = None, *, run_id: str = "run-1", try_number: int = 1) -> PlayedRun:
        """The whole DAG; a cleared run is the same `run_id` with a greater `try_number`."""
        return self.go_on(self.plan(conf, run_id=run_id, try_number=try_number), run_id=run_id, try_number=try_number)

    def go_on(self, planned: PlannedRun, *, run_id: str = "run-1", try_number: int = 1) -> PlayedRun:
        """All that follows planning. CohortErrors of slices are kept, as the scheduler keeps a failed task's."""
        from essay_cohorts.backfill import slice_tasks
        from essay_cohorts.backfill.summarise import summarise_cohort

        errors: dict[int, Exception] = {}
        slices: list[dict[str, Any]] = (
            [] if planned.dry_run else json.loads(json.dumps(slice_tasks.batches(self.settings, planned)))
        )
        asyncio.run(self._play_slices(planned, slices, errors, run_id, try_number))
        summary = summarise_cohort(self.settings, planned, task_ref(run_id, "summarise_cohort", try_number).run)
        json.dumps(summary.to_xcom())
        return PlayedRun(planned=planned, slices=slices, summary=summary, errors=errors)

    async def _play_slices(
        self,
        planned: PlannedRun,
        slices: list[dict[str, Any]],
        errors: dict[int, Exception],
        run_id: str,
        try_number: int,
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
            slice_tasks.parse_replies(self.settings, planned, part, task)

        await asyncio.gather(*(play(index, Slice(**part)) for index, part in enumerate(slices)))

    async def connect(self) -> Endpoint:
        """A client for the offline judge, with waits too short to notice."""
        from openai import AsyncOpenAI, DefaultAsyncHttpxClient

        from essay_cohorts.calling.endpoint import Endpoint
        from essay_cohorts.llm_client.client_settings import CallRules

        self.connects += 1
        if self.no_connection is not None:
            raise self.no_connection
        http = DefaultAsyncHttpxClient(trust_env=False, verify=False)
        quick: dict[str, Any] = {"max_attempts": 3, "first_wait_s": 0.001, "longest_wait_s": 0.002, **self.rules}
        client = AsyncOpenAI(api_key=API_KEY, base_url=self.base_url, http_client=http)
        return Endpoint(client=client, rules=CallRules(**quick))


def task_ref(run_id: str, task_id: str, try_number: int, map_index: int = -1) -> TaskRef:
    """One try of a task of the played DAG."""
    from essay_cohorts.domain import TaskRef

    return TaskRef(dag_id=DAG_ID, run_id=run_id, task_id=task_id, map_index=map_index, try_number=try_number)


def killed_before(event_number: int, below: Path, action: Callable[[], object]) -> bool:
    """Runs `action` in a child process that is SIGKILLed right before its n-th file-system call below a folder.

    False when the action came to its end first. Calls of interest: open, rename, link, remove, mkdir, rmdir.
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
    except BaseException:  # noqa: BLE001  (nothing of the child may return into the test)
        traceback.print_exc()
    finally:
        os._exit(1)


def _kill_myself_before(event_number: int, below: str) -> None:
    left = event_number

    def hook(event: str, args: tuple[Any, ...]) -> None:
        nonlocal left
        if event in _FILE_EVENTS and str(args[0]).startswith(below):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


@contextmanager
def full_disk(after_bytes: int) -> Iterator[None]:
    """Within the block no file of this process can grow beyond so many bytes: the disk refuses (EFBIG)."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (after_bytes, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)


def torn_after(size: int, action: Callable[[], object]) -> bool:
    """Runs `action` in a child process that dies once a file is `size` bytes long; False when none grew so long."""
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
