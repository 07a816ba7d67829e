"""### Judge what is missing, reuse what exists

Scores essays with LLM judges: evaluation templates x judge models x replicates. An evaluation that exists is taken
into the cohort and **never paid for again**; only missing evaluations call the LLM.

1. `plan_cohort` reads the selection and the store, and writes the cohort's membership. Its log shows the plan as a
   table: reuse, parse, call, unscored, and what the calls may cost. Bad input fails here, before any write. It cuts
   the members into slices: reused members apart from those that need work. A dry run has none.
2. `evaluation` runs once per slice. `check_parsed` logs `Skipping <gen_id>: parsed.txt already exists` for each
   finished evaluation, and skips the whole slice when nothing is left. Then prompts are written, judges asked, and
   replies scored.
3. `summarise_cohort` writes `scores.csv` and accounts for every member. The run is green only when no member is
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
from essay_cohorts_airflow.score_assets import EVALUATION_OUTLETS, announce_evaluations
from essay_cohorts_airflow.task_runtime import (
    DEFAULT_ARGS,
    find_plan,
    leave_plan,
    readable_failure,
    runs_on_several_machines,
    tasks_at_once,
    this_conf,
    this_plan,
    this_task,
)


@cohort_task
def plan_cohort() -> list[dict[str, Any]]:
    """Plan the cohort, write its membership, and leave the plan; return the slices to map `evaluation` over."""
    from essay_cohorts import settings
    from essay_cohorts.backfill import plan_cohort, slice_tasks
    from essay_cohorts_airflow.llm_connection import check_connections

    with readable_failure():
        own = settings.read_settings()
        planned = plan_cohort.plan_cohort(own, this_conf(), this_task(), check_connections)
        slices: list[dict[str, Any]] = []
        if not planned.dry_run:
            several = runs_on_several_machines()
            slices = slice_tasks.cut_into_slices(own, planned, tasks_at_once(), several_machines=several)
        # Last, because a run with a plan counts as planned.
        leave_plan(planned)
        return slices


@task.short_circuit(ignore_downstream_trigger_rules=False)
def not_a_dry_run() -> bool:
    """Skip the announcements and the report of a dry run."""
    planned = find_plan()
    return planned is not None and not planned.dry_run


@cohort_task(outlets=EVALUATION_OUTLETS)
def announce_reused(outlet_events: Any = None) -> None:
    """Announce the reused evaluations that are new in this cohort."""
    from essay_cohorts import settings
    from essay_cohorts.backfill import announce

    with readable_failure():
        planned = this_plan()
        reused = [] if planned.dry_run else announce.announce_reused(settings.read_settings(), planned)
    if not reused:
        msg = "No reused evaluation is to be announced"
        raise AirflowSkipException(msg)
    announce_evaluations(outlet_events, planned.cohort_id, "reused", reused)


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
    slices: Any = plan_cohort()
    gate: Any = not_a_dry_run()
    reused: Any = announce_reused()
    slices >> gate >> reused
    done = [evaluation.expand(part=slices), reused]
    summary: Any = summarise_cohort()
    done >> summary
    announce_completion(summary)
    # The report reads the store itself, so it need not wait for the summary.
    report: Any = write_report()
    [gate, *done] >> report
