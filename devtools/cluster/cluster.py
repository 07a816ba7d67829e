"""A distributed Airflow on one machine: PostgreSQL, Redis, and Celery workers that are hosts of their own."""

import os
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from devtools.cluster.hosts import on_host, own_hosts_permitted
from devtools.cluster.postgresql import PostgreSQL
from devtools.cluster.redis import Redis
from devtools.cluster.settings import AIRFLOW_DATABASE, LEDGER_DATABASE, addresses, shared_settings
from devtools.errors import StartError
from devtools.local_airflow.service import Extra, LocalAirflow

_WORKER_TIMEOUT_S = 60.0
_READY = " ready."


class Cluster:
    """A context manager that starts and stops everything; it writes only below `home`, which must not exist.

    `workers` hosts share this machine's cores: each runs a task for each of its cores at once, or one. `python` has
    Airflow with its Celery provider. `schedulers` work side by side. With `may_end` a worker that ends stays away,
    otherwise it is started again. The other arguments are those of LocalAirflow.
    """

    def __init__(
        self,
        *,
        home: Path,
        project: Path,
        environment: Mapping[str, str],
        workers: int = 4,
        schedulers: int = 1,
        port: int = 0,
        dag_ids: tuple[str, ...] = (),
        python: str = sys.executable,
        may_end: bool = False,
    ) -> None:
        self.home, self.workers = home.resolve(), workers
        self.settings = shared_settings(workers, os.cpu_count() or 1)
        self.has_own_hosts = own_hosts_permitted()
        self._project, self._given = project, dict(environment)
        self._schedulers, self._port, self._dag_ids, self._python = schedulers, port, dag_ids, python
        self._may_end = may_end
        self._running = ExitStack()

    def start(self) -> Self:
        """Start the servers, Airflow and the workers, and return when all are ready.

        Raises:
            StartError: a program is not installed, or it ended, or it is not ready in time.
        """
        self.home.mkdir(parents=True)
        try:
            self.postgresql = self._running.enter_context(PostgreSQL(self.home / "postgresql"))
            self.redis = self._running.enter_context(Redis(self.home / "redis"))
            self.airflow = self._airflow()
            self._running.enter_context(self.airflow)
            self._wait_for_workers()
        except BaseException:
            self.stop()
            raise
        return self

    def check(self) -> None:
        """Return when everything runs; StartError, with the last lines of its log, when something ended."""
        for part in (self.airflow, self.postgresql, self.redis):
            part.check()

    def stop(self) -> None:
        """Stop everything and return when nothing is left; a second call does nothing."""
        self._running.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _airflow(self) -> LocalAirflow:
        database = self.postgresql
        metadata = database.new_database(AIRFLOW_DATABASE, "psycopg2")
        servers = addresses(
            metadata=metadata,
            results=f"db+{metadata}",
            broker=self.redis.url,
            ledger=database.new_database(LEDGER_DATABASE),
        )
        return LocalAirflow(
            home=self.home / "airflow",
            project=self._project,
            environment=self.settings | servers | self._given,
            port=self._port,
            dag_ids=self._dag_ids,
            schedules=True,
            triggerer=True,
            warm=False,
            schedulers=self._schedulers,
            extras=tuple(self._worker(number) for number in range(1, self.workers + 1)),
            python=self._python,
            start_timeout_s=180.0,
        )

    def _worker(self, number: int) -> Extra:
        name = f"worker-{number}"
        # The logs are in a folder that all parts share, as they must be in a deployment of several machines.
        command = (self._python, "-m", "airflow", "celery", "worker", "--celery-hostname", name, "--skip-serve-logs")
        argv = on_host(name, *command) if self.has_own_hosts else command
        return Extra(name=name, argv=argv, may_end=self._may_end)

    def _wait_for_workers(self) -> None:
        deadline = time.monotonic() + _WORKER_TIMEOUT_S
        logs = [self.airflow.layout.log(f"worker-{number}") for number in range(1, self.workers + 1)]
        while silent := [log.stem for log in logs if not log.exists() or _READY not in log.read_text("utf-8")]:
            self.airflow.check()
            if time.monotonic() > deadline:
                msg = f"Not ready after {_WORKER_TIMEOUT_S:g} s: {', '.join(silent)}; see {logs[0].parent}."
                raise StartError(msg)
            time.sleep(0.1)
