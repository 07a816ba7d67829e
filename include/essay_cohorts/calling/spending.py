"""Records the requests of a slice in the cohort's journal of calls, and keeps the DagRun within its budget.

The journal gets two lines for each request. The first line reserves the request before it is sent: it has the highest
cost that the request can have (the worst case). The second line settles the request after it has ended: it says how
the request ended and what it really cost, if that is known. All slices of a run share one journal, so that together
they keep to one budget.

A crash never makes a run spend more than its budget. If a request was reserved but never settled, its worst case
counts as spent, even if the request was never sent. If the reply to such a request is in the store,
`settle_from_store` settles the request later, with the cost in the reply's record.
"""

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
from essay_cohorts.progress.counter import ProgressCounter
from essay_cohorts.store.call_journal import CallJournal, Intent
from essay_cohorts.store.gens_data_layer import GensDataLayer

log = logging.getLogger(__name__)

# A request that waits for room in the budget reads the journal again after about this time, in s, because requests of
# other slices may have ended and may have cost less than their worst case.
_RECHECK_S = 0.25
# A request counts as in flight for this many seconds after its total timeout, so that its end can still be recorded.
_GRACE_S = 60.0


StoreReply = Callable[[JudgeModel, Prompt, Reply], None]


@dataclass(kw_only=True)
class SliceSpending:
    """The spending of one slice: reserves the worst case before each request, and settles the real cost after it.

    `total_timeout_s` returns the longest time that one request to a model may take, in s. `progress` counts the
    requests and their costs for people; the journal decides what may be spent.
    """

    journal: CallJournal
    budget: Budget
    task: TaskRef
    total_timeout_s: Callable[[JudgeModel], float]
    disk: DiskThreads
    progress: ProgressCounter
    _settled: asyncio.Condition = field(default_factory=asyncio.Condition)
    _worst_usd: dict[str, float | None] = field(default_factory=dict)

    def for_evaluation(self, gen_id: str, store_reply: StoreReply) -> EvaluationSpending:
        """Return the spending of one evaluation. `store_reply` must store a reply and settle its request."""
        return EvaluationSpending(spending=self, gen_id=gen_id, store_reply=store_reply)

    async def reserve(self, evaluation: EvaluationSpending, model: JudgeModel, prompt: Prompt) -> Failure | None:
        """Reserve a request. Return None when it may be sent now, or a Failure when it can never fit into the budget.

        If the request may fit after other requests have ended, wait for them.
        """
        intent, last_spending = self._intent(evaluation.gen_id, model, prompt), Spending()

        def room_for(spending: Spending) -> Room:
            nonlocal last_spending
            last_spending = spending
            return self.budget.room_for(spending, intent.worst_usd)

        check = room_for if self.budget.is_set else None
        while True:
            room = await self.disk.run(self._reserve_for, evaluation, intent, check)
            if room is Room.YES:
                sys.audit("essay_cohorts.after_intent")
                return None
            if room is Room.NO:
                reason = self.budget.explain_refusal(last_spending, intent.worst_usd)
                return Failure(kind=DEFERRED, message=f"budget: {reason}")
            await self._wait_for_settlement()

    def reserve_now(self, evaluation: EvaluationSpending, model: JudgeModel, prompt: Prompt) -> None:
        """Reserve a request in the calling thread. Only for a run without a budget."""
        self._reserve_for(evaluation, self._intent(evaluation.gen_id, model, prompt), None)
        sys.audit("essay_cohorts.after_intent")

    def _reserve_for(
        self, evaluation: EvaluationSpending, intent: Intent, room_for: Callable[[Spending], Room] | None
    ) -> Room:
        """Reserve a request and assign it to the evaluation, in one step.

        The coroutine that waits for this thread may be cancelled in the meantime. Even then the evaluation must know
        the reserved request, so that `cancel_unsent` can settle it.
        """
        room, call = self.journal.reserve(intent, room_for)
        if room is Room.YES:
            evaluation.reserved = call
            self._worst_usd[call] = intent.worst_usd
        return room

    def _intent(self, gen_id: str, model: JudgeModel, prompt: Prompt) -> Intent:
        return Intent(
            gen_id=gen_id,
            llm_model_id=model.id,
            worst_usd=worst_case_usd(model, prompt.whole),
            longest_s=self.total_timeout_s(model) + _GRACE_S,
            task=self.task,
        )

    async def settle(self, model: JudgeModel, call: str, end: CallEnd, usage: Usage | None) -> None:
        """Record how a request ended and what it cost, and wake the requests that wait for room in the budget."""
        await self.disk.run(self.settle_now, model, call, end, usage)
        await self.notify_settled()

    def settle_now(self, model: JudgeModel, call: str, end: CallEnd, usage: Usage | None) -> None:
        """Record the end and the cost in the calling thread. `notify_settled` must be called later."""
        cost = 0.0 if end is CallEnd.NOT_CHARGED else None
        if usage is not None:
            cost = cost_usd(model, usage)
        worst = self._worst_usd.pop(call, None)
        if end in (CallEnd.REPLY, CallEnd.CHARGED):
            # As in the journal: a request that was paid for, but whose cost is not known, counts with its worst case.
            self.progress.count_cost(model.id, worst if cost is None else cost)
        # The line may be written later, together with others, if two conditions hold. The run has no budget, so no
        # request waits for this line. And the reply is stored, so its cost is known even if the line is lost.
        may_be_late = end is CallEnd.REPLY and not self.budget.is_set
        (self.journal.settle_later if may_be_late else self.journal.settle)(call, end, cost)

    async def notify_settled(self) -> None:
        """Wake the requests that wait for room in the budget."""
        async with self._settled:
            self._settled.notify_all()

    async def _wait_for_settlement(self) -> None:
        """Wait until this slice settles a request, but not longer than about _RECHECK_S."""
        async with self._settled:
            try:
                # Random, so that the waiting requests do not all read the journal at the same moment.
                pause = _RECHECK_S * random.uniform(0.5, 1.5)  # noqa: S311  (no need for a secure random number)
                await asyncio.wait_for(self._settled.wait(), pause)
            except TimeoutError:
                return


