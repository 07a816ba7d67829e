"""The task that gathers the scores of the store; several DAGs take it."""

from __future__ import annotations

import logging
from typing import Any

from airflow.sdk import task

from essay_cohorts_airflow.task_border import readable_failure

log = logging.getLogger(__name__)


def gather_scores() -> dict[str, Any]:
    """Writes `7_cross_experiment/aggregated_scores.csv`; returns how many rows it has, and how many with a score."""
    from dataclasses import asdict

    from essay_cohorts import settings
    from essay_cohorts.selecting import aggregated_scores

    with readable_failure():
        done = aggregated_scores.aggregate_scores(settings.read_settings().data_root)
    log.info("%s", done)
    return asdict(done)


aggregate = task(multiple_outputs=False, task_id="aggregate")(gather_scores)
