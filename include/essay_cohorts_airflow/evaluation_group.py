"""The four steps that one mapped instance takes with its slice: check, prompt, call, score."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import TriggerRule, chain, task_group
from airflow.sdk.exceptions import AirflowSkipException

from essay_cohorts_airflow.cohort_task import cohort_task
from essay_cohorts_airflow.score_assets import EVALUATION_OUTLETS, announce_evaluations
from essay_cohorts_airflow.task_runtime import readable_failure, this_plan, this_task

if TYPE_CHECKING:
    from essay_cohorts.planning.planned_run import PlannedRun
    from essay_cohorts.planning.slices import Slice
    from essay_cohorts.settings import Settings

# How long one slice may call. Airflow's own timeout of the task is longer by more than one request may take, because
# it would interrupt replies under way.
CALL_TIME_LIMIT = timedelta(hours=12)
TASK_TIME_LIMIT = CALL_TIME_LIMIT + timedelta(minutes=70)
SLICE_LABEL = "{{ task.op_kwargs['part']['label'] }}"


@cohort_task(map_index_template=SLICE_LABEL)
def check_parsed(part: dict[str, Any]) -> None:
    """Log what exists; skip the slice when every evaluation of it has a score."""
    from essay_cohorts.backfill import slice_tasks

    with readable_failure():
        left = slice_tasks.check_parsed(*_inputs(part))
    if not left:
        msg = "Every evaluation of this slice exists"
        raise AirflowSkipException(msg)


@cohort_task(map_index_template=SLICE_LABEL)
def evaluation_prompt(part: dict[str, Any]) -> None:
    """Write the prompts of the slice."""
    from essay_cohorts.backfill import slice_tasks

    with readable_failure():
        slice_tasks.write_prompts(*_inputs(part))


@cohort_task(map_index_template=SLICE_LABEL, execution_timeout=TASK_TIME_LIMIT)
async def evaluation_raw(part: dict[str, Any]) -> None:
    """Ask the judges for the replies that the slice lacks."""
    from essay_cohorts.backfill import call_missing
    from essay_cohorts_airflow.llm_connection import connect
    from essay_cohorts_airflow.monitoring.metrics import SliceMetrics

    async with asyncio.timeout(CALL_TIME_LIMIT.total_seconds()):
        with readable_failure():
            await call_missing.call_missing(*_inputs(part), this_task(), connect, SliceMetrics())


# A slice whose calls failed in part still scores the replies that it got; a skipped slice stays skipped.
@cohort_task(map_index_template=SLICE_LABEL, trigger_rule=TriggerRule.NONE_SKIPPED, outlets=EVALUATION_OUTLETS)
def evaluation_parsed(part: dict[str, Any], outlet_events: Any = None) -> None:
    """Score the replies of the slice, and announce the evaluations that have a score now."""
    from essay_cohorts.backfill import announce, slice_tasks

    with readable_failure():
        inputs = _inputs(part)
        slice_tasks.parse_replies(*inputs, this_task())
        scored = announce.announce_scored(*inputs)
    if not EVALUATION_OUTLETS:
        return
    if not scored:
        # A success would be an event of an asset that did not change.
        msg = "No evaluation of this slice got a score: there is nothing to announce"
        raise AirflowSkipException(msg)
    announce_evaluations(outlet_events, inputs[1].cohort_id, "scored", scored)


@task_group
def evaluation(part: dict[str, Any]) -> None:
    """Check, prompt, call and score one slice; all four tasks of a finished slice are skipped."""
    steps = (check_parsed, evaluation_prompt, evaluation_raw, evaluation_parsed)
    chain(*(step(part=part) for step in steps))


def _inputs(part: dict[str, Any]) -> tuple[Settings, PlannedRun, Slice]:
    """Return what each step works with: the settings, the run's plan, and the slice of the plan."""
    from essay_cohorts.planning.slices import Slice
    from essay_cohorts.settings import read_settings

    return read_settings(), this_plan(), Slice(**part)
