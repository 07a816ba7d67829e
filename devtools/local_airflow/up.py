"""`make up`: Airflow with its web page, kept running in the foreground."""

import os
import time
from pathlib import Path

from devtools.local_airflow.backfill import HOME
from devtools.local_airflow.printout import relative
from devtools.local_airflow.readiness import import_problems
from devtools.local_airflow.service import LocalAirflow
from devtools.local_airflow.user_settings import DATA_ROOT_VARIABLE, HOW_TO_SET_LLM, UserSettings, read_user_settings

FIRST_PARSE_S = 15.0
SETTLED_S = 1.5
# Airflow's summary of a timetable without a clock, which lets a run emit events of single partitions of an asset.
ONLY_TRIGGERED = "PartitionedAtRuntime"


def up(project: Path, *, port: int) -> int:
    """Run Airflow until a signal or until one of its processes ends."""
    settings = read_user_settings(project, os.environ)
    airflow = LocalAirflow(
        home=project / HOME,
        project=project,
        environment=settings.environment | {DATA_ROOT_VARIABLE: str(settings.data_root)},
        port=port,
        schedules=True,
        triggerer=True,
    )
    print("Starting Airflow ...", flush=True)
    with airflow:
        print("\n".join(_welcome(airflow, settings, project, port)), flush=True)
        while True:
            airflow.check()
            time.sleep(0.5)


def _welcome(airflow: LocalAirflow, settings: UserSettings, project: Path, port: int) -> list[str]:
    judge = f"from {settings.llm_source}" if settings.llm_source else "not set"
    busy = f"   (port {port} is in use)" if port and airflow.port != port else ""
    return [
        f"Airflow is ready: {airflow.url}{busy}",
        f"  user         {airflow.user}",
        f"  password     {airflow.password}   (kept in {relative(str(airflow.layout.passwords), project)})",
        f"  data root    {relative(str(settings.data_root), project)}",
        f"  llm_default  {judge}",
        *_dag_lines(airflow),
        *([] if settings.llm_source else [HOW_TO_SET_LLM]),
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
