"""Calls the judge for each evaluation of a slice that has no reply yet; no other step of a run spends money."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack

from essay_cohorts.calling.endpoint import Endpoint
from essay_cohorts.calling.records import missing_replies
from essay_cohorts.calling.slice_calls import SliceCalls, SliceTask
from essay_cohorts.calls import JudgeModel
from essay_cohorts.catalog.catalog import Catalog
from essay_cohorts.domain import Action, PlanRow, TaskRef
from essay_cohorts.errors import RepliesMissing, raise_if_any
from essay_cohorts.files.disk_executor import DiskThreads
from essay_cohorts.ledger.ledger import Ledger
from essay_cohorts.planning.planned_run import PlannedRun
from essay_cohorts.planning.slice_rows import rows_of_other_slices, rows_of_slice, rows_to_call
from essay_cohorts.planning.slices import Slice
from essay_cohorts.progress.counter import ProgressCounter
from essay_cohorts.progress.records import SliceProgress, write_progress
from essay_cohorts.progress.report import ProgressReport
from essay_cohorts.settings import Settings
from essay_cohorts.store.cohort_folder import CohortFolder
from essay_cohorts.store.gens_data_layer import GensDataLayer

log = logging.getLogger(__name__)


# Opens the connections with these ids, and returns their endpoints by id. It raises BadInput with the problems of all
# of them, so that no call is paid for while a connection has to be fixed.
Connect = Callable[[Collection[str]], Awaitable[Mapping[str, Endpoint]]]


# Gets the counts of a slice while it calls, at regular times and at its end, in another thread.
Meter = Callable[[SliceProgress], None]


async def call_missing(
    settings: Settings,
    planned: PlannedRun,
    part: Slice,
    task: TaskRef,
    connect: Connect,
    meter: Meter = lambda _: None,
) -> dict[str, int]:
    """Get a reply for each evaluation of the slice that has none; return {"called": n}.

    `connect` is awaited only if there is something to call, and only with the connections of the judges to call. If
    some evaluations got no reply, RepliesMissing is raised after all evaluations of the slice were tried. Each
    evaluation that this task tried without success has a failure.json. When the coroutine is cancelled, it sends no
    further request, waits for the replies to the requests that it has sent, and stores them.
    """
    store = GensDataLayer.from_root(settings.data_root)
    rows_here = rows_of_slice(settings, planned, part)
    rows = list(rows_to_call(store, rows_here, planned))
    if not rows:
        log.info("Nothing to call")
        return {"called": 0}
    models = _models(settings, planned)
    endpoints = await connect(sorted({models[name].connection for name in {*_judges(rows)} & {*models}}))
    disk, progress = DiskThreads(), ProgressCounter(_judges(rows_here), (row.member.llm_model_id for row in rows))
    work = SliceTask(settings=settings, planned=planned, part=part, task=task, models=models, progress=progress)
    ledger = Ledger.of(settings)
    async with AsyncExitStack() as clients:
        for endpoint in endpoints.values():
            await clients.enter_async_context(endpoint.client)
        # The caller ends last: while this task stores replies, no other process may take it for dead.
        with ledger.caller(str(task)) as caller:
            calls = SliceCalls.open(work, endpoints, ledger, caller, disk)
            try:
                async with disk, _report(work, disk, meter):
                    await _run(calls, rows, _of_others(work, endpoints))
            finally:
                calls.close()
    if calls.failures:
        raise RepliesMissing(missing_replies(calls.failures, len(rows)))
    return {"called": calls.replies}


def _judges(rows: Iterable[PlanRow]) -> Iterator[str]:
    """Yield the judge of each planned call."""
    return (row.member.llm_model_id for row in rows if row.action is Action.CALL)


def _report(work: SliceTask, disk: DiskThreads, meter: Meter) -> ProgressReport:
    """Return the report of a slice's progress, to the log, to the run's folder and to `meter`."""
    folder = CohortFolder(root=work.settings.data_root, cohort_id=work.planned.cohort_id)

    def write(progress: SliceProgress) -> None:
        meter(progress)
        write_progress(work.settings.data_root, folder.progress_folder(work.planned.run_key), progress)

    return ProgressReport(work.progress, write, disk, slice_name=work.part.name, try_number=work.task.try_number)


def _models(settings: Settings, planned: PlannedRun) -> dict[str, JudgeModel]:
    """Return the judges of the catalog by id; BadInput when the file became wrong since planning."""
    models = Catalog(root=settings.data_root).models(planned.models)
    raise_if_any(models.problems, under_way=True)
    return {model.id: model for model in models.value}


def _of_others(work: SliceTask, endpoints: Mapping[str, Endpoint]) -> Iterator[PlanRow]:
    """Return the rows of other slices whose judges this slice can ask."""
    judges = {name for name, model in work.models.items() if model.connection in endpoints}
    rows = rows_of_other_slices(work.settings, work.planned, work.part)
    return (row for row in rows if row.member.llm_model_id in judges)


async def _run(calls: SliceCalls, rows: list[PlanRow], others: Iterator[PlanRow]) -> None:
    """Run the calls; when cancelled, wait for the replies to requests that were sent, because they are paid for."""
    running = asyncio.ensure_future(calls.run(rows, others))
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
