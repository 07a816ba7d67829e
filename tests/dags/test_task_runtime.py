"""What a task asks Airflow's settings."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("executor", "several"),
    [
        pytest.param("LocalExecutor", False, id="local"),
        pytest.param("airflow.executors.local_executor.LocalExecutor", False, id="local by its path"),
        pytest.param("CeleryExecutor", True, id="celery"),
        pytest.param("KubernetesExecutor", True, id="kubernetes"),
        pytest.param("CeleryExecutor,LocalExecutor", True, id="the first one counts"),
    ],
)
def test_the_executor_tells_whether_there_are_several_machines(
    executor: str, *, several: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only executors that run everything beside the scheduler count the cores of one machine."""
    from essay_cohorts_airflow.task_runtime import runs_on_several_machines

    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", executor)
    assert runs_on_several_machines() is several


@pytest.mark.parametrize(
    ("parallelism", "of_a_run", "tasks"), [("32", "16", 16), ("4", "16", 4), ("0", "16", 16), ("0", "0", 0)]
)
def test_the_smaller_limit_of_tasks_counts(
    parallelism: str, of_a_run: str, tasks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow runs no more tasks of one run than max_active_tasks_per_dag, whatever its workers could."""
    from essay_cohorts_airflow.task_runtime import tasks_at_once

    monkeypatch.setenv("AIRFLOW__CORE__PARALLELISM", parallelism)
    monkeypatch.setenv("AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG", of_a_run)
    assert tasks_at_once() == tasks
