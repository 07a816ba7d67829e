"""`make backfill`: run the sample cohort in a real Airflow, from an empty machine to a report."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from devtools.errors import LocalAirflowError
from devtools.local_airflow import printout
from devtools.local_airflow.offline_judge import OfflineJudge
from devtools.local_airflow.progress import Progress
from devtools.local_airflow.service import LocalAirflow
from devtools.local_airflow.user_settings import DATA_ROOT_VARIABLE, HOW_TO_SET_LLM, LLM_VARIABLE, read_user_settings
from devtools.rest_api.client import AirflowApi
from devtools.rest_api.runs import DagRun, TaskInstance
from essay_cohorts.amounts import counted

DAG_ID = "evaluation_backfill"
SAMPLE_CONF = {"cohort_id": "sample_backfill"}
RUN_PREFIX = "make_backfill__"
HOME = ".airflow"
OFFLINE_TIMEOUT_S = 1800.0
LIVE_TIMEOUT_S = 7 * 24 * 3600.0
SUCCEEDED, FAILED, NOTHING_CALLED = 0, 1, 2


def offline_backfill(project: Path) -> int:
    """Judge the sample data with the offline judge, ignoring the caller's settings; return the exit code."""
    backfill = Backfill(project=project)
    if os.environ.get(DATA_ROOT_VARIABLE):
        backfill.say(
            f"{DATA_ROOT_VARIABLE} is ignored, because this command uses the sample data, with made-up scores. "
            "See make up."
        )
    with OfflineJudge(home=project / HOME / "offline-judge", project=project) as judge:
        backfill.say(f"The offline judge listens on {judge.url}. It is not a model: its scores are made up.")
        environment = {LLM_VARIABLE: judge.connection(), DATA_ROOT_VARIABLE: str(project / "data")}
        with backfill.airflow(environment) as airflow:
            return backfill.run(airflow.api, SAMPLE_CONF, timeout_s=OFFLINE_TIMEOUT_S, calls=judge.calls)


def live_backfill(project: Path, *, assume_yes: bool) -> int:
    """Show the plan, ask, then judge with the models of the user's Connections; return the exit code."""
    settings = read_user_settings(project, os.environ)
    if not settings.has_connection:
        print(HOW_TO_SET_LLM, file=sys.stderr)
        return NOTHING_CALLED
    backfill = Backfill(project=project)
    source = f"llm_default comes from {settings.llm_source}" if settings.llm_source else "llm_default is not set"
    backfill.say(f"{source}; the data root is {settings.data_root}.")
    conf = {} if settings.names_data_root else SAMPLE_CONF
    environment = settings.environment | {DATA_ROOT_VARIABLE: str(settings.data_root)}
    with backfill.airflow(environment) as airflow:
        code, plan = backfill.dry_run(airflow.api, conf)
        if code != SUCCEEDED:
            return code
        calls = int(plan.get("call", 0))
        if calls and not assume_yes and not _agreed(f"Make {counted(calls, 'call')}? [y/N] "):
            return NOTHING_CALLED
        return backfill.run(airflow.api, conf, timeout_s=LIVE_TIMEOUT_S)


def _agreed(question: str) -> bool:
    if not sys.stdin.isatty():
        print(
            "Nothing was called: this is not an interactive terminal, so it cannot ask. "
            "To make the calls: make backfill JUDGE=live YES=1",
            file=sys.stderr,
        )
        return False
    if input(question).strip().lower() in ("y", "yes"):
        return True
    print("Nothing was called.")
    return False


