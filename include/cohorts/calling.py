"""The one step that spends money: asks a judge for each evaluation of a slice that has no reply yet."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from include.cohorts.batching import Slice
from include.cohorts.call_slots import CallSlots
from include.cohorts.catalog import Catalog
from include.cohorts.cohort_folder import CohortFolder
from include.cohorts.errors import RepliesMissing, StoreError, raise_if_any
from include.cohorts.gens_data_layer import GensDataLayer
from include.cohorts.model import Failure, JudgeModel, PlanRow, Reply, Stage, Stop, TaskRef
from include.cohorts.pricing import cost_usd
from include.cohorts.prompting import prompt_hash
from include.cohorts.settings import Settings
from include.cohorts.steps import needs_call, now, rows_left, rows_of

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from include.cohorts.judge import CallRules, Judge

log = logging.getLogger(__name__)

# A reply that the disk refuses is at least kept in the task's log, up to this many characters.
_LOGGED_REPLY = 4_000
_NAMED_IN_MESSAGE = 20
_PROGRESS_LINES = 20


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
    tried, when some got no reply; each of those has its failure.json.
    """
    calls = _SliceCalls.open(settings, planned, part, task)
    rows = [row for row in rows_left(calls.store, rows_of(settings, planned, part)) if calls.needs_call(row)]
    if not rows:
        log.info("Nothing to call")
        return {"called": 0}
    endpoint = await connect()
    async with endpoint.client:
        await calls.run(rows, endpoint)
    calls.raise_for_missing(len(rows))
    return {"called": len(rows)}


