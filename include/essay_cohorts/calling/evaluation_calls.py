"""The store's part in a call: claims and checks an evaluation before its call, and stores the answer after it.

The order of the steps for one evaluation, and why a crash between them is harmless:

1. One transaction of the ledger gives the task the claim on the evaluation, so that no other task calls a judge for
   it, and reserves the request: see `spending.py`.
2. With the claim, the task reads the store again. If another run has stored a reply in the meantime, there is nothing
   to call for, and the request is taken back. If an earlier process received a reply but died while it stored the
   reply, the task completes the storing. So a reply that was received is not paid for again.
3. The request is sent. If the task dies before the reply arrives, the reply is lost and another task asks again. The
   lost request keeps its worst case in the run's budget.
4. The reply is stored in the evaluation's folder. The next transaction settles the request and gives the claim back.
   After a crash between the two, `settle_from_store` settles the request from the stored reply, and others take over
   the claims of the dead task.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple

from essay_cohorts.calling.records import failure_record, reply_record
from essay_cohorts.calling.spending import EvaluationSpending, SliceSpending, with_turn
from essay_cohorts.calling.stops import RunStops
from essay_cohorts.calls import CallEnd, Failure, JudgeModel, Prompt, Reply, Room
from essay_cohorts.domain import PlanRow, TaskRef
from essay_cohorts.errors import StoreError
from essay_cohorts.files.clock import now
from essay_cohorts.ledger.records import Answer, Settlement, Told, Wanted
from essay_cohorts.planning.planned_run import PlannedRun
from essay_cohorts.planning.slice_rows import needs_call
from essay_cohorts.records import FailureRecord, text_of
from essay_cohorts.store.evaluation import EvaluationFolder
from essay_cohorts.store.evaluation_state import read_state
from essay_cohorts.store.gens_data_layer import GensDataLayer

if TYPE_CHECKING:
    from essay_cohorts.calling.judges import Judges

log = logging.getLogger(__name__)

T = TypeVar("T")
Args = TypeVarTuple("Args")

# When a reply cannot be written to the disk, the task's log keeps its first characters, up to this number.
_LOGGED_REPLY_CHARS = 4_000


@dataclass(frozen=True, kw_only=True, slots=True)
class ClaimedEvaluation:
    """An evaluation that this task may call a judge for.

    `prompt` is to be sent to `model`. Without them there is no call to make: `failure` says what is missing in the
    store, or is None because the evaluation needs no call any more. Then `is_claimed` may be False.
    """

    row: PlanRow
    spending: EvaluationSpending
    prompt: Prompt | None = None
    model: JudgeModel | None = None
    failure: Failure | None = None
    is_claimed: bool = False

    @property
    def gen_id(self) -> str:
        """The evaluation's id."""
        return self.row.member.gen_id


Answered = tuple[ClaimedEvaluation, Reply | Failure | None]


class _NotStored(StoreError):
    """A reply was paid for, and the disk refused it; `settlement` says what it cost."""

    def __init__(self, message: str, settlement: Settlement) -> None:
        super().__init__(message)
        self.settlement = settlement