@dataclass(kw_only=True, slots=True)
class EvaluationSpending:
    """The spending of one evaluation. `reserved` is the name of a request that is reserved but not sent yet."""

    spending: SliceSpending
    gen_id: str
    store_reply: StoreReply
    reserved: str | None = None
    _has_asked: bool = False

    async def reserve(self, model: JudgeModel, prompt: Prompt) -> str | Failure:
        """Return the name of a request that may be sent now, or a Failure when the budget has no room for one.

        A request that is reserved already is used first. Otherwise see SliceSpending.reserve.
        """
        if self.reserved is None:
            refused = await self.spending.reserve(self, model, prompt)
            if refused is not None:
                return refused
        call, self.reserved = self.reserved or "", None
        self.spending.progress.count_request(model.id, is_retry=self._has_asked)
        self._has_asked = True
        return call

    def reserve_now(self, model: JudgeModel, prompt: Prompt) -> None:
        """Reserve the first request in the calling thread. Do nothing if a budget might make the request wait."""
        if not self.spending.budget.is_set:
            self.spending.reserve_now(self, model, prompt)

    def cancel_unsent(self, model: JudgeModel) -> None:
        """Settle, in the calling thread, a request that was reserved but never sent. Such a request costs nothing."""
        if self.reserved is not None:
            self.spending.settle_now(model, self.reserved, CallEnd.NOT_CHARGED, None)
            self.reserved = None

    async def settle(
        self,
        model: JudgeModel,
        call: str,
        end: CallEnd,
        usage: Usage | None = None,
        *,
        status: int | None = None,
    ) -> None:
        """Record how a request ended: see SliceSpending.settle."""
        if status is not None:
            self.spending.progress.count_refused(model.id)
        await self.spending.settle(model, call, end, usage)

    async def store_partial_reply(self, model: JudgeModel, prompt: Prompt, reply: Reply) -> None:
        """Store a reply that broke off, because it was paid for. Done before the judge is asked again."""
        await self.spending.disk.run(self.store_reply, model, prompt, reply)
        await self.spending.notify_settled()


def settle_from_store(journal: CallJournal, store: GensDataLayer) -> None:
    """Settle the requests whose replies are in the store.

    Such a request exists if a process died after it stored the reply and before it settled the request.
    """
    for call in journal.unsettled():
        if call.is_under_way():
            continue
        record = store.record_of_call(call.gen_id, call.name)
        if record is not None:
            journal.settle(call.name, CallEnd.REPLY, record.cost_usd)