@dataclass(kw_only=True)
class _SliceCalls:
    """The calls of one slice: what they share while they are under way."""

    store: GensDataLayer
    folder: CohortFolder
    planned: Mapping[str, Any]
    part: Slice
    task: TaskRef
    models: Mapping[str, JudgeModel]
    accept_offline: bool
    failures: dict[str, Failure] = field(default_factory=dict)
    broken: Exception | None = None
    done: int = 0

    @classmethod
    def open(cls, settings: Settings, planned: Mapping[str, Any], part: Slice, task: TaskRef) -> _SliceCalls:
        catalog = Catalog(root=settings.data_root)
        models = catalog.models()
        raise_if_any(models.problems, under_way=True)
        folder = CohortFolder(root=settings.data_root, cohort_id=planned["cohort_id"])
        return cls(
            store=GensDataLayer.from_root(settings.data_root),
            folder=folder,
            planned=planned,
            part=part,
            task=task,
            models={model.id: model for model in models.value},
            accept_offline=catalog.offline_replies_allowed(),
        )

    def needs_call(self, row: PlanRow) -> bool:
        """False when a reply is there, or can be put in place from what a crash left."""
        if self.store.complete_reply(row.member.gen_id):
            log.info("%s: put in place a reply that an earlier run had received", row.member.gen_id)
        return needs_call(self.store, row, self.planned)

    async def run(self, rows: list[PlanRow], endpoint: Endpoint) -> None:
        """Calls for all rows, at most the slice's share at once; a reply is on disk before its place is given on."""
        from include.cohorts.judge import Judge

        judge = Judge(endpoint.client, endpoint.rules, accept_offline=self.accept_offline, stop_for=self.stop_for)
        log.info("Calling for %d evaluations, %d at once, at %s", len(rows), self.part.calls_at_once, judge.base_url)
        waiting = iter(rows)
        workers = min(self.part.calls_at_once, len(rows))
        await asyncio.gather(*(self._work(waiting, judge, len(rows)) for _ in range(workers)))
        if self.broken is not None:
            raise self.broken

    async def _work(self, waiting: Iterator[PlanRow], judge: Judge, total: int) -> None:
        for row in waiting:
            if self.broken is not None:
                return
            try:
                await self._call(row, judge)
            except Exception as error:  # noqa: BLE001  (raised by `run`, once the calls under way are stored)
                self.broken = error
            self.done += 1
            if self.done == total or self.done % max(1, total // _PROGRESS_LINES) == 0:
                log.info("%d of %d calls done, %d without a reply", self.done, total, len(self.failures))

    async def _call(self, row: PlanRow, judge: Judge) -> None:
        """One evaluation from prompt to reply on disk."""
        gen_id, model = row.member.gen_id, self.models.get(row.member.llm_model_id)
        prompt = self.store.prompt(gen_id)
        if not prompt or model is None or self.store.metadata(Stage.EVALUATION, gen_id) is None:
            await self._record_failure(row, self._not_ready(row, prompt))
            return
        async with self._slot():
            # A slice takes minutes; what another run has finished meanwhile must not be paid for.
            if not self.needs_call(row) or self.store.parsed_exists(Stage.EVALUATION, gen_id):
                return
            answer = await judge.ask(model, prompt)
            if isinstance(answer, Failure):
                await self._record_failure(row, answer)
            else:
                await self._store(gen_id, answer, self._reply_record(model, prompt, answer, judge.base_url))

    def _not_ready(self, row: PlanRow, prompt: str | None) -> Failure:
        if self.store.metadata(Stage.EVALUATION, row.member.gen_id) is None:
            lost = "its metadata.json"
        elif not prompt:
            lost = "its prompt.txt"
        else:
            lost = f"model {row.member.llm_model_id} in 1_raw/llm_models.csv"
        return Failure(kind="not_ready", message=f"{lost} is gone since planning")

    async def _store(self, gen_id: str, reply: Reply, record: Mapping[str, Any]) -> None:
        try:
            await asyncio.to_thread(self.store.store_reply, gen_id, reply.text, record)
        except StoreError:
            log.error("%s: paid for, but not stored: %s", gen_id, reply.text[:_LOGGED_REPLY])
            raise
        log.info("%s: reply stored, %s, %.1f s", gen_id, reply.response_model, reply.duration_s)

    def _slot(self) -> AbstractAsyncContextManager[None]:
        if not self.part.shared_slots:
            return nullcontext()
        return CallSlots(self.folder.slots_folder(self.planned["run_key"]), self.part.shared_slots).hold()

    def stop_for(self, model_id: str) -> Stop | None:
        """The stop, of any slice of this run, that concerns the model."""
        stops = self.folder.stops(self.planned["run_key"], ignored=self.planned["former_stops"])
        current = (stop for stop in stops if stop.try_number >= self.task.try_number)
        return next((stop for stop in current if stop.concerns(model_id)), None)

    async def _record_failure(self, row: PlanRow, failure: Failure) -> None:
        member = row.member
        self.failures[member.gen_id] = failure
        if failure.stops and self.stop_for(member.llm_model_id) is None:
            stopped = None if failure.stops == "run" else member.llm_model_id
            stop = Stop(
                model_id=stopped,
                kind=failure.kind,
                message=failure.message,
                status=failure.status,
                try_number=self.task.try_number,
            )
            self.folder.add_stop(self.planned["run_key"], stop)
            log.error("No further calls to %s: %s", stopped or "any model", failure.message)
        await asyncio.to_thread(
            self.store.write_failure,
            member.gen_id,
            {
                "kind": failure.kind,
                "status": failure.status,
                "message": failure.message,
                "attempts": failure.attempts,
                "dag_id": self.task.dag_id,
                "run_id": self.task.run_id,
                "try_number": self.task.try_number,
                "created_at": now(),
            },
        )
        log.warning("%s: no reply after %d attempts: %s", member.gen_id, failure.attempts, failure.message)

    def _reply_record(self, model: JudgeModel, prompt: str, reply: Reply, base_url: str) -> dict[str, Any]:
        return {
            "llm_model_id": model.id,
            "model": model.model,
            "response_model": reply.response_model,
            "base_url": base_url,
            "prompt_sha256": prompt_hash(prompt),
            "finish_reason": reply.finish_reason,
            "truncated": reply.truncated,
            "usage": asdict(reply.usage),
            "duration_s": reply.duration_s,
            "attempts": reply.attempts,
            "temperature": model.temperature,
            "max_tokens": model.max_tokens,
            "cost_usd": cost_usd(model, reply.usage),
            "cohort_id": self.folder.cohort_id,
            **asdict(self.task),
            "created_at": now(),
        }

    def raise_for_missing(self, asked: int) -> None:
        """RepliesMissing, naming evaluations and reasons, when some got no reply."""
        if not self.failures:
            return
        named = list(self.failures.items())[:_NAMED_IN_MESSAGE]
        lines = [f"  {gen_id}: {failure.message} (attempts: {failure.attempts})" for gen_id, failure in named]
        if len(self.failures) > len(named):
            lines.append(f"  and {len(self.failures) - len(named)} more")
        raise RepliesMissing(
            f"{len(self.failures)} of {asked} evaluations got no reply:\n" + "\n".join(lines) + "\n"
            "Mend the cause, then clear the run or trigger the same conf again: only these are called."
        )
