"""Describes the progress of a run: one line for each task whose status has changed."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from devtools.rest_api.runs import TaskInstance

END_STATES = ("success", "failed", "upstream_failed", "skipped", "removed")
EXPECTED_END_STATES = ("success",)
WAITING_STATES = ("scheduled", "queued")
# Sorts the tasks that have not started yet after all others.
_NOT_STARTED = datetime.max.replace(tzinfo=UTC)


class Progress:
    """Remembers the status of each task of a run, so that only changes are printed."""

    def __init__(self) -> None:
        self._last_statuses: dict[str, str] = {}

    def changes(self, tasks: Sequence[TaskInstance]) -> list[str]:
        """Return a line for each task whose status has changed since the last call, in the order of their start."""
        statuses = _statuses(tasks)
        lines = [
            f"{name}: {text}" for name, text in statuses.items() if text and self._last_statuses.get(name) != text
        ]
        self._last_statuses.update(statuses)
        return lines


def _statuses(tasks: Sequence[TaskInstance]) -> dict[str, str]:
    by_task: dict[str, list[TaskInstance]] = {}
    for task in sorted(tasks, key=lambda task: task.started_at or _NOT_STARTED):
        by_task.setdefault(task.task_id, []).append(task)
    return {task_id: _status(instances) for task_id, instances in by_task.items()}


def _status(instances: Sequence[TaskInstance]) -> str:
    """Return the state of a single instance, or `3 of 12 done (1 skipped)` for a mapped task.

    Returns "" while no instance has started.
    """
    if len(instances) == 1 and instances[0].map_index < 0:
        state = instances[0].state or ""
        return "" if state in WAITING_STATES else state
    states = Counter(instance.state for instance in instances)
    done = sum(states[state] for state in END_STATES)
    if not done and not states["running"]:
        return ""
    notable = ", ".join(
        f"{states[state]} {state}" for state in END_STATES if states[state] and state not in EXPECTED_END_STATES
    )
    return f"{done} of {len(instances)} done" + (f" ({notable})" if notable else "")
