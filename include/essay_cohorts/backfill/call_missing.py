"""The one step that spends money: asks a judge for each evaluation of a slice that has no reply yet."""

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
    """Get a reply for each evaluation of the slice that lacks one; returns {"called": n}.

    `connect` is awaited only when there is something to call. RepliesMissing, after every evaluation of the slice was
    tried, when some got no reply; each of those that this task tried has its failure.json. When it is cancelled it
    sends no further request, and ends once the replies to those that it sent are stored.
    """
    store = GensDataLayer.from_root(settings.data_root)
    rows = list(rows_to_call(store, rows_of_slice(settings, planned, part), planned))
    if not rows:
        log.info("Nothing to call")
        return {"called": 0}
    endpoint, disk = await connect(), DiskThreads()
    work = SliceTask(settings=settings, planned=planned, part=part, task=task)
    async with endpoint.client:
        # Given back last: while something is being stored, nobody may take this task for gone.
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
    """Run the calls; when that is cancelled, what was sent is paid for, so its replies are waited for."""
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
        running.result()  # raises what went wrong meanwhile, such as a full disk: more than that it was ended
        raise
