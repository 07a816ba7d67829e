"""The one step that spends money: asks a judge for each evaluation of a slice that has no reply yet."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from include.cohorts.batching import Slice
from include.cohorts.budget import Budget
from include.cohorts.call_lease import CallLease
from include.cohorts.call_records import failure_record, missing_replies, reply_record
from include.cohorts.call_slots import CallSlots
from include.cohorts.catalog import Catalog
from include.cohorts.cohort_folder import CohortFolder
from include.cohorts.crash_points import reach
from include.cohorts.errors import RepliesMissing, StoreError, raise_if_any
from include.cohorts.gens_data_layer import GensDataLayer
from include.cohorts.model import CallEnd, Failure, JudgeModel, PlanRow, Reply, Stage, Stop, TaskRef
from include.cohorts.settings import Settings
from include.cohorts.spending import SliceSpending, settle_from_store
from include.cohorts.steps import needs_call, rows_left, rows_of

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from include.cohorts.call_rules import CallRules
    from include.cohorts.judge import Judge

log = logging.getLogger(__name__)

# A reply that the disk refuses is at least kept in the task's log, up to this many characters.
_LOGGED_REPLY = 4_000
_PROGRESS_LINES = 20
# How often a call that is under way elsewhere is looked at, in s.
_LOOK_AGAIN_S = 0.5
IN_FLIGHT_ELSEWHERE = "in_flight_elsewhere"


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """A client for the LLM's API and the rules for calls over it."""

    client: AsyncOpenAI
    rules: CallRules


Connect = Callable[[], Awaitable[Endpoint]]


async def call_missing(
    settings: Settings, planned: Mapping[str, Any], part: Slice, task: TaskRef, connect: Connect
) -> dict[str, int]:
    """Gets a reply for each evaluation of the slice that lacks one; returns {"called": n}.

    `connect` is awaited only when there is something to call. RepliesMissing, after every evaluation of the slice was
    tried, when some got no reply; each of those that this task tried has its failure.json.
    """
    store = GensDataLayer.from_root(settings.data_root)
    rows = [row for row in rows_left(store, rows_of(settings, planned, part)) if needs_call(store, row, planned)]
    if not rows:
        log.info("Nothing to call")
        return {"called": 0}
    endpoint = await connect()
    async with endpoint.client:
        calls = _SliceCalls.open(settings, planned, part, task, endpoint)
        await calls.run(rows)
    if calls.failures:
        raise RepliesMissing(missing_replies(calls.failures, len(rows)))
    return {"called": calls.replies}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Begun:
    """An evaluation whose turn it is: what to ask whom, or why not, or nothing at all when it is done already."""

    prompt: str = ""
    model: JudgeModel | None = None
    answer: Failure | None = None


