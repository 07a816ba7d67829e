"""The calls of one slice while they are under way: who is asked next, and what becomes of the answer."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from essay_cohorts.calling.budget import Budget
from essay_cohorts.calling.records import failure_record, reply_record
from essay_cohorts.calling.spending import EvaluationSpending, SliceSpending, settle_from_store
from essay_cohorts.calling.stops import RunStops
from essay_cohorts.calls import CallEnd, Failure, JudgeModel, Prompt, Reply
from essay_cohorts.domain import PlanRow, Stage, TaskRef
from essay_cohorts.errors import StoreError, raise_if_any
from essay_cohorts.files.crash_points import reach
from essay_cohorts.files.disk_executor import DiskThreads
from essay_cohorts.leases.concurrency_slots import CallSlots
from essay_cohorts.leases.evaluation_lease import CallLease
from essay_cohorts.leases.task_lease import TaskLease
from essay_cohorts.planning.planned_run import PlannedRun
from essay_cohorts.planning.slice_rows import needs_call
from essay_cohorts.planning.slices import Slice
from essay_cohorts.settings import Settings
from essay_cohorts.store.catalog import Catalog
from essay_cohorts.store.cohort_folder import CohortFolder
from essay_cohorts.store.gens_data_layer import GensDataLayer

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from essay_cohorts.llm_client.client import Judge
    from essay_cohorts.llm_client.client_settings import CallRules

log = logging.getLogger(__name__)

# A reply that the disk refuses is at least kept in the task's log, up to this many characters.
_LOGGED_REPLY = 4_000
_PROGRESS_LINES = 20
# How often a call that is under way elsewhere is looked at, in s.
_LOOK_AGAIN_S = 0.5
# The first calls of a slice with more than _WAVE at once start so long after each other, in s: replies that come back
# one by one cost a third less processor time to store than a wave of them.
_WAVE, _START_S = 16, 0.01
IN_FLIGHT_ELSEWHERE = "in_flight_elsewhere"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Held:
    """An evaluation whose turn it is: what to ask whom, or why not, or nothing at all when it is done already."""

    row: PlanRow
    lease: CallLease
    spending: EvaluationSpending
    prompt: Prompt | None = None
    model: JudgeModel | None = None
    answer: Failure | None = None


@dataclass(kw_only=True)
class SliceCalls:
    """The calls of one slice: what they share while they are under way.

    `begun` are the evaluations whose lease is held; `close` gives back what a cancelled run left there.
    """

    store: GensDataLayer
    folder: CohortFolder
    planned: PlannedRun
    part: Slice
    task: TaskRef
    card: TaskLease
    disk: DiskThreads
    models: Mapping[str, JudgeModel]
    rules: CallRules
    slots: CallSlots
    spending: SliceSpending
    judge: Judge
    stops: RunStops
    failures: dict[str, Failure] = field(default_factory=dict)
    leases: dict[str, CallLease] = field(default_factory=dict)
    begun: dict[str, _Held] = field(default_factory=dict)
    workers: set[asyncio.Task[None]] = field(default_factory=set)
    broken: Exception | None = None
    done: int = 0
    replies: int = 0

    @classmethod
    def open(
        cls,
        settings: Settings,
        planned: PlannedRun,
        part: Slice,
        task: TaskRef,
        client: AsyncOpenAI,
        rules: CallRules,
        card: TaskLease,
        disk: DiskThreads,
    ) -> SliceCalls:
        """Made ready to run; what former runs left unsettled in the journal is settled from the store."""
        from essay_cohorts.llm_client.client import Judge

        catalog = Catalog(root=settings.data_root)
        models = catalog.models(planned.models)
        raise_if_any(models.problems, under_way=True)
        folder = CohortFolder(root=settings.data_root, cohort_id=planned.cohort_id)
        store, journal = GensDataLayer.from_root(settings.data_root), folder.call_journal()
        settle_from_store(journal, store)
        stops = RunStops(folder, planned, task)
        return cls(
            store=store,
            folder=folder,
            planned=planned,
            part=part,
            task=task,
            card=card,
            disk=disk,
            models={model.id: model for model in models.value},
            rules=rules,
            slots=CallSlots(folder.make_slots_folder(), planned.max_concurrency),
            spending=SliceSpending(
                journal=journal,
                budget=Budget(max_llm_calls=planned.max_llm_calls, max_cost_usd=planned.max_cost_usd),
                task=task,
                total_timeout_s=rules.total_timeout_s,
                disk=disk,
            ),
            judge=Judge(
                client,
                rules,
                accept_offline=catalog.offline_replies_allowed(),
                calls_at_once=part.calls_at_once,
                stop_for=stops.stop_for,
            ),
            stops=stops,
        )

    async def run(self, rows: list[PlanRow]) -> None:
        """Calls for all rows, at most the slice's share at once; a reply is on disk before its place is given on.

        What another run has under way is waited for, for a bounded time, and called for when that run gives up.
        """
        log.info(
            "Calling for %d evaluations, %d at once, at %s", len(rows), self.part.calls_at_once, self.judge.base_url
        )
        total, waiting, deadline = len(rows), rows, None
        while waiting:
            waiting = await self._round(waiting, total)
            if self.broken is not None:
                raise self.broken
            if not waiting or self.stops.is_ending:
                return
            if deadline is None:
                deadline = time.monotonic() + self.rules.elsewhere_wait_s
                log.info("%d are under way elsewhere: waiting up to %g s", len(waiting), self.rules.elsewhere_wait_s)
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(_LOOK_AGAIN_S)
        for row in waiting:
            holder = self.leases[row.member.gen_id].holder()
            message = f"{holder} was still calling for it after {self.rules.elsewhere_wait_s:g} s"
            self.failures[row.member.gen_id] = Failure(kind=IN_FLIGHT_ELSEWHERE, message=message)

    def end_soon(self) -> None:
        """From now on no request is sent; `run` returns once those that were sent have ended."""
        log.warning("The task is to end: no further requests; %d evaluations are under way", len(self.begun))
        self.stops.is_ending = True
        # Some would wait for long for a slot, for room in the budget or for their next attempt, and all in vain.
        for worker in self.workers - self.judge.end_soon():
            worker.cancel()

    def close(self) -> None:
        """Gives back what is still held and writes the last lines of the journal; for when nothing runs any more."""
        with ExitStack() as last:
            last.callback(self.spending.journal.flush)
            for held in list(self.begun.values()):
                last.callback(self._finish, held, None)

    async def _round(self, rows: list[PlanRow], total: int) -> list[PlanRow]:
        """Tries each row once; returns those that another process has under way."""
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
        """Sees to one row after another, in one slot."""
        try:
            if self.part.calls_at_once > _WAVE:
                await asyncio.sleep(number * _START_S)
            async with self.slots.hold():
                held = await self.disk.run(self._begin_next, waiting, elsewhere)
                while held is not None:
                    answer = await self._ask(held)
                    # Together: each trip to another thread costs as much as what is done there.
                    held = await self.disk.run(self._finish_and_begin_next, held, answer, waiting, elsewhere)
                    self.replies += isinstance(answer, Reply)
                    await self.spending.tell_settled()
                    self._tell_progress(total)
        except Exception as error:  # noqa: BLE001  (raised by `run`, once the calls under way are stored)
            self.broken = error

    def _tell_progress(self, total: int) -> None:
        self.done += 1
        if self.done == total or self.done % max(1, total // _PROGRESS_LINES) == 0:
            log.info("%d of %d calls done, %d without a reply", self.done, total, len(self.failures))

    async def _ask(self, held: _Held) -> Reply | Failure | None:
        """What the judge says, or why there is nothing to ask."""
        if not (held.prompt and held.model):
            return held.answer
        return await self.judge.ask(held.model, held.prompt, held.spending)

    def _finish_and_begin_next(
        self,
        held: _Held,
        answer: Reply | Failure | None,
        waiting: Iterator[PlanRow],
        elsewhere: list[PlanRow],
    ) -> _Held | None:
        self._finish(held, answer)
        return self._begin_next(waiting, elsewhere)

    def _begin_next(self, waiting: Iterator[PlanRow], elsewhere: list[PlanRow]) -> _Held | None:
        """The next row that nobody else calls for, with its lease; None when there is none, or something broke."""
        for row in waiting:
            if self.broken is not None or self.stops.is_ending:
                return None
            held = self._begin(row)
            if held is not None:
                self.begun[row.member.gen_id] = held
                return held
            elsewhere.append(row)
        return None

    def _begin(self, row: PlanRow) -> _Held | None:
        """Takes the lease and looks at the store once more: what another run has finished must not be paid for."""
        gen_id = row.member.gen_id
        lease = self.leases.get(gen_id) or self.store.call_lease(gen_id, self.card)
        if not self.store.exists(Stage.EVALUATION, gen_id):
            return _Held(row=row, lease=lease, spending=self._spending_of(gen_id), answer=_lost("its folder"))
        if not lease.take():
            self.leases[gen_id] = lease
            return None
        self.leases.pop(gen_id, None)
        try:
            reach("after_lease")
            return self._look(row, lease)
        except BaseException:
            lease.release()
            raise

    def _look(self, row: PlanRow, lease: CallLease) -> _Held:
        gen_id, model = row.member.gen_id, self.models.get(row.member.llm_model_id)
        spending = self._spending_of(gen_id)
        if self._is_done_already(row):
            return _Held(row=row, lease=lease, spending=spending)
        prompt, missing = self.store.whole_prompt(gen_id), ""
        if self.store.metadata(Stage.EVALUATION, gen_id) is None:
            missing = "its metadata.json"
        elif prompt is None or not prompt.text:
            missing = "its prompt.txt"
        elif model is None:
            missing = f"model {row.member.llm_model_id} in 1_raw/llm_models.csv"
        if missing or not prompt or not model:
            return _Held(row=row, lease=lease, spending=spending, answer=_lost(missing))
        # What would wait for its turn at a slow server is written down only when that turn comes.
        if self.judge.asks_at_once(model):
            spending.reserve_now(model, prompt)
        return _Held(row=row, lease=lease, spending=spending, prompt=prompt, model=model)

    def _spending_of(self, gen_id: str) -> EvaluationSpending:
        return self.spending.of_evaluation(gen_id, partial(self._store, gen_id))

    def _is_done_already(self, row: PlanRow) -> bool:
        gen_id = row.member.gen_id
        if self.store.is_untouched(gen_id):
            return False
        if self.store.complete_reply(gen_id):
            log.info("%s: put in place a reply that an earlier run had received", gen_id)
        return self.store.parsed_exists(Stage.EVALUATION, gen_id) or not needs_call(self.store, row, self.planned)

    def _finish(self, held: _Held, answer: Reply | Failure | None) -> None:
        """Writes down what came of it and gives the lease back."""
        self.begun.pop(held.row.member.gen_id, None)
        try:
            if held.model:
                held.spending.give_back(held.model)
            if isinstance(answer, Failure):
                self._record_failure(held.row, answer)
            elif answer is not None and held.model and held.prompt:
                self._store(held.row.member.gen_id, held.model, held.prompt, answer)
        finally:
            held.lease.release()

    def _store(self, gen_id: str, model: JudgeModel, prompt: Prompt, reply: Reply) -> None:
        reach("after_receive")
        record = reply_record(model, prompt, reply, self.judge.base_url, self.folder.cohort_id, self.task)
        try:
            self.store.store_reply(gen_id, reply.text, record, reply.reasoning)
        except StoreError:
            log.error("%s: paid for, but not stored: %s", gen_id, reply.text[:_LOGGED_REPLY])
            self.spending.settle_now(model, reply.call, CallEnd.CHARGED, reply.usage)
            raise
        self.spending.settle_now(model, reply.call, CallEnd.REPLY, reply.usage)
        log.info("%s: reply stored, %s, %.1f s", gen_id, reply.response_model, reply.duration_s)

    def _record_failure(self, row: PlanRow, failure: Failure) -> None:
        member = row.member
        self.failures[member.gen_id] = failure
        self.stops.add_for(failure, member.llm_model_id)
        if self.store.exists(Stage.EVALUATION, member.gen_id):
            self.store.write_failure(member.gen_id, failure_record(failure, self.task))
        log.warning("%s: no reply after %d attempts: %s", member.gen_id, failure.attempts, failure.message)


def _lost(what: str) -> Failure:
    return Failure(kind="not_ready", message=f"{what} is gone since planning")
