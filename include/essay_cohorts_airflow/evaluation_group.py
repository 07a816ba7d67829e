"""The four steps that one mapped instance takes with its slice: check, prompt, call, score."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import TriggerRule, chain, task, task_group
from airflow.sdk.exceptions import AirflowSkipException

from essay_cohorts_airflow.score_assets import FINISHED_EVALUATIONS, tell
from essay_cohorts_airflow.task_border import readable_failure, this_task

if TYPE_CHECKING:
    from essay_cohorts.planning.planned_run import PlannedRun
    from essay_cohorts.planning.slices import Slice
    from essay_cohorts.settings import Settings

CALLING = timedelta(hours=12)
LABEL = "{{ task.op_kwargs['part']['label'] }}"


@task(map_index_template=LABEL)
def check_parsed(planned: dict[str, Any], part: dict[str, Any]) -> None:
    """Log what is done; skip the slice when nothing is left."""
    from essay_cohorts.backfill import slice_tasks

    with readable_failure():
        left = slice_tasks.check_parsed(*_given(planned, part))
    if not left:
        msg = "Every evaluation of this slice exists"
        raise AirflowSkipException(msg)


@task(map_index_template=LABEL)
def evaluation_prompt(planned: dict[str, Any], part: dict[str, Any]) -> None:
    """Write the prompts of what has to be asked."""
    from essay_cohorts.backfill import slice_tasks

    with readable_failure():
        slice_tasks.write_prompts(*_given(planned, part))


@task(map_index_template=LABEL, execution_timeout=CALLING + timedelta(minutes=70))
async def evaluation_raw(planned: dict[str, Any], part: dict[str, Any]) -> None:
    """Call the judges."""
    from essay_cohorts.backfill import call_missing
    from essay_cohorts_airflow.llm_connection import connect

    # Earlier than Airflow's timeout, which breaks off replies under way, by more than a request may take.
    async with asyncio.timeout(CALLING.total_seconds()):
        with readable_failure():
            await call_missing.call_missing(*_given(planned, part), this_task(), connect)


# The replies that a partly failed slice did get are scored; a skipped slice stays skipped.
@task(map_index_template=LABEL, trigger_rule=TriggerRule.NONE_SKIPPED, outlets=[FINISHED_EVALUATIONS])
def evaluation_parsed(planned: dict[str, Any], part: dict[str, Any], outlet_events: Any = None) -> None:
    """Score the replies."""
    from essay_cohorts.backfill import announce, slice_tasks

    with readable_failure():
        given = _given(planned, part)
        slice_tasks.parse_replies(*given, this_task())
        scored = announce.announce_scored(*given)
    if not scored:
        # Its success would be an event of an asset that did not change.
        msg = "No evaluation of this slice got a score: there is nothing to announce"
        raise AirflowSkipException(msg)
    tell(outlet_events, planned, "scored", scored)


@task_group
def evaluation(planned: dict[str, Any], part: dict[str, Any]) -> None:
    """One slice of the cohort's evaluations; all four tasks of a slice that is done are skipped."""
    order = (check_parsed, evaluation_prompt, evaluation_raw, evaluation_parsed)
    chain(*(step(planned=planned, part=part) for step in order))


def _given(planned: dict[str, Any], part: dict[str, Any]) -> tuple[Settings, PlannedRun, Slice]:
    """What each step works with: the settings, the run's plan, and the slice of the plan."""
    from essay_cohorts.planning.planned_run import PlannedRun
    from essay_cohorts.planning.slices import Slice
    from essay_cohorts.settings import read_settings

    return read_settings(), PlannedRun.from_xcom(planned), Slice(**part)