@dataclass(kw_only=True)
class _SliceCalls:
    """The calls of one slice: what they share while they are under way."""

    store: GensDataLayer
    folder: CohortFolder
    planned: Mapping[str, Any]
    part: Slice
    task: TaskRef
    models: Mapping[str, JudgeModel]
    rules: CallRules
    slots: CallSlots
    spending: SliceSpending
    judge: Judge
    failures: dict[str, Failure] = field(default_factory=dict)
    leases: dict[str, CallLease] = field(default_factory=dict)
    broken: Exception | None = None
    done: int = 0
    replies: int = 0

    @classmethod
    def open(
        cls, settings: Settings, planned: Mapping[str, Any], part: Slice, task: TaskRef, endpoint: Endpoint
    ) -> _SliceCalls:
        from include.cohorts.judge import Judge

        catalog = Catalog(root=settings.data_root)
        models = catalog.models()
        raise_if_any(models.problems, under_way=True)
        folder = CohortFolder(root=settings.data_root, cohort_id=planned["cohort_id"])
        store, journal = GensDataLayer.from_root(settings.data_root), folder.call_journal()
        settle_from_store(journal, store)
        return cls(
            store=store,
            folder=folder,
            planned=planned,
            part=part,
            task=task,
            models={model.id: model for model in models.value},
            rules=endpoint.rules,
            slots=CallSlots(folder.make_slots_folder(), planned["max_concurrency"]),
            spending=SliceSpending(
                journal=journal,
                budget=Budget(**planned["budget"]),
                task=task,
                total_timeout_s=endpoint.rules.total_timeout_s,
            ),
            judge=Judge(
                endpoint.client,
                endpoint.rules,
                accept_offline=catalog.offline_replies_allowed(),
                calls_at_once=part.calls_at_once,
                stop_for=lambda model_id: _stop_for(folder, planned, task, model_id),
            ),
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
            if not waiting:
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

    async def _round(self, rows: list[PlanRow], total: int) -> list[PlanRow]:
        """Tries each row once; returns those that another process has under way."""
        elsewhere: list[PlanRow] = []
        waiting = iter(rows)
        workers = min(self.part.calls_at_once, len(rows))
        await asyncio.gather(*(self._work(waiting, elsewhere, total) for _ in range(workers)))
        return elsewhere

    async def _work(self, waiting: Iterator[PlanRow], elsewhere: list[PlanRow], total: int) -> None:
        """Sees to one row after another, in one slot."""
        try:
            async with self.slots.hold():
                for row in waiting:
                    if self.broken is not None:
                        return
                    if await self._with_lease(row):
                        self._tell_progress(total)
                    else:
                        elsewhere.append(row)
        except Exception as error:  # noqa: BLE001  (raised by `run`, once the calls under way are stored)
            self.broken = error

    def _tell_progress(self, total: int) -> None:
        self.done += 1
        if self.done == total or self.done % max(1, total // _PROGRESS_LINES) == 0:
            log.info("%d of %d calls done, %d without a reply", self.done, total, len(self.failures))

    async def _with_lease(self, row: PlanRow) -> bool:
        """Sees to one evaluation; False when another process has the right to call for it.

        What waits for the disk is done in another thread, and together: each trip there costs as much as a write.
        """
        gen_id = row.member.gen_id
        lease = self.leases.setdefault(gen_id, self.store.call_lease(gen_id, self.task))
        begun = await asyncio.to_thread(self._begin, row, lease)
        if begun is None:
            return False
        del self.leases[gen_id]
        answer: Reply | Failure | None = begun.answer
        try:
            if begun.prompt and begun.model:
                answer = await self.judge.ask(begun.model, begun.prompt, self.spending.purse(gen_id))
        except BaseException:
            lease.release()
            raise
        await asyncio.to_thread(self._finish, row, begun, answer, lease)
        self.replies += isinstance(answer, Reply)
        await self.spending.tell_settled()
        return True

    def _begin(self, row: PlanRow, lease: CallLease) -> _Begun | None:
        """Takes the lease and looks at the store once more: what another run has finished must not be paid for."""
        gen_id, model = row.member.gen_id, self.models.get(row.member.llm_model_id)
        if not self.store.exists(Stage.EVALUATION, gen_id):
            return _Begun(answer=_lost("its folder"))
        if not lease.take():
            return None
        try:
            reach("after_lease")
            if self.store.complete_reply(gen_id):
                log.info("%s: put in place a reply that an earlier run had received", gen_id)
            if self.store.parsed_exists(Stage.EVALUATION, gen_id) or not needs_call(self.store, row, self.planned):
                return _Begun()
            prompt = self.store.prompt(gen_id)
            if self.store.metadata(Stage.EVALUATION, gen_id) is None:
                return _Begun(answer=_lost("its metadata.json"))
            if not prompt:
                return _Begun(answer=_lost("its prompt.txt"))
            if model is None:
                return _Begun(answer=_lost(f"model {row.member.llm_model_id} in 1_raw/llm_models.csv"))
        except BaseException:
            lease.release()
            raise
        return _Begun(prompt=prompt, model=model)

    def _finish(self, row: PlanRow, begun: _Begun, answer: Reply | Failure | None, lease: CallLease) -> None:
        """Writes down what came of it and gives the lease back."""
        try:
            if isinstance(answer, Failure):
                self._record_failure(row, answer)
            elif answer is not None and begun.model:
                self._store(row.member.gen_id, begun.model, begun.prompt, answer)
        finally:
            lease.release()

    def _store(self, gen_id: str, model: JudgeModel, prompt: str, reply: Reply) -> None:
        reach("after_receive")
        record = reply_record(model, prompt, reply, self.judge.base_url, self.folder.cohort_id, self.task)
        try:
            self.store.store_reply(gen_id, reply.text, record)
        except StoreError:
            log.error("%s: paid for, but not stored: %s", gen_id, reply.text[:_LOGGED_REPLY])
            self.spending.settle_now(model, reply.call, CallEnd.CHARGED, reply.usage)
            raise
        self.spending.settle_now(model, reply.call, CallEnd.REPLY, reply.usage)
        log.info("%s: reply stored, %s, %.1f s", gen_id, reply.response_model, reply.duration_s)

    def _record_failure(self, row: PlanRow, failure: Failure) -> None:
        member = row.member
        self.failures[member.gen_id] = failure
        if failure.stops and _stop_for(self.folder, self.planned, self.task, member.llm_model_id) is None:
            self._stop(failure, None if failure.stops == "run" else member.llm_model_id)
        if self.store.exists(Stage.EVALUATION, member.gen_id):
            self.store.write_failure(member.gen_id, failure_record(failure, self.task))
        log.warning("%s: no reply after %d attempts: %s", member.gen_id, failure.attempts, failure.message)

    def _stop(self, failure: Failure, model_id: str | None) -> None:
        stop = Stop(
            model_id=model_id,
            kind=failure.kind,
            message=failure.message,
            status=failure.status,
            try_number=self.task.try_number,
        )
        self.folder.add_stop(self.planned["run_key"], stop)
        log.error("No further calls to %s: %s", model_id or "any model", failure.message)


def _lost(what: str) -> Failure:
    return Failure(kind="not_ready", message=f"{what} is gone since planning")


def _stop_for(folder: CohortFolder, planned: Mapping[str, Any], task: TaskRef, model_id: str) -> Stop | None:
    """The stop, of any slice of this run, that concerns the model."""
    stops = folder.stops(planned["run_key"], ignored=planned["former_stops"])
    current = (stop for stop in stops if stop.try_number >= task.try_number)
    return next((stop for stop in current if stop.concerns(model_id)), None)
