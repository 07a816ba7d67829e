"""The task that gathers the scores of the store; several DAGs share it."""

from __future__ import annotations

import logging
from typing import Any

from airflow.sdk import task

from essay_cohorts_airflow.task_runtime import readable_failure

log = logging.getLogger(__name__)


def gather_scores() -> dict[str, Any]:
    """Write `7_cross_experiment/aggregated_scores.csv`; return how many rows it has, and how many have a score."""
    from dataclasses import asdict

    from essay_cohorts.ledger import ledger
    from essay_cohorts.selecting import aggregated_scores
    from essay_cohorts.settings import read_settings

    with readable_failure():
        settings = read_settings()
        callers = ledger.Ledger.for_reading(settings).holders()
        counts = aggregated_scores.aggregate_scores(settings.data_root, callers)
    log.info("%s", counts)
    return asdict(counts)


aggregate = task(multiple_outputs=False, task_id="aggregate")(gather_scores)
