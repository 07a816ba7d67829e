"""A client of Airflow's REST API for scripts that trigger a DAG, follow its run, and read results."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import httpx
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_fixed

from devtools.errors import ApiError, WaitTimeoutError
from devtools.rest_api.runs import DagRun, ImportProblem, TaskInstance, count_by_state
from devtools.rest_api.session import ApiSession

ENDED = frozenset({"success", "failed"})


class AirflowApi:
    """The requests of one user to one Airflow; the client logs in by itself.

    `check` is called while waiting and when there is no answer; it raises when a process of Airflow has ended.
    """

    def __init__(
        self,
        url: str,
        *,
        user: str,
        password: str,
        check: Callable[[], None] = lambda: None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._session = ApiSession(url, user=user, password=password, check=check, transport=transport)
        self._check = check

    @property
    def url(self) -> str:
        """The address of Airflow."""
        return self._session.url

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def health(self) -> dict[str, Any]:
        """Return the answer of `/monitor/health`: the state of each component."""
        return self._session.get("monitor/health")

    def dags(self) -> list[dict[str, Any]]:
        """Return every DAG that Airflow still finds in its files."""
        return list(self._session.entries("dags", "dags", order_by="dag_id"))

    def dag_details(self, dag_id: str) -> dict[str, Any]:
        """Return everything about one DAG."""
        return self._session.get(f"dags/{quote(dag_id)}/details")

    def dag_params(self, dag_id: str) -> dict[str, Any]:
        """Return the DAG's params by name, each with its `value`, `schema` and `description`."""
        return dict(self.dag_details(dag_id)["params"] or {})

    def unpause(self, dag_id: str) -> None:
        """Let the scheduler run the DAG."""
        self._session.request("PATCH", f"dags/{quote(dag_id)}", json={"is_paused": False})

    def asset_events(self, name: str) -> list[dict[str, Any]]:
        """Return the events of the asset of this name, oldest first."""
        events = self._session.entries("assets/events", "asset_events", order_by="timestamp")
        return [event for event in events if event["name"] == name]

    def import_errors(self) -> list[ImportProblem]:
        """Return the DAG files that could not be imported, each with Airflow's traceback."""
        return [ImportProblem.from_json(each) for each in self._session.entries("importErrors", "import_errors")]

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None, run_id: str | None = None) -> str:
        """Start a run of the DAG and return its id.

        Tries again when the database was busy, because Airflow has undone such an attempt.

        Raises:
            ApiError: Airflow refused; its own sentence names what is wrong with `conf`.
        """
        body: dict[str, Any] = {"conf": dict(conf or {}), "logical_date": None}
        if run_id is not None:
            body["dag_run_id"] = run_id
        retrying = Retrying(
            retry=retry_if_exception(_database_was_busy),
            stop=stop_after_attempt(5),
            wait=wait_fixed(0.5),
            reraise=True,
        )
        answer = retrying(self._session.request, "POST", f"dags/{quote(dag_id)}/dagRuns", json=body)
        return str(answer["dag_run_id"])

    def dag_run(self, dag_id: str, run_id: str) -> DagRun:
        """Return the current state of the run."""
        return DagRun.from_json(self._session.get(_run(dag_id, run_id)))

    def dag_runs(self, dag_id: str, *, states: Sequence[str] = ()) -> list[DagRun]:
        """Return the DAG's runs, oldest first; `states` narrows them to runs in one of these states."""
        entries = self._session.entries(
            f"dags/{quote(dag_id)}/dagRuns", "dag_runs", order_by="id", state=list(states)
        )
        return [DagRun.from_json(each) for each in entries]

    def task_instances(self, dag_id: str, run_id: str) -> list[TaskInstance]:
        """Return all task instances of the run, ordered by task and map index."""
        entries = self._session.entries(
            f"{_run(dag_id, run_id)}/taskInstances", "task_instances", order_by="map_index"
        )
        # While Airflow expands a mapped task, offsets shift and an instance may be on two pages.
        instances = {(each["task_id"], each["map_index"]): TaskInstance.from_json(each) for each in entries}
        return [instances[key] for key in sorted(instances)]

    def task_log(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1, try_number: int = 1) -> str:
        """Return one try's log as plain text: time, level and message, then the frames of a traceback."""
        path = f"{_run(dag_id, run_id)}/taskInstances/{quote(task_id)}/logs/{try_number}"
        lines: list[str] = []
        token: str | None = None
        while True:
            answer = self._session.get(path, map_index=map_index, full_content=True, token=token)
            lines += [_log_line(each) for each in answer["content"]]
            token = answer.get("continuation_token")
            if not token or not answer["content"]:
                return "\n".join(lines)

    def xcom(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1, key: str = "return_value") -> Any:
        """Return the value that a task instance pushed under `key`."""
        path = f"{_run(dag_id, run_id)}/taskInstances/{quote(task_id)}/xcomEntries/{quote(key)}"
        return self._session.get(path, map_index=map_index, deserialize=True)["value"]

    def clear_run(self, dag_id: str, run_id: str) -> None:
        """Run the whole run again, including the tasks that succeeded."""
        self._session.request("POST", f"{_run(dag_id, run_id)}/clear", json={"dry_run": False, "only_failed": False})

    def clear_tasks(
        self,
        dag_id: str,
        run_id: str,
        task_ids: Sequence[str | tuple[str, int]],
        *,
        downstream: bool = False,
        upstream: bool = False,
        only_failed: bool = False,
    ) -> list[TaskInstance]:
        """Run tasks of the run again and return them; a pair (task id, map index) names one instance."""
        body = {
            "dry_run": False,
            "dag_run_id": run_id,
            "task_ids": list(task_ids),
            "include_downstream": downstream,
            "include_upstream": upstream,
            "only_failed": only_failed,
        }
        answer = self._session.request("POST", f"dags/{quote(dag_id)}/clearTaskInstances", json=body)
        return [TaskInstance.from_json(each) for each in answer["task_instances"]]

    def set_run_state(self, dag_id: str, run_id: str, state: str) -> None:
        """Set a run to `failed`, `success` or `queued`; Airflow ends the tasks of a failed or successful run."""
        self._session.request("PATCH", _run(dag_id, run_id), json={"state": state})

    def wait(
        self,
        dag_id: str,
        run_id: str,
        timeout_s: float,
        on_change: Callable[[DagRun, list[TaskInstance]], None] | None = None,
        poll_s: float = 0.5,
    ) -> str:
        """Wait for the end of the run and return its state: `success` or `failed`.

        `on_change` is called with the run and its task instances each time a state has changed since the last poll.

        Raises:
            WaitTimeoutError: the run has not ended within `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        former: object = None
        while True:
            run = self.dag_run(dag_id, run_id)
            if on_change is not None:
                tasks = self.task_instances(dag_id, run_id)
                states = (run.state, tuple((task.task_id, task.map_index, task.state) for task in tasks))
                if states != former:
                    on_change(run, tasks)
                former = states
            if run.state in ENDED:
                return run.state
            self._check()
            if time.monotonic() > deadline:
                raise WaitTimeoutError(self._describe(run, timeout_s))
            time.sleep(poll_s)

    def _describe(self, run: DagRun, waited_s: float) -> str:
        states = count_by_state(self.task_instances(run.dag_id, run.run_id))
        return f"{run.dag_id} {run.run_id} is {run.state} after {waited_s:g} s; tasks: {states}."


def _database_was_busy(error: BaseException) -> bool:
    """Return whether Airflow's database refused a write, because another transaction wrote first (SQLite)."""
    return isinstance(error, ApiError) and error.status == 500 and "Database error" in error.sentence


def _run(dag_id: str, run_id: str) -> str:
    return f"dags/{quote(dag_id)}/dagRuns/{quote(run_id, safe='')}"


def _log_line(entry: Any) -> str:
    if not isinstance(entry, dict):
        return str(entry)
    head = " ".join(str(entry[name]) for name in ("timestamp", "level") if entry.get(name))
    lines = [f"{head} {entry.get('event', '')}".strip()]
    for error in entry.get("error_detail") or []:
        lines += [f'  File "{f["filename"]}", line {f["lineno"]}, in {f["name"]}' for f in error.get("frames", [])]
        lines.append(f"  {error.get('exc_type')}: {error.get('exc_value')}")
    return "\n".join(lines)
