"""The progress of a run in words: one line for each task whose status has changed."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from devtools.rest_api.runs import TaskInstance

DONE = ("success", "failed", "upstream_failed", "skipped", "removed")
UNREMARKABLE = ("success",)
NOT_SHOWN = ("scheduled", "queued")
_LAST = datetime.max.replace(tzinfo=UTC)


class Progress:
    """Remembers the status of each task of a run, so that only changes are printed."""

    def __init__(self) -> None:
        self._former: dict[str, str] = {}

    def changes(self, tasks: Sequence[TaskInstance]) -> list[str]:
        """Return a line for each task whose status has changed since the last call, in the order they started."""
        statuses = _statuses(tasks)
        lines = [f"{name}: {text}" for name, text in statuses.items() if text and self._former.get(name) != text]
        self._former.update(statuses)
        return lines


def _statuses(tasks: Sequence[TaskInstance]) -> dict[str, str]:
    by_task: dict[str, list[TaskInstance]] = {}
    for task in sorted(tasks, key=lambda task: task.started_at or _LAST):
        by_task.setdefault(task.task_id, []).append(task)
    return {task_id: _status(instances) for task_id, instances in by_task.items()}


def _status(instances: Sequence[TaskInstance]) -> str:
    """Return the state of a single instance, or `3 of 12 done (1 skipped)` for a mapped task."""
    if len(instances) == 1 and instances[0].map_index < 0:
        state = instances[0].state or ""
        return "" if state in NOT_SHOWN else state
    states = Counter(instance.state for instance in instances)
    done = sum(states[state] for state in DONE)
    if not done and not states["running"]:
        return ""
    notable = ", ".join(f"{states[state]} {state}" for state in DONE if states[state] and state not in UNREMARKABLE)
    return f"{done} of {len(instances)} done" + (f" ({notable})" if notable else "")
