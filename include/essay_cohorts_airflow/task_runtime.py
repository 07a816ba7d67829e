"""What each task takes from Airflow, and how an error of `essay_cohorts` fails a task."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule, conf, get_current_context

if TYPE_CHECKING:
    from essay_cohorts.domain import TaskRef
    from essay_cohorts.planning.planned_run import PlannedRun


log = logging.getLogger(__name__)

# SystemExit fails a task with a logged message and no traceback. It must not be retried, because a retry could only
# repeat a wrong input, or pay again for replies that the disk refused. Any other error is retried as usual.
RETRY_POLICY = ExceptionRetryPolicy(rules=[RetryRule(exception=SystemExit, action=RetryAction.FAIL)])
# Retries are for a worker that dies: every step finds what the former try left. The timeout ends a task that hangs.
DEFAULT_ARGS: dict[str, Any] = {
    "retries": 2,
    "retry_delay": timedelta(seconds=10),
    "retry_policy": RETRY_POLICY,
    "execution_timeout": timedelta(hours=1),
}

# Only a task's return value can be mapped over. `plan_cohort` returns the slices, so the plan is an XCom of its own.
_PLAN_TASK, _PLAN_XCOM = "plan_cohort", "plan"


@contextmanager
def readable_failure() -> Iterator[None]:
    """Fail the task without a retry, and log the message, when the block raises a CohortError."""
    from essay_cohorts.errors import CohortError

    try:
        yield
    except CohortError as error:
        log.error("%s", error)
        raise SystemExit(1) from None


def tasks_at_once() -> int:
    """Return how many tasks of a run Airflow runs at once, 0 without a limit; more slices would only wait."""
    limits = [conf.getint("core", name) for name in ("parallelism", "max_active_tasks_per_dag")]
    return min((limit for limit in limits if limit), default=0)


def runs_on_several_machines() -> bool:
    """Return True unless the executor runs all tasks on the scheduler's machine."""
    executor = conf.get("core", "executor").split(",")[0].rpartition(".")[2]
    return executor not in {"LocalExecutor", "SequentialExecutor"}


def this_task() -> TaskRef:
    """Name the running try, so that everything it writes can be traced to its log."""
    from essay_cohorts.domain import TaskRef

    instance: Any = get_current_context()["ti"]
    return TaskRef(
        dag_id=instance.dag_id,
        run_id=instance.run_id,
        task_id=instance.task_id,
        map_index=instance.map_index,
        try_number=instance.try_number,
    )


def this_conf() -> dict[str, Any]:
    """Return the params' defaults overridden by the trigger's conf, including keys that no param has."""
    context = get_current_context()
    return {**context["params"], **(context["dag_run"].conf or {})}


def leave_plan(planned: PlannedRun) -> None:
    """Leave the plan for the other tasks of the run."""
    get_current_context()["ti"].xcom_push(_PLAN_XCOM, planned.to_xcom())


def find_plan() -> PlannedRun | None:
    """Return the plan that this run's `plan_cohort` left; None when planning failed."""
    from essay_cohorts.planning.planned_run import PlannedRun

    record = get_current_context()["ti"].xcom_pull(task_ids=_PLAN_TASK, key=_PLAN_XCOM, map_indexes=-1)
    return None if record is None else PlannedRun.from_xcom(record)


def this_plan() -> PlannedRun:
    """Return the plan of this run; CohortIncomplete when planning failed."""
    from essay_cohorts.errors import CohortIncomplete

    planned = find_plan()
    if planned is None:
        msg = (
            "This run has no plan: see the log of plan_cohort. If an earlier version planned it, trigger the same "
            "conf again: replies that are stored are used."
        )
        raise CohortIncomplete(msg)
    return planned
