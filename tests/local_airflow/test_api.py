"""The client of the REST API, with a transport that answers from a queue and keeps the requests."""

import json
from collections import deque
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from devtools.errors import ApiError, StartError, WaitTimeoutError
from devtools.rest_api.client import AirflowApi
from devtools.rest_api.runs import DagRun, TaskInstance

RUN: dict[str, Any] = {
    "dag_id": "d",
    "dag_run_id": "r",
    "state": "running",
    "conf": {},
    "queued_at": "2026-01-01T00:00:00Z",
    "start_date": "2026-01-01T00:00:01.5Z",
    "end_date": None,
}


def instance(task_id: str, map_index: int = -1, state: str | None = "success") -> dict[str, Any]:
    times = {"queued_when": None, "start_date": None, "end_date": None}
    return {
        "task_id": task_id,
        "map_index": map_index,
        "state": state,
        "rendered_map_index": None,
        "try_number": 1,
    } | times


class FakeAirflow:
    """Answers each login, and each other request with the next of its replies; `sent` keeps the other requests."""

    def __init__(self, *replies: tuple[int, Any] | Exception) -> None:
        self.replies = deque(replies)
        self.sent: list[httpx.Request] = []
        self.logins = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/auth/token":
            self.logins += 1
            return httpx.Response(201, json={"access_token": f"token-{self.logins}"})
        self.sent.append(request)
        reply = self.replies.popleft()
        if isinstance(reply, Exception):
            raise reply
        return httpx.Response(reply[0], json=reply[1])

    def client(self, check: Callable[[], None] = lambda: None) -> AirflowApi:
        return AirflowApi("http://airflow/", user="u", password="p", check=check, transport=httpx.MockTransport(self))


def test_trigger_sends_the_conf_and_returns_the_run_id() -> None:
    """The body has the conf and the run id without a logical date, and the answer's run id is returned."""
    airflow = FakeAirflow((200, RUN))
    assert airflow.client().trigger("d", {"a": 1}, "r") == "r"
    assert json.loads(airflow.sent[0].content) == {"conf": {"a": 1}, "logical_date": None, "dag_run_id": "r"}
    assert airflow.sent[0].headers["Authorization"] == "Bearer token-1"


def test_a_trigger_is_sent_again_when_the_database_was_busy() -> None:
    """The client tries again after an error of the database, but not after another error of the server."""
    busy = (500, {"detail": {"reason": "Database error", "message": "Serious error when handling your request."}})
    airflow = FakeAirflow(busy, (200, RUN))
    assert airflow.client().trigger("d", {"a": 1}, "r") == "r"
    assert [json.loads(request.content)["dag_run_id"] for request in airflow.sent] == ["r", "r"]
    other = FakeAirflow((500, {"detail": "Internal Server Error"}), (200, RUN))
    with pytest.raises(ApiError, match="Internal Server Error"):
        other.client().trigger("d", {}, "r")


def test_a_refusal_has_airflows_own_message() -> None:
    """A 400 becomes an error with the status and Airflow's message."""
    airflow = FakeAirflow((400, {"detail": "Invalid input for param n: 'x' is not of type 'integer'"}))
    with pytest.raises(ApiError, match="Invalid input for param n: 'x' is not of type 'integer'") as caught:
        airflow.client().trigger("d", {"n": "x"})
    assert caught.value.status == 400


def test_refused_fields_are_named() -> None:
    """A 422 with a list of fields becomes a message that names each field."""
    detail = [{"loc": ["body", "conf"], "msg": "Input should be a valid dictionary", "type": "dict_type"}]
    with pytest.raises(ApiError, match=r"body\.conf: Input should be a valid dictionary"):
        FakeAirflow((422, {"detail": detail})).client().trigger("d")


def test_an_expired_token_is_renewed() -> None:
    """After a 401 the client logs in again and repeats the request."""
    airflow = FakeAirflow((401, {"detail": "expired"}), (200, RUN))
    assert airflow.client().dag_run("d", "r").state == "running"
    assert [request.headers["Authorization"] for request in airflow.sent] == ["Bearer token-1", "Bearer token-2"]


def test_a_wrong_password_is_tried_twice_only() -> None:
    """A second 401 in a row is an error."""
    airflow = FakeAirflow((401, {"detail": "Not authenticated"}), (401, {"detail": "Not authenticated"}))
    with pytest.raises(ApiError, match="Not authenticated"):
        airflow.client().dag_run("d", "r")


def test_no_answer_with_a_known_reason() -> None:
    """When the connection fails, the error of `check` is raised instead of a connection error."""

    def check() -> None:
        msg = "api-server ended with code 1"
        raise StartError(msg)

    with pytest.raises(StartError, match="api-server ended"):
        FakeAirflow(httpx.ConnectError("refused")).client(check).dag_run("d", "r")


