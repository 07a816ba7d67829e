"""### Find what is missing and have it judged, by the clock

1. `earlier_runs_done` lets one run at a time work on the store, also when `airflow backfill create` starts several.
2. `aggregate` gathers the scores of the store.
3. `select_missing` ranks the essays by the baseline template and keeps those of the best that the target template has
   not fully judged. When there is none the rest is skipped: the run is green and nothing was called.
4. `trigger_backfill` triggers `evaluation_backfill` with these essays and waits for its end without holding a worker.
   The cohort is called after the run: `scheduled_20260131T030000`. A run that is at work already is waited for.
5. `report` tells what was reused, called and scored.

It never reads or writes a selection file in `2_tasks/`. A cleared run keeps the selection that its cohort was planned
with, and calls only for what has no reply. It is paused at first; `evaluation_backfill` must not be. Runs by the
clock take the defaults of the form: a deployment sets its own by `DD_SCHEDULED_CONF`, and the time by `DD_SCHEDULE`.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pendulum
from airflow.sdk import dag, get_current_context, task

from essay_cohorts_airflow.aggregate_task import aggregate
from essay_cohorts_airflow.cohort_trigger import BACKFILL, TRIGGERED, TriggerCohortOperator
from essay_cohorts_airflow.forms.scheduled import PARAMS, SCHEDULE, UNKNOWN
from essay_cohorts_airflow.notifications import tell_failed
from essay_cohorts_airflow.run_turns import run_ahead
from essay_cohorts_airflow.task_border import DEFAULT_ARGS, readable_failure, this_conf

log = logging.getLogger(__name__)

WORK = ("aggregate", "select_missing", "trigger_backfill")
CHOSEN = "ti.xcom_pull(task_ids='select_missing')"


@task.sensor(poke_interval=10, timeout=timedelta(days=7).total_seconds(), mode="reschedule")
def earlier_runs_done() -> bool:
    """Wait until no earlier run works on the store."""
    context = get_current_context()
    ahead = run_ahead(context["ti"], context["dag_run"], WORK)
    if ahead:
        log.info("Waiting for %s", ahead)
    return ahead is None


@task.short_circuit(multiple_outputs=False)
def select_missing() -> dict[str, Any]:
    """Choose the essays; skip the rest when none lacks an evaluation."""
    from essay_cohorts import settings
    from essay_cohorts.selecting import scheduled

    run = get_current_context()["dag_run"]
    with readable_failure():
        conf = UNKNOWN | this_conf()
        return scheduled.select_missing(settings.read_settings(), conf, run.logical_date or run.run_after)


@task(multiple_outputs=False)
def report() -> dict[str, Any]:
    """Log and return what the triggered run did."""
    instance: Any = get_current_context()["ti"]
    run_id = instance.xcom_pull(task_ids="trigger_backfill", key=TRIGGERED)
    done = instance.xcom_pull(task_ids="summarise_cohort", dag_id=BACKFILL, run_id=run_id)
    log.info("Cohort %s: %s", done["cohort_id"], done["message"])
    return dict(done)


@dag(
    dag_id="scheduled_backfill",
    dag_display_name="Scheduled backfill",
    description="Selects the best essays that a template has not judged, and has them judged",
    schedule=SCHEDULE,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    is_paused_upon_creation=True,
    max_active_runs=1,
    # The last net: a run that waits for ever would keep all later ones from starting.
    dagrun_timeout=timedelta(days=7),
    params=PARAMS,
    tags=["evaluation", "backfill", "schedule"],
    doc_md=__doc__,
    default_args={**DEFAULT_ARGS, "on_failure_callback": tell_failed},
)
def scheduled_backfill() -> None:
    """Connect the tasks."""
    triggered = TriggerCohortOperator(
        task_id="trigger_backfill",
        trigger_run_id=f"by_schedule__{{{{ {CHOSEN}['cohort_id'] }}}}",
        conf=f"{{{{ {CHOSEN} | tojson }}}}",
    )

    earlier_runs_done() >> aggregate() >> select_missing() >> triggered >> report()
