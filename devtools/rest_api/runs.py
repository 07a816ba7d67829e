"""The answers of Airflow's REST API as values: runs, task instances, and DAG files that cannot be imported."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self


@dataclass(frozen=True, kw_only=True, slots=True)
class DagRun:
    """One run of a DAG; a time is None until it is known."""

    dag_id: str
    run_id: str
    state: str
    conf: dict[str, Any]
    queued_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None

    @classmethod
    def from_json(cls, answer: dict[str, Any]) -> Self:
        """Return the run that the REST API describes."""
        return cls(
            dag_id=answer["dag_id"],
            run_id=answer["dag_run_id"],
            state=answer["state"],
            conf=answer["conf"] or {},
            queued_at=moment(answer["queued_at"]),
            started_at=moment(answer["start_date"]),
            ended_at=moment(answer["end_date"]),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskInstance:
    """One instance of a task; `state` is None until Airflow has decided one.

    `map_index` is -1 when the task is not mapped. `label` is the text that the UI shows for a mapped instance.
    """

    task_id: str
    map_index: int
    label: str | None
    state: str | None
    try_number: int
    queued_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    hostname: str = ""

    @classmethod
    def from_json(cls, answer: dict[str, Any]) -> Self:
        """Return the task instance that the REST API describes."""
        return cls(
            task_id=answer["task_id"],
            map_index=answer["map_index"],
            label=answer["rendered_map_index"],
            state=answer["state"],
            try_number=answer["try_number"],
            queued_at=moment(answer["queued_when"]),
            started_at=moment(answer["start_date"]),
            ended_at=moment(answer["end_date"]),
            hostname=answer.get("hostname") or "",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportProblem:
    """A DAG file that could not be imported when it was last parsed."""

    file: str
    parsed_at: datetime | None
    traceback: str

    @classmethod
    def from_json(cls, answer: dict[str, Any]) -> Self:
        """Return the problem that the REST API describes."""
        return cls(
            file=answer["filename"], parsed_at=moment(answer["timestamp"]), traceback=answer["stack_trace"].strip()
        )


def moment(text: str | None) -> datetime | None:
    """Return a time of the REST API as a datetime."""
    return datetime.fromisoformat(text) if text else None


def count_by_state(tasks: Iterable[TaskInstance]) -> str:
    """Return the number of instances in each state, in words: `3 success, 1 running`."""
    counts = Counter(task.state or "waiting" for task in tasks)
    return ", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "none"
