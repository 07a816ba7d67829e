"""### Judge what is missing, reuse what exists

Scores essays with LLM judges: evaluation templates x judge models x replicates. An evaluation that exists is taken
into the cohort and **never paid for again**; only missing evaluations call the LLM.

1. `plan_cohort` reads the selection and the store, and writes the cohort's membership. Its log shows the plan as a
   table: reuse, parse, call, unscored, and what the calls may cost. Bad input fails here, before any write.
2. `batches` cuts the members into slices: reused members apart from those that need work.
3. `evaluation` runs once per slice. `check_parsed` logs `Skipping <gen_id>: parsed.txt already exists` for each
   finished evaluation, and skips the whole slice when nothing is left. Then prompts are written, judges asked, and
   replies scored.
4. `summarise_cohort` writes `scores.csv` and `report.html` and accounts for every member. The run is green only when
   no member is missing.

Start with **Dry run** to see the plan. After a failure clear the run, or trigger the same conf again: received
replies are kept, and only evaluations without a reply are called. The DAG does not write essays or drafts. It does
not ask again for a reply that a parser refused, unless `retry_unscored` is set.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import PartitionedAtRuntime, TriggerRule, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from essay_cohorts_airflow.cohort_task import cohort_task
from essay_cohorts_airflow.evaluation_group import evaluation
from essay_cohorts_airflow.forms.backfill import PARAMS
from essay_cohorts_airflow.notifications import OUTCOME_XCOM, notify_failed, notify_finished
from essay_cohorts_airflow.score_assets import COMPLETED_COHORTS, FINISHED_EVALUATIONS, announce_evaluations
from essay_cohorts_airflow.task_runtime import DEFAULT_ARGS, readable_failure, tasks_at_once, this_conf, this_task

COMPLETION_KEYS = ("cohort_id", "planned", "reused", "scored", "unscored", "called", "cost_usd")


# The default, one XCom for each key of a dict, would cost 0.4 s of requests.
@cohort_task(multiple_outputs=False)
def plan_cohort() -> dict[str, Any]:
    """Plan the cohort and write its membership; return the plan for the other tasks."""
    from essay_cohorts import settings
    from essay_cohorts.backfill import plan_cohort
    from essay_cohorts_airflow.llm_connection import check_connections

    with readable_failure():
        planned = plan_cohort.plan_cohort(settings.read_settings(), this_conf(), this_task(), check_connections)
        return planned.to_xcom()


@task.short_circuit(ignore_downstream_trigger_rules=False)
def not_a_dry_run(planned: dict[str, Any]) -> bool:
    """Skip the evaluations of a dry run."""
    return not planned["dry_run"]


@cohort_task
def batches(planned: dict[str, Any]) -> list[dict[str, Any]]:
    """Cut the plan into slices, one for each mapped instance of `evaluation`."""
    from essay_cohorts import settings
    from essay_cohorts.backfill import slice_tasks
    from essay_cohorts.planning.planned_run import PlannedRun

    with readable_failure():
        return slice_tasks.batches(settings.read_settings(), PlannedRun.from_xcom(planned), tasks_at_once())


@cohort_task(outlets=[FINISHED_EVALUATIONS])
def announce_reused(planned: dict[str, Any], outlet_events: Any = None) -> None:
    """Announce the reused evaluations that are new in this cohort."""
    from essay_cohorts import settings
    from essay_cohorts.backfill import announce
    from essay_cohorts.planning.planned_run import PlannedRun

    with readable_failure():
        reused = announce.announce_reused(settings.read_settings(), PlannedRun.from_xcom(planned))
    if not reused:
        msg = "No reused evaluation is new in this cohort"
        raise AirflowSkipException(msg)
    announce_evaluations(outlet_events, planned, "reused", reused)


# The leaf behind this task gives the run the state of this task. Therefore it runs whatever happened before, and
# reads the outcome from the store.
@cohort_task(
    trigger_rule=TriggerRule.ALL_DONE,
    multiple_outputs=False,
    on_success_callback=notify_finished,
    on_failure_callback=notify_failed,
)
def summarise_cohort(planned: dict[str, Any] | None) -> dict[str, Any]:
    """Write the cohort's scores and report; fail when a member is missing."""
    from essay_cohorts import settings
    from essay_cohorts.backfill import summarise
    from essay_cohorts.planning.planned_run import PlannedRun

    with readable_failure():
        plan = None if planned is None else PlannedRun.from_xcom(planned)
        done = summarise.summarise_cohort(settings.read_settings(), plan, this_task().run)
        if not done.complete:
            get_current_context()["ti"].xcom_push(OUTCOME_XCOM, done.to_xcom())
        done.raise_unless_complete()
        return done.to_xcom()


# The only leaf. It is a task of its own because each success of a task with an outlet is an event, and a dry run
# completes nothing.
@cohort_task(outlets=[COMPLETED_COHORTS], on_failure_callback=notify_failed)
def announce_completion(planned: dict[str, Any], summary: dict[str, Any], outlet_events: Any = None) -> None:
    """Announce the complete cohort, unless its scores are those of its last announcement."""
    from essay_cohorts import settings
    from essay_cohorts.backfill import announce
    from essay_cohorts.planning.planned_run import PlannedRun

    with readable_failure():
        plan = PlannedRun.from_xcom(planned)
        if plan.dry_run or not announce.announce_completion(settings.read_settings(), plan):
            msg = "The cohort holds the scores that it was announced with"
            raise AirflowSkipException(msg)
    outlet_events[COMPLETED_COHORTS].extra = {key: summary[key] for key in COMPLETION_KEYS}


@dag(
    dag_id="evaluation_backfill",
    dag_display_name="Evaluation backfill",
    description="Judges essays with LLMs; includes what exists, calls only for what is missing",
    # Has no clock; events of single gen_ids need this timetable.
    schedule=PartitionedAtRuntime(),
    params=PARAMS,
    tags=["evaluation", "backfill", "llm"],
    doc_md=__doc__,
    default_args=DEFAULT_ARGS,
)
def evaluation_backfill() -> None:
    """Draw the graph: here the result of a task is a reference to the XCom that the task will leave."""
    planned: Any = plan_cohort()
    parts: Any = batches(planned)
    reused: Any = announce_reused(planned)
    summary: Any = summarise_cohort(planned)
    not_a_dry_run(planned) >> [parts, reused]
    [evaluation.partial(planned=planned).expand(part=parts), reused] >> summary
    announce_completion(planned, summary)
