"""Runs a whole cohort in this process, without Airflow: the same steps in the same order over the same store.

A run that was broken off is completed by the next one, here or in Airflow: what has a reply is not called again.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

from essay_cohorts.backfill import slice_tasks
from essay_cohorts.backfill.call_missing import Connect, call_missing
from essay_cohorts.backfill.report.write_report import write_report
from essay_cohorts.backfill.summarise import Summary, summarise_cohort
from essay_cohorts.domain import TaskRef
from essay_cohorts.errors import CohortError, CohortIncomplete
from essay_cohorts.planning.planned_run import PlannedRun
from essay_cohorts.planning.slices import Slice
from essay_cohorts.settings import Settings

log = logging.getLogger(__name__)

_ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run_planned(settings: Settings, planned: PlannedRun, task: TaskRef, connect: Connect) -> Summary:
    """Call what is missing, score the replies and summarise; return the summary, complete or not.

    `task` is the task that planned. CohortIncomplete after SIGINT, SIGTERM or SIGHUP: no further request is sent, and
    the replies to those that were sent are stored first.
    """
    # One process works through the slices in turn, so one slice with all calls at once is the quickest.
    planned = replace(planned, batch_size=planned.batch_size or max(planned.planned, 1))
    parts = [Slice(**part) for part in slice_tasks.cut_into_slices(settings, planned)]
    for index, part in enumerate(parts):
        work = _run_slice(settings, planned, part, replace(task, task_id="run", map_index=index), connect)
        try:
            asyncio.run(_ended_by_signals(work))
        except asyncio.CancelledError:
            msg = "The run was ended. Run the same command again: only what is missing is called."
            raise CohortIncomplete(msg) from None
    summary = summarise_cohort(settings, planned, task.run)
    write_report(settings, planned, task.run)
    return summary


async def _ended_by_signals(work: Coroutine[Any, Any, None]) -> None:
    """Await the work and cancel it at the first signal; further signals do not interrupt the storing of replies."""
    running, loop = asyncio.create_task(work), asyncio.get_running_loop()

    def end() -> None:
        log.warning("Waiting for the replies to the requests under way, which are paid for. No further one is sent.")
        if not running.cancelling():
            running.cancel()

    for number in _ENDING_SIGNALS:
        loop.add_signal_handler(number, end)
    try:
        await running
    finally:
        for number in _ENDING_SIGNALS:
            loop.remove_signal_handler(number)


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
