"""One private Airflow on 127.0.0.1, by default with SQLite and LocalExecutor, which writes only below one home."""

import os
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from devtools.errors import StartError
from devtools.local_airflow.environment import Layout, airflow_environment
from devtools.local_airflow.keys import USER, ensure_keys, ensure_password
from devtools.local_airflow.readiness import wait_until_ready
from devtools.rest_api.client import AirflowApi
from devtools.supervision.ports import LOOPBACK, free_port
from devtools.supervision.supervised_processes import PACKAGE_ROOT, SupervisedProcesses
from devtools.supervision.supervisor import Command

MIGRATE = "migrate"
# Where the metadata is, if it is not in a file of the home.
METADATA_VARIABLE = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
# The script is run by its path, because the project that Airflow runs need not contain this package. -P keeps the
# script's folder out of the import path.
WARM_SCHEDULER = ("-P", str(PACKAGE_ROOT / "include" / "essay_cohorts_airflow" / "warm_scheduler.py"))
PLAIN_SCHEDULER = ("-m", "airflow", "scheduler")
CONFIG_NOTE = "# Every setting of this Airflow is an environment variable; nothing is read from here.\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class Extra:
    """Another process that belongs to this Airflow, such as a worker of another executor.

    One that ends is started again, or with `may_end` it stays away.
    """

    name: str
    argv: tuple[str, ...]
    may_end: bool = False


