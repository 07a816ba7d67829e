"""Records the requests of a slice in the ledger, and keeps the DagRun within its budget.

Each request is reserved before it is sent, with the highest cost that it can have (the worst case). After its end the
request is settled: the ledger gets how it ended and what it really cost, if that is known. All slices of a run share
the ledger, so that together they keep to one budget.

A crash never makes a run spend more than its budget. If a request was reserved but never settled, its worst case
counts as spent, even if the request was never sent. If the reply to such a request is in the store,
`settle_from_store` settles the request later, with the cost in the reply's record.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from essay_cohorts.calls import DEFERRED, CallEnd, Failure, JudgeModel, Prompt, Reply, Room, Stop, Usage
from essay_cohorts.domain import Member
from essay_cohorts.files.atomic import new_token
from essay_cohorts.files.disk_executor import DiskThreads
from essay_cohorts.judging.prices import cost_usd, likely_tokens, worst_case_usd
from essay_cohorts.ledger.budget import Budget
from essay_cohorts.ledger.ledger import Ledger
from essay_cohorts.ledger.pace import ModelLimits, Turn
from essay_cohorts.ledger.records import Answer, Request, Settlement, Told, Wanted
from essay_cohorts.ledger.requests import RunRequests
from essay_cohorts.progress.counter import ProgressCounter
from essay_cohorts.store.gens_data_layer import GensDataLayer

# A request that waits for room in the budget asks again after about this time, in s, because requests of other slices
# may have ended and may have cost less than their worst case.
_RECHECK_S = 0.25
# The status of a server that refuses a request because there are too many.
_TOO_MANY = 429

StoreReply = Callable[[JudgeModel, Prompt, Reply], None]


@dataclass(kw_only=True)
class SliceSpending:
    """The spending of one slice: reserves the worst case before each request, and settles the real cost after it.

    `progress` counts the requests and their costs for people; the ledger decides what may be spent.
    """

    requests: RunRequests
    budget: Budget
    disk: DiskThreads
    progress: ProgressCounter
    stop_for: Callable[[str], Stop | None] = lambda _: None
    _settled: asyncio.Condition = field(default_factory=asyncio.Condition)
    _worst_usd: dict[str, float | None] = field(default_factory=dict)

    def for_evaluation(self, member: Member, store_reply: StoreReply) -> EvaluationSpending:
        """Return the spending of one evaluation. `store_reply` must store a reply and settle its request."""
        return EvaluationSpending(spending=self, member=member, store_reply=store_reply)

    def request(self, member: Member, model: JudgeModel, prompt: Prompt) -> Request:
        """Return a new request that can be reserved."""
        return Request(
            name=new_token(),
            gen_id=member.gen_id,
            template_id=member.template_id,
            model_id=model.id,
            worst_usd=worst_case_usd(model, prompt.whole),
            tokens=likely_tokens(model, prompt.whole) if model.tokens_per_minute else 0,
        )

    async def reserve(self, evaluation: EvaluationSpending, model: JudgeModel, prompt: Prompt) -> Failure | None:
        """Reserve a request. Return None when it may be sent now, or a Failure when it can never fit into the budget.

        If the request may fit after other requests have ended, wait for them. If its model's turn comes later, wait
        for the turn.
        """
        request, wait_s = evaluation.queued or (self.request(evaluation.member, model, prompt), 0.0)
        evaluation.queued = None
        while True:
            if wait_s:
                await asyncio.sleep(wait_s)
            stop = self.stop_for(model.id)
            if stop is not None:
                return Failure(kind="stopped", message=stop.message, status=stop.status)
            answer = await self.disk.run(self._reserve, evaluation, request)
            if not answer.is_claimed:
                return Failure(kind="claim_lost", message="another task took this evaluation over meanwhile")
            if answer.room is Room.YES:
                sys.audit("essay_cohorts.after_intent")
                return None
            if answer.room is Room.NO:
                reason = self.budget.explain_refusal(answer.spent, request.worst_usd)
                return Failure(kind=DEFERRED, message=f"budget: {reason}")
            request, wait_s = with_turn(request, answer.turn), answer.turn.wait_s
            if not wait_s:
                await self._wait_for_settlement()

    def _reserve(self, evaluation: EvaluationSpending, request: Request) -> Answer:
        """Reserve a request and assign it to the evaluation, in one step.

        The coroutine that waits for this thread may be cancelled in the meantime. Even then the evaluation must know
        the reserved request, so that it is taken back.
        """
        [answer] = self.requests.exchange([], [Wanted(gen_id=request.gen_id, request=request)])
        if answer.room is Room.YES:
            evaluation.reserved = request
        return answer

    def send(self, request: Request | None, *, is_retry: bool) -> str:
        """Return the name of a reserved request, and count it for people."""
        if request is None:
            msg = "no request is reserved"
            raise AssertionError(msg)
        self._worst_usd[request.name] = request.worst_usd
        self.progress.count_request(request.model_id, is_retry=is_retry)
        return request.name

    def settlement(
        self, model: JudgeModel, call: str, end: CallEnd, usage: Usage | None, *, is_refused: bool = False
    ) -> Settlement:
        """Return how a request ended and what it cost, and count its cost for people."""
        cost = 0.0 if end is CallEnd.NOT_CHARGED else None
        if usage is not None:
            cost = cost_usd(model, usage)
        worst = self._worst_usd.pop(call, None)
        self.progress.count_end(model.id, 0 if usage is None else usage.tokens)
        if end in (CallEnd.REPLY, CallEnd.CHARGED):
            # As in the ledger: a request that was paid for, but whose cost is not known, counts with its worst case.
            self.progress.count_cost(model.id, worst if cost is None else cost)
        return Settlement(name=call, end=end, cost_usd=cost, is_refused=is_refused)

    async def settle(
        self, model: JudgeModel, call: str, end: CallEnd, usage: Usage | None, *, is_refused: bool
    ) -> None:
        """Record how a request ended and what it cost, and wake the requests that wait for room in the budget."""
        told = Told(settlement=self.settlement(model, call, end, usage, is_refused=is_refused))
        await self.disk.run(self.requests.exchange, [told])
        await self.notify_settled()

    async def notify_settled(self) -> None:
        """Wake the requests that wait for room in the budget."""
        async with self._settled:
            self._settled.notify_all()

    async def _wait_for_settlement(self) -> None:
        """Wait until this slice settles a request, but not longer than about _RECHECK_S."""
        async with self._settled:
            try:
                # Random, so that the waiting requests do not all ask the ledger at the same moment.
                pause = _RECHECK_S * random.uniform(0.5, 1.5)  # noqa: S311  (no need for a secure random number)
                await asyncio.wait_for(self._settled.wait(), pause)
            except TimeoutError:
                return


@dataclass(kw_only=True, slots=True)
class EvaluationSpending:
    """The spending of one evaluation. `reserved` is a request that is reserved but not sent yet.

    `queued` is a request with the time in s until it may ask for its turn at its model, or has it.
    """

    spending: SliceSpending
    member: Member
    store_reply: StoreReply
    reserved: Request | None = None
    queued: tuple[Request, float] | None = None
    _has_asked: bool = False

    async def reserve(self, model: JudgeModel, prompt: Prompt) -> str | Failure:
        """Return the name of a request that may be sent now, or a Failure when the budget has no room for one.

        A request that is reserved already is used first. Otherwise see SliceSpending.reserve.
        """
        if self.reserved is None:
            refused = await self.spending.reserve(self, model, prompt)
            if refused is not None:
                return refused
        call = self.spending.send(self.reserved, is_retry=self._has_asked)
        self.reserved, self._has_asked = None, True
        return call

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
        await self.spending.settle(model, call, end, usage, is_refused=status == _TOO_MANY)

    async def store_partial_reply(self, model: JudgeModel, prompt: Prompt, reply: Reply) -> None:
        """Store a reply that broke off, because it was paid for. Done before the judge is asked again."""
        await self.spending.disk.run(self.store_reply, model, prompt, reply)
        await self.spending.notify_settled()


def limits_of(model: JudgeModel) -> ModelLimits:
    """Return what all runs together may ask of a model."""
    return ModelLimits(
        max_in_flight=model.max_in_flight,
        requests_per_minute=model.requests_per_minute,
        tokens_per_minute=model.tokens_per_minute,
    )


def with_turn(request: Request, turn: Turn) -> Request:
    """Return the request with the turn that it was given, if it must wait for one."""
    return replace(request, has_turn=True) if turn.wait_s and turn.is_given else request


def settle_from_store(ledger: Ledger, store: GensDataLayer, cohort_id: str) -> None:
    """Settle the requests whose replies are in the store.

    Such a request exists if a process died after it stored the reply and before it settled the request.
    """
    found = ((call, store.record_of_call(call.gen_id, call.name)) for call in ledger.unsettled(cohort_id))
    ledger.settle(
        [Settlement(name=call.name, end=CallEnd.REPLY, cost_usd=record.cost_usd) for call, record in found if record]
    )
