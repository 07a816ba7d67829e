"""
### Find what is missing and have it judged, by the clock

1. `earlier_runs_done` lets one run at a time work on the store, also when `airflow backfill create` starts several.
2. `aggregate` gathers the scores of the store.
3. `select_missing` ranks the essays by the baseline template and keeps those of the best that the target template has
   not fully judged. When there is none the rest is skipped: the run is green and nothing was called.
4. `trigger_backfill` triggers `evaluation_backfill` with these essays and waits for its end without holding a worker.
   The cohort is called after the run: `scheduled_20260131T030000`.
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
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import dag, get_current_context, task

from aggregate_task import aggregate
from notifications import tell_failed
from scheduled_params import PARAMS, SCHEDULE, UNKNOWN
from task_border import DEFAULT_ARGS, readable_failure, this_conf

log = logging.getLogger(__name__)

BACKFILL = "evaluation_backfill"
WORK = ("aggregate", "select_missing", "trigger_backfill")
AT_WORK = ("scheduled", "queued", "running", "deferred", "up_for_retry")
CHOSEN = "ti.xcom_pull(task_ids='select_missing')"
RUN_ID = f"by_schedule__{{{{ {CHOSEN}['cohort_id'] }}}}"


@dag(
    dag_id="scheduled_backfill",
    dag_display_name="Scheduled backfill",
    description="Selects the best essays that a template has not judged, and has them judged",
    schedule=SCHEDULE,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    is_paused_upon_creation=True,
    max_active_runs=1,
    params=PARAMS,
    tags=["evaluation", "backfill", "schedule"],
    doc_md=__doc__,
    default_args={**DEFAULT_ARGS, "on_failure_callback": tell_failed},
)
def scheduled_backfill() -> None:
    @task.sensor(poke_interval=10, timeout=timedelta(days=7).total_seconds(), mode="reschedule")
    def earlier_runs_done() -> bool:
        instance: Any = get_current_context()["ti"]
        earlier = instance.get_previous_dagrun(state="running")
        busy = instance.get_ti_count(dag_id=instance.dag_id, task_ids=list(WORK), states=list(AT_WORK))
        if earlier or busy:
            log.info("Waiting for %s", earlier.run_id if earlier else "another run of this DAG")
        return not earlier and not busy

    @task.short_circuit(multiple_outputs=False)
    def select_missing() -> dict[str, Any]:
        from include.cohorts import scheduled_selection, settings

        context = get_current_context()
        moment = context["dag_run"].logical_date or context["dag_run"].run_after
        with readable_failure():
            chosen = scheduled_selection.select_missing(settings.read_settings(), UNKNOWN | this_conf(), moment)
        # Resetting a run that is at work would break off its calls.
        run_ids, states = [f"by_schedule__{chosen.get('cohort_id')}"], ["queued", "running"]
        instance: Any = context["ti"]
        if chosen and instance.get_dr_count(dag_id=BACKFILL, run_ids=run_ids, states=states):
            log.error("%s of %s is still at work. Next: wait for its end, then clear this run.", run_ids[0], BACKFILL)
            raise SystemExit(1)
        return chosen

    # No retries: a second try could only break off the run that the first has triggered.
    triggered = TriggerDagRunOperator(
        task_id="trigger_backfill",
        trigger_dag_id=BACKFILL,
        trigger_run_id=RUN_ID,
        conf=f"{{{{ {CHOSEN} | tojson }}}}",  # type: ignore[arg-type]
        reset_dag_run=True,
        fail_when_dag_is_paused=True,
        wait_for_completion=True,
        deferrable=True,
        poke_interval=5,
        retries=0,
        execution_timeout=timedelta(days=7),
    )

    @task(multiple_outputs=False, templates_dict={"run_id": RUN_ID})
    def report(templates_dict: dict[str, str] | None = None) -> dict[str, Any]:
        instance: Any = get_current_context()["ti"]
        run_id = (templates_dict or {})["run_id"]
        done = instance.xcom_pull(task_ids="summarise_cohort", dag_id=BACKFILL, run_id=run_id)
        log.info("Cohort %s: %s", done["cohort_id"], done["message"])
        return dict(done)

    earlier_runs_done() >> aggregate() >> select_missing() >> triggered >> report()


scheduled_backfill()