class LocalAirflow:
    """A context manager that starts and stops Airflow's processes for one project folder.

    The processes end when the process that started them ends in any way. `dag_ids` names the DAGs that must be parsed
    before `start` returns. Without `schedules` only triggered runs exist, and the schedules of DAGs are ignored. A
    `port` that is in use is replaced by a free port; 0 takes any free port. With `restarts` each process that ended
    is started again, except the api-server, because without it the work of the others fails at once. Without `warm`
    the scheduler is Airflow's own, and each task imports its libraries itself. `python` runs Airflow's processes.
    `schedulers` of them work side by side, and `extras` are started after them.
    """

    def __init__(
        self,
        *,
        home: Path,
        project: Path,
        environment: Mapping[str, str] | None = None,
        port: int = 8080,
        dag_ids: Collection[str] = (),
        schedules: bool = False,
        triggerer: bool = False,
        restarts: bool = True,
        warm: bool = True,
        start_timeout_s: float = 120.0,
        python: str = sys.executable,
        schedulers: int = 1,
        extras: Sequence[Extra] = (),
    ) -> None:
        self.layout = Layout(home=home.resolve(), project=project.resolve())
        self.started_at = datetime.now(UTC)
        self._environment = dict(environment or {})
        self._preferred_port = port
        self._dag_ids = tuple(dag_ids)
        self._schedules = schedules
        self._components = ("scheduler", "dag_processor", *(("triggerer",) if triggerer else ()))
        self._restarts = restarts
        self._scheduler = WARM_SCHEDULER if warm else PLAIN_SCHEDULER
        self._start_timeout_s = start_timeout_s
        self._python = python
        self._schedulers, self._extras = schedulers, tuple(extras)
        self._processes: SupervisedProcesses | None = None

    @cached_property
    def port(self) -> int:
        """The port of the web page and the REST API."""
        return free_port(self._preferred_port)

    @property
    def url(self) -> str:
        """The address of the web page."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def user(self) -> str:
        """The name of the only user."""
        return USER

    @cached_property
    def password(self) -> str:
        """The user's password."""
        return ensure_password(self.layout.home)

    @cached_property
    def api(self) -> AirflowApi:
        """The REST API, logged in as the only user."""
        return AirflowApi(self.url, user=self.user, password=self.password, check=self.check)

    @property
    def pids(self) -> dict[str, int]:
        """The process ids by name: each component, which leads a session of its own, and the `supervisor`."""
        if self._processes is None:
            return {}
        supervisor = self._processes.supervisor_pid
        return self._processes.pids | ({"supervisor": supervisor} if supervisor else {})

    def start(self) -> Self:
        """Start everything and return when Airflow is ready.

        Raises:
            HomeInUseError: another live process runs an Airflow in the same home.
            StartError: a process ended, or something is missing when the time is up.
            DagImportError: a wanted DAG is missing and a DAG file cannot be imported.
        """
        if self._processes is not None:
            msg = "This Airflow was started already."
            raise StartError(msg)
        began = time.monotonic()
        self.started_at = datetime.now(UTC)
        self._processes = self._prepare()
        try:
            self._processes.start()
            self._wait_for_migration()
            wait_until_ready(
                self.api,
                since=self.started_at,
                components=self._components,
                dag_ids=self._dag_ids,
                check=self.check,
                timeout_s=self._start_timeout_s - (time.monotonic() - began),
            )
        except BaseException:
            self.stop()
            raise
        return self

    def warm_up(self) -> None:
        """Make the api-server build what its first task would wait for (3 s), so that a measurement excludes it."""
        httpx.get(f"{self.url}/execution/health", timeout=60, trust_env=False).raise_for_status()

    def check(self) -> None:
        """Return when every process lives.

        Raises:
            StartError: a process has ended; the message has the name and the last lines of its log file.
        """
        if self._processes is None:
            msg = "This Airflow does not run: it was not started, or it was stopped."
            raise StartError(msg)
        self._processes.check()

    def stop(self) -> None:
        """Stop every process and return when none is left; a second call does nothing."""
        if self._processes is not None:
            self._processes.stop()
            self._processes = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _prepare(self) -> SupervisedProcesses:
        self.layout.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.layout.logs.mkdir(exist_ok=True)
        config = self.layout.home / "airflow.cfg"
        if not config.exists():
            config.write_text(CONFIG_NOTE, encoding="utf-8")
        ensure_password(self.layout.home)
        environment = airflow_environment(
            os.environ,
            self._environment,
            layout=self.layout,
            keys=ensure_keys(self.layout.home),
            port=self.port,
            schedules=self._schedules,
        )
        return SupervisedProcesses(
            home=self.layout.home,
            directory=self.layout.project,
            environment=environment,
            commands=self._commands(),
            label=self.url,
        )

    def _commands(self) -> tuple[Command, ...]:
        migrate = [self._command(MIGRATE, "db", "migrate", first=True)] if self._must_migrate() else []
        triggerer = [self._command("triggerer", "triggerer", "--skip-serve-logs", restart=self._restarts)]
        return (
            *migrate,
            self._command("api-server", "api-server", "--host", LOOPBACK, "--port", str(self.port), "--workers", "1"),
            *(self._scheduler_command(number) for number in range(1, self._schedulers + 1)),
            self._command("dag-processor", "dag-processor", restart=self._restarts),
            *(triggerer if "triggerer" in self._components else []),
            *(self._extra_command(each) for each in self._extras),
        )

    def _extra_command(self, extra: Extra) -> Command:
        log = str(self.layout.log(extra.name))
        return Command(name=extra.name, argv=extra.argv, log=log, restart=not extra.may_end, optional=extra.may_end)

    def _scheduler_command(self, number: int) -> Command:
        name = "scheduler" if number == 1 else f"scheduler-{number}"
        return self._command(name, "--skip-serve-logs", program=self._scheduler, restart=self._restarts)

    def _command(
        self,
        name: str,
        *arguments: str,
        program: tuple[str, ...] = ("-m", "airflow"),
        first: bool = False,
        restart: bool = False,
    ) -> Command:
        argv = (self._python, *program, *arguments)
        return Command(name=name, argv=argv, log=str(self.layout.log(name)), first=first, restart=restart)

    @property
    def _migration_mark(self) -> Path:
        return self.layout.home / "migrated-to"

    def _must_migrate(self) -> bool:
        mark, exists = self._migration_mark, METADATA_VARIABLE in self._environment or self.layout.database.exists()
        return not (exists and mark.exists() and mark.read_text("utf-8") == _airflow_version())

    def _wait_for_migration(self) -> None:
        """Return when the database has its tables, and remember their Airflow version."""
        if not self._must_migrate():
            return
        deadline = time.monotonic() + self._start_timeout_s
        while self._processes is not None and MIGRATE not in self._processes.exit_codes:
            self._processes.check()
            if time.monotonic() > deadline:
                msg = f"The database was not set up in time; see {self.layout.log(MIGRATE)}."
                raise StartError(msg)
            time.sleep(0.05)
        self._migration_mark.write_text(_airflow_version(), encoding="utf-8")


def _airflow_version() -> str:
    return version("apache-airflow-core")
