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
