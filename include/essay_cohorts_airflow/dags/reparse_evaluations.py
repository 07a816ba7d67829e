"""### Score stored replies again, without a call

Run this DAG after a parser, or a template's `parser` in `1_raw/evaluation_templates.csv`, has changed. It reads the
stored replies of one cohort, or of the whole store, with today's parsers. **No LLM is called.**

1. `reparse` logs a table of the evaluations whose result changes, before and after. Only with **Write** it applies
   the changes, and keeps the former results as `parsed.<n>.txt` and `parsed_metadata.<n>.json`.
2. `aggregate` writes `7_cross_experiment/aggregated_scores.csv` again; it is skipped when no score can have changed.
   It fails after writing the file when the disk refused some evaluations: trigger the DAG again.

Trigger it without **Write** first. A score that a person corrected is kept. An evaluation that is being called for
right now, or whose template no longer exists, is skipped and named. To write a cohort's `scores.csv` and
`report.html` again, trigger `evaluation_backfill` with its last conf: it calls for nothing that has a reply. The log
shows up to 200 changes; `cohorts reparse` shows all.
"""

from __future__ import annotations

import logging
from typing import Any

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowSkipException

from essay_cohorts_airflow.aggregate_task import gather_scores
from essay_cohorts_airflow.forms.reparse import PARAMS
from essay_cohorts_airflow.monitoring.notifications import notify_failed
from essay_cohorts_airflow.task_runtime import DEFAULT_ARGS, readable_failure, this_conf, this_task

LOGGED_ROWS = 200

log = logging.getLogger(__name__)


@task(multiple_outputs=False)
def reparse() -> dict[str, Any]:
    """Score the stored replies again; return the counts, and whether the gathered scores are outdated now."""
    from essay_cohorts import settings
    from essay_cohorts.errors import raise_if_any
    from essay_cohorts.reparsing import reparse
    from essay_cohorts.reparsing.rules import parse_reparse_request

    with readable_failure():
        request = parse_reparse_request(this_conf())
        raise_if_any(request.problems)
        report = reparse.reparse(settings.read_settings(), request.value, this_task(), log.info, max_rows=LOGGED_ROWS)
        counts = report.to_xcom()
        # A former try may have changed scores before it died, or before the disk refused; this try does not count
        # them.
        changed = counts["changed"] + counts["not_written"] > 0 or this_task().try_number > 1
        outdated = report.written and changed
        return {**counts, "behind": outdated, "problem": reparse.describe_unwritten(report)}


# The only leaf: red when the disk refused some evaluations; skipped, and the run green, when no score changed.
@task(multiple_outputs=False)
def aggregate(reparsed: dict[str, Any]) -> dict[str, Any]:
    """Gather the scores again when some changed; fail when the disk refused some."""
    if not reparsed["behind"]:
        msg = "No score was changed"
        raise AirflowSkipException(msg)
    gathered = gather_scores()
    if reparsed["problem"]:
        log.error("%s", reparsed["problem"])
        raise SystemExit(1)
    return gathered


@dag(
    dag_id="reparse_evaluations",
    dag_display_name="Reparse evaluations",
    description="Scores stored replies again after a parser changed; calls nothing",
    schedule=None,
    params=PARAMS,
    tags=["evaluation", "parser"],
    doc_md=__doc__,
    max_active_runs=1,
    # A retry after a worker's death does the rest: what was written is not written again.
    default_args={**DEFAULT_ARGS, "on_failure_callback": notify_failed},
)
def reparse_evaluations() -> None:
    """Draw the graph: reparse, then gather the scores."""
    reparsed: Any = reparse()
    aggregate(reparsed)
