"""### Judge what is missing, reuse what exists

Scores essays with LLM judges: evaluation templates x judge models x replicates. An evaluation that exists is taken
into the cohort and **never paid for again**; only missing evaluations call the LLM.

1. `plan_cohort` reads the selection and the store, and writes the cohort's membership. Its log shows the plan as a
   table: reuse, parse, call, unscored, and what the calls may cost. Bad input fails here, before any write.
2. `batches` cuts the members into slices: reused members apart from those that need work.
3. `evaluation` runs once per slice. `check_parsed` logs `Skipping <gen_id>: parsed.txt already exists` for each
   finished evaluation, and skips the whole slice when nothing is left. Then prompts are written, judges asked, and
   replies scored.
4. `summarise_cohort` writes `scores.csv` and accounts for every member. The run is green only when no member is
   missing. `write_report` writes `report.html` with figures and statistics.

Start with **Dry run** to see the plan. After a failure clear the run, or trigger the same conf again: received
replies are kept, and only evaluations without a reply are called. The DAG does not write essays or drafts. It does
not ask again for a reply that a parser refused, unless `retry_unscored` is set.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import PartitionedAtRuntime, dag, task
from airflow.sdk.exceptions import AirflowSkipException

from essay_cohorts_airflow.closing_tasks import announce_completion, summarise_cohort, write_report
from essay_cohorts_airflow.cohort_task import cohort_task
from essay_cohorts_airflow.evaluation_group import evaluation
from essay_cohorts_airflow.forms.backfill import PARAMS
from essay_cohorts_airflow.score_assets import FINISHED_EVALUATIONS, announce_evaluations
from essay_cohorts_airflow.task_runtime import DEFAULT_ARGS, readable_failure, tasks_at_once, this_conf, this_task


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
    report: Any = write_report(planned)
    summary >> report
