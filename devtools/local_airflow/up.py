"""`make up`: Airflow with its web page, kept running in the foreground, with the offline judge beside it if asked."""

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from devtools.errors import DataRootError
from devtools.local_airflow.backfill import HOME
from devtools.local_airflow.offline_judge import OfflineJudge
from devtools.local_airflow.printout import relative
from devtools.local_airflow.readiness import import_problems
from devtools.local_airflow.service import LocalAirflow
from devtools.local_airflow.user_settings import (
    DATA_ROOT_VARIABLE,
    HOW_TO_PRACTISE,
    HOW_TO_SET_LLM,
    UserSettings,
    read_user_settings,
)
from devtools.supervision.ports import check_port
from essay_cohorts.provenance import OFFLINE_OK

FIRST_PARSE_S = 15.0
SETTLED_S = 1.5
PREFERRED_PORT = 8080
# Airflow's summary of a timetable without a clock, which lets a run emit events of single partitions of an asset.
ONLY_TRIGGERED = "PartitionedAtRuntime"
# Airflow shows an external view of a plugin in its own frame below this path, by the view's url_route.
COHORTS_PATH = "/plugin/cohorts"


def up(project: Path, *, offline: bool, port: int | None) -> int:
    """Run Airflow until a signal or until one of its processes ends; `offline` runs the offline judge beside it.

    Without a `port` Airflow takes 8080, or any free port when that one is in use.

    Raises:
        PortError: the named port cannot be used.
        DataRootError: `offline`, and the data root does not accept made-up scores.
    """
    settings = read_user_settings(project, os.environ)
    if port is not None:
        check_port(port)
    if offline:
        check_accepts_made_up(settings.data_root)
    with ExitStack() as running:
        checks: list[Callable[[], None]] = []
        if offline:
            judge = running.enter_context(OfflineJudge(home=project / HOME / "offline-judge", project=project))
            settings = settings.with_offline_judge(judge.connection(), judge.url)
            checks.append(judge.check)
        airflow = _airflow(project, settings, port)
        checks.append(airflow.check)
        print("Starting Airflow ...", flush=True)
        running.enter_context(airflow)
        print("\n".join(_welcome(airflow, settings, project, port)), flush=True)
        while True:
            for check in checks:
                check()
            time.sleep(0.5)


def check_accepts_made_up(data_root: Path) -> None:
    """Return when made-up scores count in the data root.

    Raises:
        DataRootError: the folder is missing, or nobody allowed made-up scores in it, so that it may hold real work.
    """
    if (data_root / OFFLINE_OK).exists():
        return
    found = f"it has no {OFFLINE_OK}, so made-up scores do not count there" if data_root.is_dir() else "it is missing"
    msg = (
        f"The offline judge cannot be used with the data root {data_root}: {found}. Nothing was started.\n"
        f"Next, one of these:\n"
        f"  {DATA_ROOT_VARIABLE}=data make up JUDGE=offline        practise with the sample data\n"
        f"  .venv/bin/cohorts init FOLDER --offline         create a data root for practice, and name it in "
        f"{DATA_ROOT_VARIABLE}\n"
        f"  make up                                         judge with the models of your Connections"
    )
    raise DataRootError(msg)


def _airflow(project: Path, settings: UserSettings, port: int | None) -> LocalAirflow:
    return LocalAirflow(
        home=project / HOME,
        project=project,
        environment=settings.environment | {DATA_ROOT_VARIABLE: str(settings.data_root)},
        port=port or PREFERRED_PORT,
        schedules=True,
        triggerer=True,
    )


def _welcome(airflow: LocalAirflow, settings: UserSettings, project: Path, port: int | None) -> list[str]:
    judge = f"from {settings.llm_source}" if settings.llm_source else "not set"
    busy = f"   (port {PREFERRED_PORT} is in use)" if port is None and airflow.port != PREFERRED_PORT else ""
    return [
        f"Airflow is ready: {airflow.url}{busy}",
        f"  open Cohorts {airflow.url}{COHORTS_PATH}",
        f"  user         {airflow.user}",
        f"  password     {airflow.password}   (kept in {relative(str(airflow.layout.passwords), project)})",
        f"  data root    {relative(str(settings.data_root), project)}",
        f"  llm_default  {judge}",
        *_dag_lines(airflow),
        *([] if settings.llm_source else [HOW_TO_SET_LLM, HOW_TO_PRACTISE]),
        "Ctrl-C stops it.",
    ]


def _dag_lines(airflow: LocalAirflow) -> list[str]:
    """Wait until all files were parsed; return a line for each DAG and for each file that cannot be imported."""
    deadline, settled_at, seen = time.monotonic() + FIRST_PARSE_S, 0.0, -1
    while time.monotonic() < deadline and not (seen > 0 and time.monotonic() > settled_at):
        dags, problems = airflow.api.dags(), import_problems(airflow.api, airflow.started_at)
        if len(dags) + len(problems) != seen:
            seen, settled_at = len(dags) + len(problems), time.monotonic() + SETTLED_S
        time.sleep(0.2)
    lines = [f"  DAG          {each['dag_id']}{_start_mode(each)}" for each in dags]
    return lines + [f"  cannot be imported: {each.file}\n{each.traceback}" for each in problems]


def _start_mode(dag: dict[str, object]) -> str:
    """Say that the DAG is paused or has a schedule; "" when it is only triggered."""
    schedule = dag["timetable_summary"]
    by_itself = f", runs by its schedule ({schedule})" if schedule and schedule != ONLY_TRIGGERED else ""
    return ", paused" if dag["is_paused"] else by_itself
