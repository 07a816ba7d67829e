"""What the DAGs tell Airflow of finished work: its Assets page shows them, and DAGs can wait for them."""

from collections.abc import Sequence
from typing import Any

from airflow.sdk import Asset

# A partition a gen_id, in each cohort that holds the evaluation; `extra` says which, and whether it was scored or
# reused there.
FINISHED_EVALUATIONS = Asset("finished_evaluations", group="evaluation_scores")
# One event each time that a cohort has come to hold other scores than when it was last complete; `extra` has counts.
COMPLETED_COHORTS = Asset("completed_cohorts", group="evaluation_scores")


def tell(outlet_events: Any, planned: dict[str, Any], outcome: str, gen_ids: Sequence[str]) -> None:
    """One event of FINISHED_EVALUATIONS a gen_id, once the task has succeeded."""
    events = outlet_events[FINISHED_EVALUATIONS]
    events.extra = {"cohort_id": planned["cohort_id"], "outcome": outcome}
    events.add_partitions(list(gen_ids))
