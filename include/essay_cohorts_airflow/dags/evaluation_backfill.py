"""### Judge what is missing, reuse what exists

Scores essays with LLM judges: evaluation templates x judge models x replicates. An evaluation that exists is taken
into the cohort and **never paid for again**; only missing ones call the LLM.

1. `plan_cohort` reads the selection, looks up what the store holds, and writes the cohort's membership. Its log shows
   the plan as a table: reuse, parse, call, unscored, and what calls may cost. Bad input fails here, before any write.
2. `batches` cuts the members into slices: reused ones apart from those to do.
3. `evaluation` runs once a slice. `check_parsed` logs `Skipping <gen_id>: parsed.txt already exists` for each that is
   done, and skips the whole slice when nothing is left; then prompts are written, judges asked, replies scored.
4. `summarise_cohort` writes `scores.csv` and `report.html` and accounts for every member. The run is green only when
   none is missing.

Start with **Dry run** to see the plan. After a failure clear the run, or trigger the same conf again: replies that
were received stay, and only what has none is called. It does not write essays or drafts, and it never asks again for
a reply that a parser refused unless told to (`retry_unscored`).
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import PartitionedAtRuntime, TriggerRule, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from essay_cohorts_airflow.evaluation_group import evaluation
from essay_cohorts_airflow.forms.backfill import PARAMS
from essay_cohorts_airflow.notifications import OUTCOME, tell_failed, tell_finished
from essay_cohorts_airflow.score_assets import COMPLETED_COHORTS, FINISHED_EVALUATIONS, tell
from essay_cohorts_airflow.task_border import DEFAULT_ARGS, readable_failure, tasks_at_once, this_conf, this_task

COMPLETION_KEYS = ("cohort_id", "planned", "reused", "scored", "unscored", "called", "cost_usd")


# A dict's keys as XComs of their own (the default for one) would cost 0.4 s of requests.
@task(multiple_outputs=False)
def plan_cohort() -> dict[str, Any]:
    """Plan the cohort and write its plan, its seeds and its membership."""
    from essay_cohorts import settings
    from essay_cohorts.backfill import plan_cohort
    from essay_cohorts_airflow.llm_connection import check_connection

    with readable_failure():
        planned = plan_cohort.plan_cohort(settings.read_settings(), this_conf(), this_task(), check_connection)
        return planned.to_xcom()


@task.short_circuit(ignore_downstream_trigger_rules=False)
def not_a_dry_run(planned: dict[str, Any]) -> bool:
    """Skip everything but the summary in a dry run."""
    return not planned["dry_run"]


@task
def batches(planned: dict[str, Any]) -> list[dict[str, Any]]:
    """Cut the plan into slices."""
    from essay_cohorts import settings
    from essay_cohorts.backfill import slice_tasks
    from essay_cohorts.planning.planned_run import PlannedRun

    with readable_failure():
        return slice_tasks.batches(settings.read_settings(), PlannedRun.from_xcom(planned), tasks_at_once())


@task(outlets=[FINISHED_EVALUATIONS])
def announce_reused(planned: dict[str, Any], outlet_events: Any = None) -> None:
    """Tell Airflow of the evaluations that the cohort takes over."""
    from essay_cohorts import settings
    from essay_cohorts.backfill import announce
    from essay_cohorts.planning.planned_run import PlannedRun

    with readable_failure():
        reused = announce.announce_reused(settings.read_settings(), PlannedRun.from_xcom(planned))
    if not reused:
        msg = "No reused evaluation is new in this cohort"
        raise AirflowSkipException(msg)
    tell(outlet_events, planned, "reused", reused)


# Its state is the run's, by the leaf behind it, so it looks at the outcome itself.
@task(
    trigger_rule=TriggerRule.ALL_DONE,
    multiple_outputs=False,
    on_success_callback=tell_finished,
    on_failure_callback=tell_failed,
)
def summarise_cohort(planned: dict[str, Any] | None) -> dict[str, Any]:
    """Write the scores and the report; fail when an evaluation is missing."""
    from essay_cohorts import settings
    from essay_cohorts.backfill import summarise
    from essay_cohorts.planning.planned_run import PlannedRun

    with readable_failure():
        plan = None if planned is None else PlannedRun.from_xcom(planned)
        done = summarise.summarise_cohort(settings.read_settings(), plan, this_task().run)
        if not done.complete:
            get_current_context()["ti"].xcom_push(OUTCOME, done.to_xcom())
        done.raise_unless_complete()
        return done.to_xcom()


# The only leaf. A task of its own: a success with an outlet is an event, and a dry run completes nothing.
@task(outlets=[COMPLETED_COHORTS], on_failure_callback=tell_failed)
def announce_completion(planned: dict[str, Any], summary: dict[str, Any], outlet_events: Any = None) -> None:
    """Tell Airflow of the cohort's new scores."""
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
    # Never by the clock; asset events of single gen_ids need it.
    schedule=PartitionedAtRuntime(),
    params=PARAMS,
    tags=["evaluation", "backfill", "llm"],
    doc_md=__doc__,
    default_args=DEFAULT_ARGS,
)
def evaluation_backfill() -> None:
    """Connect the tasks."""
    # What follows is the graph: here a task's result is a reference to the XCom that it will leave.
    planned: Any = plan_cohort()
    parts: Any = batches(planned)
    reused: Any = announce_reused(planned)
    summary: Any = summarise_cohort(planned)
    not_a_dry_run(planned) >> [parts, reused]
    [evaluation.partial(planned=planned).expand(part=parts), reused] >> summary
    announce_completion(planned, summary)
