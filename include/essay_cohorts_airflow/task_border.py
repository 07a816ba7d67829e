"""Where a task of Airflow hands over to `essay_cohorts`, and how its errors come back."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule, conf, get_current_context

if TYPE_CHECKING:
    from essay_cohorts.domain import TaskRef


log = logging.getLogger(__name__)

# An exit is how a task fails with a message and no traceback; it must not be retried: a retry could only repeat a
# wrong input, or pay for replies that the disk refused before. Any other error is retried as usual.
RETRY_POLICY = ExceptionRetryPolicy(rules=[RetryRule(exception=SystemExit, action=RetryAction.FAIL)])
# Retries are for a worker that dies: every step finds what the former try left. The timeout is the last net.
DEFAULT_ARGS: dict[str, Any] = {
    "retries": 2,
    "retry_delay": timedelta(seconds=10),
    "retry_policy": RETRY_POLICY,
    "execution_timeout": timedelta(hours=1),
}


@contextmanager
def readable_failure() -> Iterator[None]:
    """Fails the task, without a retry, with the message of an error that was written to be read."""
    from essay_cohorts.errors import CohortError

    try:
        yield
    except CohortError as error:
        log.error("%s", error)
        raise SystemExit(1) from None


def tasks_at_once() -> int:
    """How many tasks this Airflow runs at once, 0 for any number: more slices would only wait for each other."""
    return conf.getint("core", "parallelism")


def this_task() -> TaskRef:
    """Names the running try, so that whatever it makes can be traced to its log."""
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
    """What the trigger gave on top of the params' defaults, including keys that no param knows."""
    context = get_current_context()
    return {**context["params"], **(context["dag_run"].conf or {})}
