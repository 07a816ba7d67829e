"""The Airflow assets of finished work: the page Assets shows their events, and other DAGs can wait for them."""

import os
from collections.abc import Sequence
from typing import Any

from airflow.sdk import Asset

# Has one partition per gen_id, in each cohort that holds the evaluation. `extra` names the cohort and says whether
# the evaluation was scored or reused there.
FINISHED_EVALUATIONS = Asset("finished_evaluations", group="evaluation_scores")
# Gets one event each time a complete cohort holds other scores than when it was last complete; `extra` has counts.
COMPLETED_COHORTS = Asset("completed_cohorts", group="evaluation_scores")

# What a task with finished evaluations declares. With DD_EVENTS=cohort it is nothing, because the success of a task
# that declares an asset is an event even if the task names no gen_id.
EVALUATION_OUTLETS = [] if os.environ.get("DD_EVENTS", "").strip() == "cohort" else [FINISHED_EVALUATIONS]


def announce_evaluations(outlet_events: Any, cohort_id: str, outcome: str, gen_ids: Sequence[str]) -> None:
    """Emit one event of FINISHED_EVALUATIONS per gen_id, once the task has succeeded."""
    events = outlet_events[FINISHED_EVALUATIONS]
    events.extra = {"cohort_id": cohort_id, "outcome": outcome}
    events.add_partitions(list(gen_ids))
