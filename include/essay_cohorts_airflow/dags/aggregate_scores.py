"""### Gather the scores of the whole store

Rewrites `7_cross_experiment/aggregated_scores.csv`, which lists every evaluation with its score or the reason why it
has none. The DAG runs when a complete cohort holds new scores (asset `completed_cohorts`), or when it is triggered.
It reads only what changed since the file was written, and calls no LLM.
"""

from __future__ import annotations

from airflow.sdk import dag

from essay_cohorts_airflow.aggregate_task import aggregate
from essay_cohorts_airflow.monitoring.notifications import notify_failed
from essay_cohorts_airflow.score_assets import COMPLETED_COHORTS
from essay_cohorts_airflow.task_runtime import DEFAULT_ARGS


@dag(
    dag_id="aggregate_scores",
    dag_display_name="Aggregate scores",
    description="Writes the scores of the whole store into one table",
    schedule=[COMPLETED_COHORTS],
    # Two runs at once would only do the same work twice.
    max_active_runs=1,
    tags=["evaluation", "scores"],
    doc_md=__doc__,
    default_args={**DEFAULT_ARGS, "on_failure_callback": notify_failed},
)
def aggregate_scores() -> None:
    """Gather the scores of the whole store."""
    aggregate()
