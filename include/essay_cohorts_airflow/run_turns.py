"""Whose turn it is when several runs of one DAG are under way, as `airflow backfill create` makes them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

UNDER_WAY = ("scheduled", "queued", "running", "deferred", "up_for_retry")


def run_ahead(instance: Any, run: Any, work: Collection[str]) -> str | None:
    """Which run this one must wait for, in words; None when it is its turn.

    Earlier logical dates go first, and whoever is in one of the tasks `work` ends them before another begins. A run
    without a logical date lets all others go first: there is one such at a time, by the DAG's own limit.
    """
    earlier = instance.get_previous_dagrun(state="running")
    if earlier:
        return str(earlier.run_id)
    if run.logical_date is None and instance.get_dr_count(dag_id=instance.dag_id, states=["running"]) > 1:
        return "another run, which has a logical date"
    if instance.get_ti_count(dag_id=instance.dag_id, task_ids=list(work), states=list(UNDER_WAY)):
        return "another run, which is at work"
    return None
