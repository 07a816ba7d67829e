"""The lines that show the progress of a run."""

from datetime import UTC, datetime

import pytest

from devtools.local_airflow.progress import Progress
from devtools.rest_api.runs import TaskInstance


def task(name: str, state: str | None, map_index: int = -1, second: int | None = None) -> TaskInstance:
    started = None if second is None else datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC)
    return TaskInstance(
        task_id=name,
        map_index=map_index,
        label=None,
        state=state,
        try_number=1,
        queued_at=None,
        started_at=started,
        ended_at=None,
    )


@pytest.mark.parametrize(
    ("tasks", "lines"),
    [
        pytest.param([task("t", None)], [], id="nothing decided"),
        pytest.param([task("t", "queued")], [], id="queued"),
        pytest.param([task("t", "running")], ["t: running"], id="running"),
        pytest.param([task("t", "up_for_retry")], ["t: up_for_retry"], id="waits for its next try"),
        pytest.param([task("t", None, 0), task("t", "scheduled", 1)], [], id="mapped, none started"),
        pytest.param([task("t", "running", 0), task("t", None, 1)], ["t: 0 of 2 done"], id="mapped, one runs"),
        pytest.param([task("t", "success", 0), task("t", None, 1)], ["t: 1 of 2 done"], id="mapped, one done"),
        pytest.param(
            [task("t", "skipped", 0), task("t", "failed", 1), task("t", "success", 2)],
            ["t: 3 of 3 done (1 failed, 1 skipped)"],
            id="mapped, with a failure",
        ),
        pytest.param([task("t", "success", 0)], ["t: 1 of 1 done"], id="mapped over one"),
        pytest.param([task("t", "skipped")], ["t: skipped"], id="mapped over nothing"),
        pytest.param(
            [task("a", "running", second=2), task("b", "success", second=1)],
            ["b: success", "a: running"],
            id="in the order they started",
        ),
    ],
)
def test_the_status_of_tasks(tasks: list[TaskInstance], lines: list[str]) -> None:
    """Each task that has started gets one line."""
    assert Progress().changes(tasks) == lines


def test_only_changes_are_printed() -> None:
    """A status is printed once, and a changed status is printed again."""
    progress = Progress()
    assert progress.changes([task("t", "running"), task("u", None)]) == ["t: running"]
    assert progress.changes([task("t", "running"), task("u", None)]) == []
    assert progress.changes([task("t", "success"), task("u", "running")]) == ["t: success", "u: running"]
