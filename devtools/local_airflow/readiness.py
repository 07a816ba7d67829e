"""Wait until a private Airflow is ready: its processes send heartbeats, and the wanted DAGs have been parsed."""

import time
from collections.abc import Callable, Collection
from datetime import datetime

from devtools.errors import ApiError, DagImportError, StartError
from devtools.rest_api.client import AirflowApi
from devtools.rest_api.runs import ImportProblem, moment

POLL_S = 0.1


def wait_until_ready(
    api: AirflowApi,
    *,
    since: datetime,
    components: Collection[str],
    dag_ids: Collection[str],
    check: Callable[[], None],
    timeout_s: float,
) -> None:
    """Return when every component has sent a heartbeat and every DAG was parsed, both after `since`.

    Heartbeats and import errors that an earlier session left in the same database do not count.

    Raises:
        DagImportError: a DAG file cannot be imported and a wanted DAG is missing.
        StartError: the time is up; the message says what is missing.
    """
    deadline = time.monotonic() + timeout_s
    while missing := _missing(api, since, components, dag_ids):
        check()
        if time.monotonic() > deadline:
            msg = f"Airflow is not ready after {timeout_s:g} s; missing: {', '.join(missing)}."
            raise StartError(msg)
        time.sleep(POLL_S)


def import_problems(api: AirflowApi, since: datetime) -> list[ImportProblem]:
    """Return the DAG files that could not be imported since `since`."""
    return [problem for problem in api.import_errors() if problem.parsed_at is None or problem.parsed_at >= since]


def _missing(api: AirflowApi, since: datetime, components: Collection[str], dag_ids: Collection[str]) -> list[str]:
    try:
        health = api.health()
    except ApiError:
        return ["an answer from the api-server"]
    silent = [name for name in components if not _is_healthy(health.get(name) or {}, name, since)]
    parsed = {each["dag_id"] for each in api.dags() if _is_after(each["last_parsed_time"], since)}
    unparsed = sorted(set(dag_ids) - parsed)
    if unparsed and (problems := import_problems(api, since)):
        texts = "\n".join(f"{problem.file}:\n{problem.traceback}" for problem in problems)
        msg = f"DAG {', '.join(unparsed)} is missing, and these files cannot be imported.\n{texts}"
        raise DagImportError(msg)
    return [f"a heartbeat of the {name}" for name in silent] + [f"the DAG {dag_id}" for dag_id in unparsed]


def _is_healthy(component: dict[str, str | None], name: str, since: datetime) -> bool:
    return component.get("status") == "healthy" and _is_after(component.get(f"latest_{name}_heartbeat"), since)


def _is_after(text: str | None, since: datetime) -> bool:
    time = moment(text)
    return time is not None and time >= since
