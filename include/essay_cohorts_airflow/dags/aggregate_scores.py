"""### Gather the scores of the whole store

Rewrites `7_cross_experiment/aggregated_scores.csv`: every evaluation with its score, or why it has none. Runs by
itself once a cohort has come to hold new scores (asset `completed_cohorts`), or when triggered. Reads only what
changed since the file was written; calls nothing.
"""

from __future__ import annotations

from airflow.sdk import dag

from essay_cohorts_airflow.aggregate_task import aggregate
from essay_cohorts_airflow.notifications import tell_failed
from essay_cohorts_airflow.score_assets import COMPLETED_COHORTS
from essay_cohorts_airflow.task_border import DEFAULT_ARGS


@dag(
    dag_id="aggregate_scores",
    dag_display_name="Aggregate scores",
    description="Writes the scores of the whole store into one table",
    schedule=[COMPLETED_COHORTS],
    # Two that write the same file at once would only do the same work twice.
    max_active_runs=1,
    tags=["evaluation", "scores"],
    doc_md=__doc__,
    default_args={**DEFAULT_ARGS, "on_failure_callback": tell_failed},
)
def aggregate_scores() -> None:
    """Connect the tasks."""
    aggregate()