@dataclass(kw_only=True)
class EvaluationCalls:
    """Claims the evaluations of one slice before their calls, and stores the answers.

    - `claimed` has the evaluations that are claimed right now, by gen_id.
    - `failures` has the evaluations that got no reply.
    """

    store: GensDataLayer
    planned: PlannedRun
    task: TaskRef
    models: Mapping[str, JudgeModel]
    spending: SliceSpending
    judges: Judges
    stops: RunStops
    own: Set[str] = frozenset()
    began_at: str = field(default_factory=now)
    failures: dict[str, Failure] = field(default_factory=dict)
    claimed: dict[str, ClaimedEvaluation] = field(default_factory=dict)

    def finish_and_begin(
        self, answered: Sequence[Answered | None], next_row: Callable[[], PlanRow | None], elsewhere: list[PlanRow]
    ) -> list[ClaimedEvaluation | Exception | None]:
        """For each worker, finish what it brings, then begin its next evaluation; None if no row is left.

        Rows that another process has claimed go to `elsewhere`. A worker whose answer cannot be stored gets the
        error. One transaction of the ledger serves all workers.
        """
        told: list[Told] = []
        results: list[ClaimedEvaluation | Exception | None] = [
            None if brought is None else _tried(self._finish, *brought, told) for brought in answered
        ]
        waiting = [place for place, result in enumerate(results) if result is None]
        while told or waiting:
            offers: list[tuple[int, ClaimedEvaluation]] = []
            for place in waiting:
                offer = _tried(self._next_offer, next_row)
                if isinstance(offer, ClaimedEvaluation):
                    offers.append((place, offer))
                results[place] = offer if isinstance(offer, Exception) else None
            if not told and not offers:
                break
            wanted = [self._wanted(offer) for _, offer in offers]
            try:
                answers = self.spending.requests.exchange(told, wanted)
            except StoreError as lost:
                # What the store said of a worker's answer tells more than that the ledger refused too.
                return [lost if result is None else result for result in results]
            told, waiting = [], []
            for (place, offer), answer in zip(offers, answers, strict=True):
                if answer.is_claimed:
                    results[place] = _tried(self._checked, offer, answer)
                else:
                    elsewhere.append(offer.row)
                    waiting.append(place)
        return results

    def release_all(self) -> None:
        """Release what is still claimed. No call may be under way."""
        if self.claimed:
            self.spending.requests.exchange([self._told(claimed) for claimed in list(self.claimed.values())])
            self.claimed.clear()

    def _next_offer(self, next_row: Callable[[], PlanRow | None]) -> ClaimedEvaluation | None:
        row = next_row()
        return None if row is None else self._offer(row)

    def _offer(self, row: PlanRow) -> ClaimedEvaluation:
        """Return what to call for a row, before its claim."""
        evaluation = self.store.evaluation(row.member.gen_id)
        spending = self.spending.for_evaluation(row.member, partial(self._store_now, row.member.gen_id))
        if not evaluation.exists():
            return ClaimedEvaluation(row=row, spending=spending, failure=_missing("the folder"))
        state = read_state(evaluation)
        if not (state.is_untouched or state.is_pending or needs_call(evaluation, state, row, self.planned)):
            return ClaimedEvaluation(row=row, spending=spending)
        if state.failure.run == self.planned.run and text_of(state.failure.fields, "created_at") >= self.began_at:
            # Another slice of this run has tried this evaluation since this one began, and recorded why it failed.
            return ClaimedEvaluation(row=row, spending=spending, failure=_as_failure(state.failure))
        model, prompt, missing = self.models.get(row.member.llm_model_id), evaluation.whole_prompt(), ""
        if evaluation.metadata() is None:
            missing = "metadata.json"
        elif prompt is None or not prompt.text:
            missing = "prompt.txt"
        elif model is None:
            missing = f"model {row.member.llm_model_id} in 1_raw/llm_models.csv"
        if missing or not prompt or not model:
            return ClaimedEvaluation(row=row, spending=spending, failure=_missing(missing), is_claimed=True)
        return ClaimedEvaluation(row=row, spending=spending, prompt=prompt, model=model, is_claimed=True)

    def _wanted(self, offer: ClaimedEvaluation) -> Wanted:
        """Return the claim and the request that an evaluation needs."""
        request, model, prompt = None, offer.model, offer.prompt
        # A request that must wait for its turn at a slow server is reserved later, when it is about to be sent.
        if model and prompt and self.judges.of(model).asks_at_once(model):
            request = self.spending.request(offer.row.member, model, prompt)
            offer.spending.reserved = request
        return Wanted(gen_id=offer.gen_id if offer.is_claimed else "", request=request)

    def _checked(self, offer: ClaimedEvaluation, answer: Answer) -> ClaimedEvaluation:
        """Return the evaluation as it is now, with its claim: another run may have finished it meanwhile."""
        if answer.room is not Room.YES:
            if offer.spending.reserved is not None and answer.turn.wait_s:
                offer.spending.queued = with_turn(offer.spending.reserved, answer.turn), answer.turn.wait_s
            offer.spending.reserved = None
        if not offer.is_claimed:
            return offer
        self.claimed[offer.gen_id] = offer
        sys.audit("essay_cohorts.after_claim")
        if self._is_done_already(offer.row, self.store.evaluation(offer.gen_id)):
            return replace(offer, prompt=None, model=None, failure=None)
        if offer.spending.reserved is not None:
            sys.audit("essay_cohorts.after_intent")
        return offer

    def _is_done_already(self, row: PlanRow, evaluation: EvaluationFolder) -> bool:
        state = read_state(evaluation)
        if not state.is_untouched and evaluation.complete_reply():
            log.info("%s: finished storing a reply that an earlier process received", evaluation.gen_id)
            state = read_state(evaluation)
        return not needs_call(evaluation, state, row, self.planned)

    def _finish(self, claimed: ClaimedEvaluation, answer: Reply | Failure | None, told: list[Told]) -> None:
        """Store the answer or record the failure; in any case add to `told` what the ledger must know."""
        self.claimed.pop(claimed.gen_id, None)
        settlement = None
        try:
            if isinstance(answer, Failure):
                self._record_failure(claimed, answer)
            elif answer is not None and claimed.model and claimed.prompt:
                settlement = self._store(claimed.gen_id, claimed.model, claimed.prompt, answer)
        except _NotStored as lost:
            settlement = lost.settlement
            raise
        finally:
            told.append(replace(self._told(claimed), settlement=settlement))

    def _told(self, claimed: ClaimedEvaluation) -> Told:
        unsent = claimed.spending.reserved
        return Told(unsent=unsent.name if unsent else "", released=claimed.gen_id if claimed.is_claimed else "")

    def _store_now(self, gen_id: str, model: JudgeModel, prompt: Prompt, reply: Reply) -> None:
        """Store a reply and settle its request at once."""
        try:
            settlement = self._store(gen_id, model, prompt, reply)
        except _NotStored as lost:
            self.spending.requests.exchange([Told(settlement=lost.settlement)])
            raise
        self.spending.requests.exchange([Told(settlement=settlement)])

    def _store(self, gen_id: str, model: JudgeModel, prompt: Prompt, reply: Reply) -> Settlement:
        """Store a reply and return how its request ended; _NotStored if the disk refuses."""
        sys.audit("essay_cohorts.after_receive")
        base_url = self.judges.of(model).base_url
        record = reply_record(model, prompt, reply, base_url, self.planned.cohort_id, self.task)
        try:
            self.store.evaluation(gen_id).store_reply(reply.text, record, reply.reasoning)
        except StoreError as error:
            log.error("%s: the reply was paid for, but not stored: %s", gen_id, reply.text[:_LOGGED_REPLY_CHARS])
            charged = self.spending.settlement(model, reply.call, CallEnd.CHARGED, reply.usage)
            raise _NotStored(str(error), charged) from error
        log.info("%s: reply stored, %s, %.1f s", gen_id, reply.response_model, reply.duration_s)
        return self.spending.settlement(model, reply.call, CallEnd.REPLY, reply.usage)

    def _record_failure(self, claimed: ClaimedEvaluation, failure: Failure) -> None:
        self.failures[claimed.gen_id] = failure
        # A helper that must end leaves the evaluation to its own slice, which may still succeed.
        if not claimed.is_claimed or (self.stops.is_ending and claimed.gen_id not in self.own):
            return
        self.stops.add_for(failure, claimed.row.member.llm_model_id)
        self.store.evaluation(claimed.gen_id).write_failure(failure_record(failure, self.task))
        log.warning("%s: no reply after %d attempts: %s", claimed.gen_id, failure.attempts, failure.message)


def _tried(work: Callable[[*Args], T], *args: *Args) -> T | Exception:
    """Return the result of `work` for one worker, or its error: what the others have told must still be recorded."""
    try:
        return work(*args)
    except Exception as error:  # noqa: BLE001  (the worker gets it)
        return error


def _as_failure(record: FailureRecord) -> Failure:
    return Failure(kind=text_of(record.fields, "kind"), message=record.message, attempts=record.attempts)


def _missing(name: str) -> Failure:
    return Failure(kind="not_ready", message=f"{name} has disappeared since planning")
