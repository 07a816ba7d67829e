"""The order of several runs of one DAG that are under way at once, as `airflow backfill create` makes them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

UNDER_WAY = ("scheduled", "queued", "running", "deferred", "up_for_retry")


def run_to_wait_for(instance: Any, run: Any, work: Collection[str]) -> str | None:
    """Say which run `run` must wait for, or None when `run` may begin.

    Runs with an earlier logical date go first. A run that has begun one of the tasks `work` finishes them before
    another run begins. A run without a logical date lets all others go first; the DAG's own limit (`max_active_runs`)
    allows only one such run at a time.
    """
    earlier = instance.get_previous_dagrun(state="running")
    if earlier:
        return str(earlier.run_id)
    if run.logical_date is None and instance.get_dr_count(dag_id=instance.dag_id, states=["running"]) > 1:
        return "another run, which has a logical date"
    if instance.get_ti_count(dag_id=instance.dag_id, task_ids=list(work), states=list(UNDER_WAY)):
        return "another run, which is at work"
    return None
