"""How far a run is, in words: a line for each task whose standing has changed."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from devtools.rest_api.runs import TaskInstance

DONE = ("success", "failed", "upstream_failed", "skipped", "removed")
UNREMARKABLE = ("success",)
NOT_SHOWN = ("scheduled", "queued")
_LAST = datetime.max.replace(tzinfo=UTC)


class Progress:
    """Remembers what was said of a run, so that only what is new is said."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}

    def news(self, tasks: Sequence[TaskInstance]) -> list[str]:
        """Return a line for each task whose standing differs from the last look, in the order they started."""
        standings = _standings(tasks)
        lines = [f"{name}: {text}" for name, text in standings.items() if text and self._said.get(name) != text]
        self._said.update(standings)
        return lines


def _standings(tasks: Sequence[TaskInstance]) -> dict[str, str]:
    by_task: dict[str, list[TaskInstance]] = {}
    for task in sorted(tasks, key=lambda task: task.started_at or _LAST):
        by_task.setdefault(task.task_id, []).append(task)
    return {task_id: _standing(instances) for task_id, instances in by_task.items()}


def _standing(instances: Sequence[TaskInstance]) -> str:
    """Return `running`, `success` or the like for one instance, `3 of 12 done (1 skipped)` for a mapped task."""
    if len(instances) == 1 and instances[0].map_index < 0:
        state = instances[0].state or ""
        return "" if state in NOT_SHOWN else state
    states = Counter(instance.state for instance in instances)
    done = sum(states[state] for state in DONE)
    if not done and not states["running"]:
        return ""
    notable = ", ".join(f"{states[state]} {state}" for state in DONE if states[state] and state not in UNREMARKABLE)
    return f"{done} of {len(instances)} done" + (f" ({notable})" if notable else "")
