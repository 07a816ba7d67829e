"""The last tasks of `evaluation_backfill`: they judge the run, announce a complete cohort, and write the report."""

from __future__ import annotations

from typing import Any

from airflow.sdk import TriggerRule, get_current_context
from airflow.sdk.exceptions import AirflowSkipException

from essay_cohorts_airflow.cohort_task import cohort_task
from essay_cohorts_airflow.monitoring.notifications import OUTCOME_XCOM, notify_failed, notify_finished
from essay_cohorts_airflow.score_assets import COMPLETED_COHORTS
from essay_cohorts_airflow.task_runtime import find_plan, readable_failure, this_plan, this_task

COMPLETION_KEYS = ("cohort_id", "planned", "reused", "scored", "unscored", "called", "cost_usd")


# The leaf behind this task gives the run the state of this task. Therefore it runs whatever happened before, and
# reads the outcome from the store.
@cohort_task(
    trigger_rule=TriggerRule.ALL_DONE,
    multiple_outputs=False,
    on_success_callback=notify_finished,
    on_failure_callback=notify_failed,
)
def summarise_cohort() -> dict[str, Any]:
    """Write the cohort's scores; fail when a member is missing."""
    from essay_cohorts import settings
    from essay_cohorts.backfill import summarise

    with readable_failure():
        done = summarise.summarise_cohort(settings.read_settings(), find_plan(), this_task().run)
        if not done.complete:
            get_current_context()["ti"].xcom_push(OUTCOME_XCOM, done.to_xcom())
        done.raise_unless_complete()
        return done.to_xcom()


# A leaf, which fails when the summary does. It is a task of its own because each success of a task with an outlet is
# an event, and a dry run completes nothing.
@cohort_task(outlets=[COMPLETED_COHORTS], on_failure_callback=notify_failed)
def announce_completion(summary: dict[str, Any], outlet_events: Any = None) -> None:
    """Announce the complete cohort, unless its scores are those of its last announcement."""
    from essay_cohorts import settings
    from essay_cohorts.backfill import announce

    with readable_failure():
        plan = this_plan()
        if plan.dry_run or not announce.announce_completion(settings.read_settings(), plan):
            msg = "The cohort holds the scores that it was announced with"
            raise AirflowSkipException(msg)
    outlet_events[COMPLETED_COHORTS].extra = {key: summary[key] for key in COMPLETION_KEYS}


# A task of its own, because drawing takes a second or two, in which the cohort is summarised and announced.
@cohort_task(trigger_rule=TriggerRule.ALL_DONE, on_failure_callback=notify_failed)
def write_report() -> None:
    """Write the cohort's report with its figures, also when a member is missing; skip without a plan to report on."""
    from essay_cohorts import settings
    from essay_cohorts.backfill.report import write_report

    with readable_failure():
        plan = find_plan()
        if plan is None or plan.dry_run:
            msg = "A dry run, and a run that was not planned, have no report"
            raise AirflowSkipException(msg)
        write_report.write_report(settings.read_settings(), plan, this_task().run)