def test_no_answer_without_a_known_reason() -> None:
    """When the connection fails without a known reason, the error names the address."""
    with pytest.raises(ApiError, match="no answer from http://airflow"):
        FakeAirflow(httpx.ConnectError("refused")).client().dag_run("d", "r")


def test_a_run_is_read_with_its_times() -> None:
    """Times are aware datetimes, or None while they are not known."""
    run = FakeAirflow((200, RUN)).client().dag_run("d", "r")
    assert isinstance(run, DagRun)
    assert run.started_at is not None
    assert run.started_at.isoformat() == "2026-01-01T00:00:01.500000+00:00"
    assert run.ended_at is None


def test_all_pages_of_task_instances_are_read() -> None:
    """The client requests pages until it has all entries; an entry on two pages counts once."""
    first = {"task_instances": [instance("b", 0), instance("b", 1)], "total_entries": 4}
    second = {"task_instances": [instance("b", 1), instance("a")], "total_entries": 4}
    airflow = FakeAirflow((200, first), (200, second))
    found = airflow.client().task_instances("d", "manual__2026-01-01T00:00:00+00:00")
    assert [(task.task_id, task.map_index) for task in found] == [("a", -1), ("b", 0), ("b", 1)]
    assert [request.url.params["offset"] for request in airflow.sent] == ["0", "2"]
    assert "manual__2026-01-01T00%3A00%3A00%2B00%3A00" in str(airflow.sent[0].url)


def test_a_log_is_plain_text_with_its_traceback() -> None:
    """Structured entries become lines, and an exception keeps its frames and message."""
    frames = [{"filename": "f.py", "lineno": 3, "name": "go"}]
    entries = [
        "a plain line",
        {"timestamp": "2026-01-01T00:00:00Z", "level": "info", "event": "hello"},
        {"event": "failed", "error_detail": [{"exc_type": "Bad", "exc_value": "no", "frames": frames}]},
    ]
    airflow = FakeAirflow((200, {"content": entries, "continuation_token": None}))
    assert airflow.client().task_log("d", "r", "t", 2, 3).splitlines() == [
        "a plain line",
        "2026-01-01T00:00:00Z info hello",
        "failed",
        '  File "f.py", line 3, in go',
        "  Bad: no",
    ]
    assert airflow.sent[0].url.path.endswith("/taskInstances/t/logs/3")
    assert airflow.sent[0].url.params["map_index"] == "2"


def test_clearing_a_run_clears_successful_tasks_too() -> None:
    """The request clears the whole run, not only its failed tasks, and is not a dry run."""
    airflow = FakeAirflow((200, RUN))
    airflow.client().clear_run("d", "r")
    assert json.loads(airflow.sent[0].content) == {"dry_run": False, "only_failed": False}


def test_clearing_tasks_names_one_mapped_instance() -> None:
    """A pair of task id and map index is sent as a pair."""
    airflow = FakeAirflow((200, {"task_instances": [instance("t", 3)], "total_entries": 1}))
    cleared = airflow.client().clear_tasks("d", "r", [("t", 3)], downstream=True)
    assert [(task.task_id, task.map_index) for task in cleared] == [("t", 3)]
    body = json.loads(airflow.sent[0].content)
    assert (body["task_ids"], body["include_downstream"], body["only_failed"]) == ([["t", 3]], True, False)


def test_waiting_reports_each_change_once() -> None:
    """The callback is called when a state has changed since the last poll, and only then."""
    running = {"task_instances": [instance("t", state="running")], "total_entries": 1}
    done = {"task_instances": [instance("t")], "total_entries": 1}
    ended = (200, RUN | {"state": "success"})
    airflow = FakeAirflow((200, RUN), (200, running), (200, RUN), (200, running), ended, (200, done))
    changes: list[tuple[str, str | None]] = []

    def note_change(run: DagRun, tasks: list[TaskInstance]) -> None:
        changes.append((run.state, tasks[0].state))

    assert airflow.client().wait("d", "r", 5, note_change, poll_s=0) == "success"
    assert changes == [("running", "running"), ("success", "success")]


def test_waiting_ends_when_the_time_is_up() -> None:
    """The error has the states of the run and its tasks."""
    tasks = {"task_instances": [instance("t"), instance("u", state=None)], "total_entries": 2}
    with pytest.raises(WaitTimeoutError, match=r"running after 0 s; tasks: 1 success, 1 waiting"):
        FakeAirflow((200, RUN), (200, tasks)).client().wait("d", "r", 0, poll_s=0)
