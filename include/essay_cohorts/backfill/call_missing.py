"""The one step that spends money: asks a judge for each evaluation of a slice that has no reply yet."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from essay_cohorts.calling.records import missing_replies
from essay_cohorts.calling.slice_calls import SliceCalls
from essay_cohorts.domain import PlanRow, TaskRef
from essay_cohorts.errors import RepliesMissing
from essay_cohorts.files.disk_executor import DiskThreads
from essay_cohorts.leases.task_lease import TaskLease
from essay_cohorts.planning.planned_run import PlannedRun
from essay_cohorts.planning.slice_rows import needs_call, rows_left, rows_of
from essay_cohorts.planning.slices import Slice
from essay_cohorts.settings import Settings
from essay_cohorts.store.gens_data_layer import GensDataLayer

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from essay_cohorts.llm_client.client_settings import CallRules

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """A client for the LLM's API and the rules for calls over it."""

    client: AsyncOpenAI
    rules: CallRules


Connect = Callable[[], Awaitable[Endpoint]]


async def call_missing(
    settings: Settings, planned: PlannedRun, part: Slice, task: TaskRef, connect: Connect
) -> dict[str, int]:
    """Gets a reply for each evaluation of the slice that lacks one; returns {"called": n}.

    `connect` is awaited only when there is something to call. RepliesMissing, after every evaluation of the slice was
    tried, when some got no reply; each of those that this task tried has its failure.json. When it is cancelled it
    sends no further request, and ends once the replies to those that it sent are stored.
    """
    store = GensDataLayer.from_root(settings.data_root)
    rows = [row for row in rows_left(store, rows_of(settings, planned, part)) if needs_call(store, row, planned)]
    if not rows:
        log.info("Nothing to call")
        return {"called": 0}
    endpoint, disk = await connect(), DiskThreads()
    async with endpoint.client:
        # Given back last: while something is being stored, nobody may take this task for gone.
        with TaskLease(settings.data_root, task) as card:
            calls = SliceCalls.open(settings, planned, part, task, endpoint.client, endpoint.rules, card, disk)
            try:
                async with disk:
                    await _run(calls, rows)
            finally:
                calls.close()
    if calls.failures:
        raise RepliesMissing(missing_replies(calls.failures, len(rows)))
    return {"called": calls.replies}


async def _run(calls: SliceCalls, rows: list[PlanRow]) -> None:
    """Runs the calls; when that is cancelled, what was sent is paid for, so its replies are waited for."""
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
