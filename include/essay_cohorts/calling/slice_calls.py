"""The calls of one slice while they are under way: how many at once, who is asked next, and when the slice ends."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from essay_cohorts.calling.budget import Budget
from essay_cohorts.calling.endpoint import Endpoint
from essay_cohorts.calling.evaluation_calls import ClaimedEvaluation, EvaluationCalls
from essay_cohorts.calling.spending import SliceSpending, settle_from_store
from essay_cohorts.calling.stops import RunStops
from essay_cohorts.calls import Failure, Reply
from essay_cohorts.domain import PlanRow, TaskRef
from essay_cohorts.errors import raise_if_any
from essay_cohorts.files.atomic import make_folder
from essay_cohorts.files.disk_executor import DiskThreads
from essay_cohorts.leases.concurrency_slots import CallSlots
from essay_cohorts.leases.task_lease import TaskLease
from essay_cohorts.planning.planned_run import PlannedRun
from essay_cohorts.planning.slices import Slice
from essay_cohorts.settings import Settings
from essay_cohorts.store.call_journal import CallJournal
from essay_cohorts.store.catalog import Catalog
from essay_cohorts.store.cohort_folder import CohortFolder
from essay_cohorts.store.gens_data_layer import GensDataLayer

if TYPE_CHECKING:
    from essay_cohorts.llm_client.client import Judge

log = logging.getLogger(__name__)

_PROGRESS_LINES = 20
# How often a call that is under way elsewhere is checked again, in s.
_CHECK_AGAIN_S = 0.5
# The first calls of a slice with more than _WAVE at once start so long after each other, in s: replies that come back
# one by one cost a third less processor time to store than a wave of them.
_WAVE, _START_S = 16, 0.01
IN_FLIGHT_ELSEWHERE = "in_flight_elsewhere"


@dataclass(frozen=True, kw_only=True, slots=True)
class SliceTask:
    """A slice of a planned run, and the task that works on it."""

    settings: Settings
    planned: PlannedRun
    part: Slice
    task: TaskRef


@dataclass(kw_only=True)
class SliceCalls:
    """The calls of one slice, made by workers that share the rows; each keeps one place among the calls in flight.

    `calls` claims an evaluation for a worker and stores the answer. `broken` is the first error that is not a
    judge's: it ends the slice.
    """

    part: Slice
    disk: DiskThreads
    slots: CallSlots
    elsewhere_wait_s: float
    judge: Judge
    calls: EvaluationCalls
    workers: set[asyncio.Task[None]] = field(default_factory=set)
    broken: Exception | None = None
    done: int = 0
    replies: int = 0

    @classmethod
    def open(cls, work: SliceTask, endpoint: Endpoint, task_lease: TaskLease, disk: DiskThreads) -> SliceCalls:
        """Prepare the calls; what former runs left unsettled in the journal is settled from the store."""
        from essay_cohorts.llm_client.client import Judge

        root, planned = work.settings.data_root, work.planned
        catalog = Catalog(root=root)
        models = catalog.models(planned.models)
        raise_if_any(models.problems, under_way=True)
        store, folder = GensDataLayer.from_root(root), CohortFolder(root=root, cohort_id=planned.cohort_id)
        journal = CallJournal.for_writing(root, folder.path)
        settle_from_store(journal, store)
        stops = RunStops(folder, planned, work.task)
        judge = Judge(
            endpoint.client,
            endpoint.rules,
            accept_offline=catalog.offline_replies_allowed(),
            calls_at_once=work.part.calls_at_once,
            stop_for=stops.stop_for,
        )
        return cls(
            part=work.part,
            disk=disk,
            # Shared by the slices of all tries and runs of the cohort.
            slots=CallSlots(make_folder(root, folder.path / "slots"), planned.max_concurrency),
            elsewhere_wait_s=endpoint.rules.elsewhere_wait_s,
            judge=judge,
            calls=EvaluationCalls(
                store=store,
                planned=planned,
                task=work.task,
                task_lease=task_lease,
                models={model.id: model for model in models.value},
                spending=_spending(work, journal, endpoint.rules.total_timeout_s, disk),
                judge=judge,
                stops=stops,
            ),
        )

    @property
    def failures(self) -> dict[str, Failure]:
        """The evaluations that got no reply, and why."""
        return self.calls.failures

    async def run(self, rows: list[PlanRow]) -> None:
        """Call for all rows, at most the slice's share at once; a reply is on disk before its place is given on.

        A call that another run has under way is waited for, for a bounded time, and made when that run gives up.
        """
        log.info(
            "Calling for %d evaluations, %d at once, at %s", len(rows), self.part.calls_at_once, self.judge.base_url
        )
        total, waiting, deadline = len(rows), rows, None
        while waiting:
            waiting = await self._round(waiting, total)
            if self.broken is not None:
                raise self.broken
            if not waiting or self.calls.stops.is_ending:
                return
            if deadline is None:
                deadline = time.monotonic() + self.elsewhere_wait_s
                log.info("%d are under way elsewhere: waiting up to %g s", len(waiting), self.elsewhere_wait_s)
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(_CHECK_AGAIN_S)
        for row in waiting:
            holder = self.calls.holder(row.member.gen_id)
            message = f"{holder} was still calling for it after {self.elsewhere_wait_s:g} s"
            self.failures[row.member.gen_id] = Failure(kind=IN_FLIGHT_ELSEWHERE, message=message)

    def end_soon(self) -> None:
        """From now on no request is sent; `run` returns once those that were sent have ended."""
        under_way = len(self.calls.begun)
        log.warning("The task is to end: no further requests; %d evaluations are under way", under_way)
        self.calls.stops.is_ending = True
        # Some would wait for long for a slot, for room in the budget or for their next attempt, and all in vain.
        for worker in self.workers - self.judge.end_soon():
            worker.cancel()

    def close(self) -> None:
        """Give back what is still claimed and writes the journal's last lines; for when no call is under way."""
        with ExitStack() as last:
            last.callback(self.calls.spending.journal.flush)
            last.callback(self.calls.give_back)

    async def _round(self, rows: list[PlanRow], total: int) -> list[PlanRow]:
        """Try each row once; returns those that another process has under way."""
        elsewhere: list[PlanRow] = []
        waiting = iter(rows)
        count = min(self.part.calls_at_once, len(rows))
        work = (self._work(number, waiting, elsewhere, total) for number in range(count))
        self.workers = {asyncio.ensure_future(each) for each in work}
        try:
            await asyncio.wait(self.workers)
        except asyncio.CancelledError:
            for worker in self.workers:
                worker.cancel()
            await asyncio.wait(self.workers)
            raise
        return elsewhere

    async def _work(self, number: int, waiting: Iterator[PlanRow], elsewhere: list[PlanRow], total: int) -> None:
        """Call for one row after another, in one slot."""
        try:
            if self.part.calls_at_once > _WAVE:
                await asyncio.sleep(number * _START_S)
            async with self.slots.hold():
                claimed = await self.disk.run(self._begin_next, waiting, elsewhere)
                while claimed is not None:
                    answer = await self._ask(claimed)
                    # Together: each trip to another thread costs as much as what is done there.
                    claimed = await self.disk.run(self._finish_and_begin_next, claimed, answer, waiting, elsewhere)
                    self.replies += isinstance(answer, Reply)
                    await self.calls.spending.tell_settled()
                    self._log_progress(total)
        except Exception as error:  # noqa: BLE001  (raised by `run`, once the calls under way are stored)
            self.broken = error

    def _log_progress(self, total: int) -> None:
        self.done += 1
        if self.done == total or self.done % max(1, total // _PROGRESS_LINES) == 0:
            log.info("%d of %d calls done, %d without a reply", self.done, total, len(self.failures))

    async def _ask(self, claimed: ClaimedEvaluation) -> Reply | Failure | None:
        """Return what the judge answers, or why there is nothing to ask."""
        if not (claimed.prompt and claimed.model):
            return claimed.answer
        return await self.judge.ask(claimed.model, claimed.prompt, claimed.spending)

    def _finish_and_begin_next(
        self,
        claimed: ClaimedEvaluation,
        answer: Reply | Failure | None,
        waiting: Iterator[PlanRow],
        elsewhere: list[PlanRow],
    ) -> ClaimedEvaluation | None:
        self.calls.finish(claimed, answer)
        return self._begin_next(waiting, elsewhere)

    def _begin_next(self, waiting: Iterator[PlanRow], elsewhere: list[PlanRow]) -> ClaimedEvaluation | None:
        """Claim the next row that nobody else calls for; None when no row is left, or an error ended the slice."""
        for row in waiting:
            if self.broken is not None or self.calls.stops.is_ending:
                return None
            claimed = self.calls.begin(row)
            if claimed is not None:
                return claimed
            elsewhere.append(row)
        return None


def _spending(work: SliceTask, journal: CallJournal, total_timeout_s: float, disk: DiskThreads) -> SliceSpending:
    budget = Budget(max_llm_calls=work.planned.max_llm_calls, max_cost_usd=work.planned.max_cost_usd)
    return SliceSpending(journal=journal, budget=budget, task=work.task, total_timeout_s=total_timeout_s, disk=disk)
