"""Calls the judge for each evaluation of a slice that has no reply yet; no other step of a run spends money."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from essay_cohorts.calling.endpoint import Endpoint
from essay_cohorts.calling.records import missing_replies
from essay_cohorts.calling.slice_calls import SliceCalls, SliceTask
from essay_cohorts.domain import PlanRow, TaskRef
from essay_cohorts.errors import RepliesMissing
from essay_cohorts.files.disk_executor import DiskThreads
from essay_cohorts.leases.task_lease import TaskLease
from essay_cohorts.planning.planned_run import PlannedRun
from essay_cohorts.planning.slice_rows import rows_of_slice, rows_to_call
from essay_cohorts.planning.slices import Slice
from essay_cohorts.settings import Settings
from essay_cohorts.store.gens_data_layer import GensDataLayer

log = logging.getLogger(__name__)


Connect = Callable[[], Awaitable[Endpoint]]


async def call_missing(
    settings: Settings, planned: PlannedRun, part: Slice, task: TaskRef, connect: Connect
) -> dict[str, int]:
    """Get a reply for each evaluation of the slice that has none; return {"called": n}.

    `connect` is awaited only if there is something to call. If some evaluations got no reply, RepliesMissing is
    raised after all evaluations of the slice were tried. Each evaluation that this task tried without success has a
    failure.json. When the coroutine is cancelled, it sends no further request, waits for the replies to the requests
    that it has sent, and stores them.
    """
    store = GensDataLayer.from_root(settings.data_root)
    rows = list(rows_to_call(store, rows_of_slice(settings, planned, part), planned))
    if not rows:
        log.info("Nothing to call")
        return {"called": 0}
    endpoint, disk = await connect(), DiskThreads()
    work = SliceTask(settings=settings, planned=planned, part=part, task=task)
    async with endpoint.client:
        # Release the task lease last: while this task stores replies, no other process may take it for dead.
        with TaskLease(settings.data_root, task) as task_lease:
            calls = SliceCalls.open(work, endpoint, task_lease, disk)
            try:
                async with disk:
                    await _run(calls, rows)
            finally:
                calls.close()
    if calls.failures:
        raise RepliesMissing(missing_replies(calls.failures, len(rows)))
    return {"called": calls.replies}


async def _run(calls: SliceCalls, rows: list[PlanRow]) -> None:
    """Run the calls; when cancelled, wait for the replies to requests that were sent, because they are paid for."""
    running = asyncio.ensure_future(calls.run(rows))
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        calls.end_soon()
        try:
            await asyncio.wait({running})
        except asyncio.CancelledError:
            running.cancel()
            await asyncio.wait({running})
            raise
        # If the calls failed meanwhile, for example because the disk is full, raise that error: it tells more than
        # the cancellation.
        running.result()
        raise