@dataclass(kw_only=True)
class Backfill:
    """One backfill that prints its progress with the seconds since the start, and at its end the `next_step`."""

    project: Path
    next_step: str = "See the run in Airflow: make up, then open the address that it prints."
    _began: float = field(default_factory=time.monotonic)

    def say(self, line: str) -> None:
        """Print a line with the seconds since the start."""
        print(f"{time.monotonic() - self._began:7.1f} s  {line}", flush=True)

    @contextmanager
    def airflow(self, environment: Mapping[str, str]) -> Iterator[LocalAirflow]:
        """Keep an Airflow running during the block."""
        self.say(f"Starting Airflow (SQLite, LocalExecutor, on 127.0.0.1; its home is {HOME}) ...")
        with LocalAirflow(
            home=self.project / HOME, project=self.project, environment=environment, dag_ids=(DAG_ID,)
        ) as airflow:
            self.say(f"Airflow is ready: {airflow.url}")
            yield airflow

    def dry_run(self, api: AirflowApi, conf: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Plan without calling anything, print the plan, and return the exit code and the plan."""
        run_id, state = self._follow(api, {**conf, "dry_run": True}, OFFLINE_TIMEOUT_S, None)
        if state != "success":
            self._print_failure(api, run_id)
            return FAILED, {}
        plan = dict(api.xcom(DAG_ID, run_id, printout.PLANNING, key=printout.PLAN_XCOM))
        _print_all(printout.plan_lines(plan))
        return SUCCEEDED, plan

    def run(
        self, api: AirflowApi, conf: Mapping[str, Any], *, timeout_s: float, calls: Callable[[], int] | None = None
    ) -> int:
        """Trigger the DAG, follow the run, print its result, and return the exit code."""
        run_id, state = self._follow(api, conf, timeout_s, calls)
        if state != "success":
            self._print_failure(api, run_id)
            return FAILED
        summary = api.xcom(DAG_ID, run_id, printout.SUMMARY)
        seconds = time.monotonic() - self._began
        counted = calls() if calls else None
        lines = printout.closing_lines(
            summary, calls=counted, project=self.project, seconds=seconds, next_step=self.next_step
        )
        _print_all(lines)
        return SUCCEEDED

    def _follow(
        self, api: AirflowApi, conf: Mapping[str, Any], timeout_s: float, calls: Callable[[], int] | None
    ) -> tuple[str, str]:
        api.unpause(DAG_ID)
        self._end_leftovers(api)
        run_id = api.trigger(DAG_ID, conf, RUN_PREFIX + datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
        self.say(f"Triggered {DAG_ID} as {run_id}")
        progress = Progress()

        def print_changes(_run: DagRun, tasks: list[TaskInstance]) -> None:
            for line in progress.changes(tasks):
                self.say(line + _calls_so_far(line, calls))

        try:
            return run_id, api.wait(DAG_ID, run_id, timeout_s, print_changes)
        except BaseException:
            # A run that is left running would continue by itself in the next Airflow that is started here.
            with suppress(LocalAirflowError):
                api.set_run_state(DAG_ID, run_id, "failed")
            raise

    def _end_leftovers(self, api: AirflowApi) -> None:
        for run in api.dag_runs(DAG_ID, states=("queued", "running")):
            if run.run_id.startswith(RUN_PREFIX):
                api.set_run_state(DAG_ID, run.run_id, "failed")
                self.say(f"{run.run_id} was interrupted earlier and is marked as failed.")
            else:
                self.say(f"{run.run_id} is not finished, so the new run waits for it.")

    def _print_failure(self, api: AirflowApi, run_id: str) -> None:
        tasks = api.task_instances(DAG_ID, run_id)
        quoted = printout.task_to_quote(tasks)
        log = ""
        if quoted is not None:
            with suppress(LocalAirflowError):
                log = api.task_log(DAG_ID, run_id, quoted.task_id, quoted.map_index, quoted.try_number)
        _print_all(printout.failure_lines(tasks, quoted, log))


def _calls_so_far(line: str, calls: Callable[[], int] | None) -> str:
    if calls is None or "evaluation_raw" not in line:
        return ""
    with suppress(httpx.HTTPError):
        return f"; LLM calls so far: {calls()}"
    return ""


def _print_all(lines: Sequence[str]) -> None:
    print("\n".join(lines), flush=True)
