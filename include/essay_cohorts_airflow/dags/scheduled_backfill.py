"""### Find what is missing and have it judged, on a schedule

1. `earlier_runs_done` lets one run at a time work on the store, also when `airflow backfill create` starts several.
2. `aggregate` gathers the scores of the store.
3. `select_missing` ranks the essays by the baseline template and keeps those of the best that the target template has
   not fully judged. When there is no such essay, the other tasks are skipped: the run is green and called nothing.
4. `trigger_backfill` triggers `evaluation_backfill` with these essays and waits for its end without holding a worker.
   The cohort is named after the run: `scheduled_20260131T030000`. A run that is at work already is waited for.
5. `report` logs what was reused, called and scored.

The DAG never reads or writes a selection file in `2_tasks/`. A cleared run keeps the selection that its cohort was
planned with, and calls only for evaluations without a reply. The DAG is paused at first; `evaluation_backfill` must
not be paused. Scheduled runs take the defaults of the form: a deployment sets its own with `DD_SCHEDULED_CONF`, and
the schedule with `DD_SCHEDULE`.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pendulum
from airflow.sdk import dag, get_current_context, task

from essay_cohorts_airflow.aggregate_task import aggregate
from essay_cohorts_airflow.cohort_trigger import BACKFILL, RUN_ID_XCOM, TriggerCohortOperator
from essay_cohorts_airflow.forms.scheduled import PARAMS, SCHEDULE, UNKNOWN
from essay_cohorts_airflow.monitoring.notifications import notify_failed
from essay_cohorts_airflow.run_order import run_to_wait_for
from essay_cohorts_airflow.task_runtime import DEFAULT_ARGS, readable_failure, this_conf

log = logging.getLogger(__name__)

WORK = ("aggregate", "select_missing", "trigger_backfill")
SELECTED = "ti.xcom_pull(task_ids='select_missing')"


@task.sensor(poke_interval=10, timeout=timedelta(days=7).total_seconds(), mode="reschedule")
def earlier_runs_done() -> bool:
    """Wait until this run may work on the store."""
    context = get_current_context()
    run = run_to_wait_for(context["ti"], context["dag_run"], WORK)
    if run:
        log.info("Waiting for %s", run)
    return run is None


@task.short_circuit(multiple_outputs=False)
def select_missing() -> dict[str, Any]:
    """Return the conf of a cohort of the essays to judge; {} skips the rest."""
    from essay_cohorts import settings
    from essay_cohorts.selecting import scheduled

    run = get_current_context()["dag_run"]
    with readable_failure():
        conf = UNKNOWN | this_conf()
        return scheduled.select_missing(settings.read_settings(), conf, run.logical_date or run.run_after)


@task(multiple_outputs=False)
def report() -> dict[str, Any]:
    """Log and return the summary of the triggered run."""
    instance: Any = get_current_context()["ti"]
    run_id = instance.xcom_pull(task_ids="trigger_backfill", key=RUN_ID_XCOM)
    summary = instance.xcom_pull(task_ids="summarise_cohort", dag_id=BACKFILL, run_id=run_id)
    log.info("Cohort %s: %s", summary["cohort_id"], summary["message"])
    return dict(summary)


@dag(
    dag_id="scheduled_backfill",
    dag_display_name="Scheduled backfill",
    description="Selects the best essays that a template has not judged, and has them judged",
    schedule=SCHEDULE,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    is_paused_upon_creation=True,
    max_active_runs=1,
    # A run that waits forever would keep all later runs from starting.
    dagrun_timeout=timedelta(days=7),
    params=PARAMS,
    tags=["evaluation", "backfill", "schedule"],
    doc_md=__doc__,
    default_args={**DEFAULT_ARGS, "on_failure_callback": notify_failed},
)
def scheduled_backfill() -> None:
    """Draw the graph: five tasks in a row."""
    triggered = TriggerCohortOperator(
        task_id="trigger_backfill",
        trigger_run_id=f"by_schedule__{{{{ {SELECTED}['cohort_id'] }}}}",
        conf=f"{{{{ {SELECTED} | tojson }}}}",
    )
    earlier_runs_done() >> aggregate() >> select_missing() >> triggered >> report()
