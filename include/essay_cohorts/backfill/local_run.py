"""Runs a whole cohort in this process, without Airflow: the same steps in the same order over the same store.

A run that was broken off is completed by the next one, here or in Airflow: what has a reply is not called again.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from essay_cohorts.backfill import slice_tasks
from essay_cohorts.backfill.call_missing import Connect, call_missing
from essay_cohorts.backfill.summarise import Summary, summarise_cohort
from essay_cohorts.domain import TaskRef
from essay_cohorts.errors import CohortError
from essay_cohorts.planning.planned_run import PlannedRun
from essay_cohorts.planning.slices import Slice
from essay_cohorts.settings import Settings

log = logging.getLogger(__name__)


def run_planned(settings: Settings, planned: PlannedRun, task: TaskRef, connect: Connect) -> Summary:
    """Call what is missing, score the replies and summarise; return the summary, complete or not.

    `task` is the task that planned. KeyboardInterrupt ends the run after the replies to the requests in flight are
    stored.
    """
    parts = [Slice(**part) for part in slice_tasks.batches(settings, planned, tasks_at_once=1)]
    for index, part in enumerate(parts):
        asyncio.run(_run_slice(settings, planned, part, replace(task, task_id="run", map_index=index), connect))
    return summarise_cohort(settings, planned, task.run)


async def _run_slice(settings: Settings, planned: PlannedRun, part: Slice, task: TaskRef, connect: Connect) -> None:
    if not slice_tasks.check_parsed(settings, planned, part):
        return
    try:
        slice_tasks.write_prompts(settings, planned, part)
        await call_missing(settings, planned, part, task, connect)
    except CohortError as error:
        # The summary counts what is missing and says what to do; the cause is here.
        log.error("%s", error)
    slice_tasks.parse_replies(settings, planned, part, task)
