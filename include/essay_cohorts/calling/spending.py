"""What a slice's requests are paid from: the DagRun's budget, through the cohort's journal of calls."""

from __future__ import annotations

import asyncio
import logging
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from essay_cohorts.calling.budget import Budget
from essay_cohorts.calls import DEFERRED, CallEnd, Failure, JudgeModel, Prompt, Reply, Room, Spending, Usage
from essay_cohorts.domain import TaskRef
from essay_cohorts.files.disk_executor import DiskThreads
from essay_cohorts.judging.prices import cost_usd, worst_case_usd
from essay_cohorts.store.call_journal import CallJournal, Intent
from essay_cohorts.store.gens_data_layer import GensDataLayer

log = logging.getLogger(__name__)

# Requests of other slices may end and turn out cheaper than their worst case: how often that is looked for, in s.
_LOOK_AGAIN_S = 0.25
# What a request may take beyond its total timeout until its end is written down, in s.
_GRACE_S = 60.0


Store = Callable[[JudgeModel, Prompt, Reply], None]


@dataclass(kw_only=True)
class SliceSpending:
    """The spending of one slice: reserves the worst case before each request, settles the real cost after it."""

    journal: CallJournal
    budget: Budget
    task: TaskRef
    total_timeout_s: float
    disk: DiskThreads
    _settled: asyncio.Condition = field(default_factory=asyncio.Condition)

    def of_evaluation(self, gen_id: str, store: Store) -> EvaluationSpending:
        """Return what the requests for one evaluation are paid from.

        `store` stores a reply and settles its request.
        """
        return EvaluationSpending(spending=self, gen_id=gen_id, store=store)

    async def reserve(self, evaluation: EvaluationSpending, model: JudgeModel, prompt: Prompt) -> Failure | None:
        """Reserve a request that may be sent now, or says why it may not; waits while the request may yet fit."""
        intent, seen = self._intent(evaluation.gen_id, model, prompt), Spending()

        def room_for(spending: Spending) -> Room:
            nonlocal seen
            seen = spending
            return self.budget.room_for(spending, intent.worst_usd)

        asked = room_for if self.budget.is_set else None
        while True:
            room = await self.disk.run(self._reserve_for, evaluation, intent, asked)
            if room is Room.YES:
                sys.audit("essay_cohorts.after_intent")
                return None
            if room is Room.NO:
                return Failure(kind=DEFERRED, message=f"budget: {self.budget.in_words(seen, intent.worst_usd)}")
            await self._wait_for_an_end()

    def reserve_now(self, evaluation: EvaluationSpending, model: JudgeModel, prompt: Prompt) -> None:
        """As `reserve`, in this thread, for a run without a budget."""
        self._reserve_for(evaluation, self._intent(evaluation.gen_id, model, prompt), None)
        sys.audit("essay_cohorts.after_intent")

    def _reserve_for(
        self, evaluation: EvaluationSpending, intent: Intent, room_for: Callable[[Spending], Room] | None
    ) -> Room:
        """Reserve and hands over in one step: who waits for it may be cancelled meanwhile."""
        room, call = self.journal.reserve(intent, room_for)
        if room is Room.YES:
            evaluation.reserved = call
        return room

    def _intent(self, gen_id: str, model: JudgeModel, prompt: Prompt) -> Intent:
        return Intent(
            gen_id=gen_id,
            llm_model_id=model.id,
            worst_usd=worst_case_usd(model, prompt.system + prompt.text),
            longest_s=self.total_timeout_s + _GRACE_S,
            task=self.task,
        )

    async def settle(self, model: JudgeModel, call: str, end: CallEnd, usage: Usage | None) -> None:
        """Write down how a request ended and what it cost."""
        await self.disk.run(self.settle_now, model, call, end, usage)
        await self.tell_settled()

    def settle_now(self, model: JudgeModel, call: str, end: CallEnd, usage: Usage | None) -> None:
        """As `settle`, in this thread; those who wait for room are told by `tell_settled`."""
        cost = 0.0 if end is CallEnd.NOT_CHARGED else None
        if usage is not None:
            cost = cost_usd(model, usage)
        # Nobody waits for room where nothing is capped, and of a reply the store itself tells what it cost.
        later = end is CallEnd.REPLY and not self.budget.is_set
        (self.journal.settle_later if later else self.journal.settle)(call, end, cost)

    async def tell_settled(self) -> None:
        """Wake those who wait for room in the budget."""
        async with self._settled:
            self._settled.notify_all()

    async def _wait_for_an_end(self) -> None:
        async with self._settled:
            try:
                pause = _LOOK_AGAIN_S * random.uniform(0.5, 1.5)  # noqa: S311  (spreads the lookers out)
                await asyncio.wait_for(self._settled.wait(), pause)
            except TimeoutError:
                return


@dataclass(kw_only=True, slots=True)
class EvaluationSpending:
    """Reserves and settles for one evaluation; `reserved` is a request that is reserved and not sent yet."""

    spending: SliceSpending
    gen_id: str
    store: Store
    reserved: str | None = None

    async def reserve(self, model: JudgeModel, prompt: Prompt) -> str | Failure:
        """Return the name of a request that is about to be sent, or why there is none: see SliceSpending.reserve."""
        if self.reserved is None:
            refused = await self.spending.reserve(self, model, prompt)
            if refused is not None:
                return refused
        call, self.reserved = self.reserved or "", None
        return call

    def reserve_now(self, model: JudgeModel, prompt: Prompt) -> None:
        """Reserve the first request, in this thread, unless there is a budget to wait for."""
        if not self.spending.budget.is_set:
            self.spending.reserve_now(self, model, prompt)

    def give_back(self, model: JudgeModel) -> None:
        """Settle, in this thread, a reserved request that was never sent."""
        if self.reserved is not None:
            self.spending.settle_now(model, self.reserved, CallEnd.NOT_CHARGED, None)
            self.reserved = None

    async def settle(self, model: JudgeModel, call: str, end: CallEnd, usage: Usage | None = None) -> None:
        """See SliceSpending.settle."""
        await self.spending.settle(model, call, end, usage)

    async def keep(self, model: JudgeModel, prompt: Prompt, reply: Reply) -> None:
        """Store a reply that broke off, before the judge is asked again: it was paid for."""
        await self.spending.disk.run(self.store, model, prompt, reply)
        await self.spending.tell_settled()


def settle_from_store(journal: CallJournal, store: GensDataLayer) -> None:
    """Settle requests whose replies are in the store, though the process that stored them died before it said so."""
    for call in journal.unsettled():
        if call.is_under_way():
            continue
        record = store.record_of_call(call.gen_id, call.name)
        if record is not None:
            journal.settle(call.name, CallEnd.REPLY, record.cost_usd)
