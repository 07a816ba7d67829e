"""One evaluation's call from the side of the store: claimed and checked before it, written down after it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from essay_cohorts.calling.records import failure_record, reply_record
from essay_cohorts.calling.spending import EvaluationSpending, SliceSpending
from essay_cohorts.calling.stops import RunStops
from essay_cohorts.calls import CallEnd, Failure, JudgeModel, Prompt, Reply
from essay_cohorts.domain import PlanRow, TaskRef
from essay_cohorts.errors import StoreError
from essay_cohorts.leases.evaluation_lease import CallLease
from essay_cohorts.leases.task_lease import TaskLease
from essay_cohorts.planning.planned_run import PlannedRun
from essay_cohorts.planning.slice_rows import needs_call
from essay_cohorts.store.evaluation import EvaluationFolder
from essay_cohorts.store.evaluation_state import read_state
from essay_cohorts.store.gens_data_layer import GensDataLayer

if TYPE_CHECKING:
    from essay_cohorts.llm_client.client import Judge

log = logging.getLogger(__name__)

# A reply that the disk refuses is at least kept in the task's log, up to this many characters.
_LOGGED_REPLY = 4_000


@dataclass(frozen=True, kw_only=True, slots=True)
class ClaimedEvaluation:
    """An evaluation that this task has the right to call for.

    `prompt` and `model` are what to ask whom. Without them there is nothing to ask: `answer` says what is missing, or
    is None because the evaluation is done already.
    """

    row: PlanRow
    lease: CallLease
    spending: EvaluationSpending
    prompt: Prompt | None = None
    model: JudgeModel | None = None
    answer: Failure | None = None


@dataclass(kw_only=True)
class EvaluationCalls:
    """Claims the evaluations of one slice before their calls, and stores the answers.

    `begun` are the evaluations that are claimed right now, `failures` those that got no reply. `waiting` are the
    leases that another process held: they are kept, because a lease counts for how long it saw the other silent.
    """

    store: GensDataLayer
    planned: PlannedRun
    task: TaskRef
    task_lease: TaskLease
    models: Mapping[str, JudgeModel]
    spending: SliceSpending
    judge: Judge
    stops: RunStops
    failures: dict[str, Failure] = field(default_factory=dict)
    waiting: dict[str, CallLease] = field(default_factory=dict)
    begun: dict[str, ClaimedEvaluation] = field(default_factory=dict)

    def begin(self, row: PlanRow) -> ClaimedEvaluation | None:
        """Claim an evaluation and reads the store again, so that what another run has finished is not paid for.

        None when another process calls for it.
        """
        claimed = self._claim(row)
        if claimed is not None:
            self.begun[row.member.gen_id] = claimed
        return claimed

    def finish(self, claimed: ClaimedEvaluation, answer: Reply | Failure | None) -> None:
        """Write the answer down and gives the lease back."""
        self.begun.pop(claimed.row.member.gen_id, None)
        try:
            if claimed.model:
                claimed.spending.give_back(claimed.model)
            if isinstance(answer, Failure):
                self._record_failure(claimed.row, answer)
            elif answer is not None and claimed.model and claimed.prompt:
                self._store(claimed.row.member.gen_id, claimed.model, claimed.prompt, answer)
        finally:
            claimed.lease.release()

    def give_back(self) -> None:
        """Give back what is still claimed; for when no call is under way."""
        with ExitStack() as last:
            for claimed in list(self.begun.values()):
                last.callback(self.finish, claimed, None)

    def holder(self, gen_id: str) -> str:
        """Return the task that held the lease of an evaluation when this one last tried, in words."""
        return self.waiting[gen_id].holder()

    def _claim(self, row: PlanRow) -> ClaimedEvaluation | None:
        gen_id = row.member.gen_id
        evaluation = self.store.evaluation(gen_id)
        lease = self.waiting.get(gen_id) or CallLease(evaluation.writable_claim(), self.task_lease)
        if not evaluation.exists():
            spending = self._spending_of(gen_id)
            return ClaimedEvaluation(row=row, lease=lease, spending=spending, answer=_lost("its folder"))
        if not lease.take():
            self.waiting[gen_id] = lease
            return None
        self.waiting.pop(gen_id, None)
        try:
            sys.audit("essay_cohorts.after_lease")
            return self._checked(row, evaluation, lease)
        except BaseException:
            lease.release()
            raise

    def _checked(self, row: PlanRow, evaluation: EvaluationFolder, lease: CallLease) -> ClaimedEvaluation:
        model, spending = self.models.get(row.member.llm_model_id), self._spending_of(evaluation.gen_id)
        if self._is_done_already(row, evaluation):
            return ClaimedEvaluation(row=row, lease=lease, spending=spending)
        prompt, missing = evaluation.whole_prompt(), ""
        if evaluation.metadata() is None:
            missing = "its metadata.json"
        elif prompt is None or not prompt.text:
            missing = "its prompt.txt"
        elif model is None:
            missing = f"model {row.member.llm_model_id} in 1_raw/llm_models.csv"
        if missing or not prompt or not model:
            return ClaimedEvaluation(row=row, lease=lease, spending=spending, answer=_lost(missing))
        # What would wait for its turn at a slow server is written down only when that turn comes.
        if self.judge.asks_at_once(model):
            spending.reserve_now(model, prompt)
        return ClaimedEvaluation(row=row, lease=lease, spending=spending, prompt=prompt, model=model)

    def _is_done_already(self, row: PlanRow, evaluation: EvaluationFolder) -> bool:
        state = read_state(evaluation)
        if not state.is_untouched and evaluation.complete_reply():
            log.info("%s: put in place a reply that an earlier run had received", evaluation.gen_id)
            state = read_state(evaluation)
        return not needs_call(evaluation, state, row, self.planned)

    def _spending_of(self, gen_id: str) -> EvaluationSpending:
        return self.spending.of_evaluation(gen_id, partial(self._store, gen_id))

    def _store(self, gen_id: str, model: JudgeModel, prompt: Prompt, reply: Reply) -> None:
        sys.audit("essay_cohorts.after_receive")
        record = reply_record(model, prompt, reply, self.judge.base_url, self.planned.cohort_id, self.task)
        try:
            self.store.evaluation(gen_id).store_reply(reply.text, record, reply.reasoning)
        except StoreError:
            log.error("%s: paid for, but not stored: %s", gen_id, reply.text[:_LOGGED_REPLY])
            self.spending.settle_now(model, reply.call, CallEnd.CHARGED, reply.usage)
            raise
        self.spending.settle_now(model, reply.call, CallEnd.REPLY, reply.usage)
        log.info("%s: reply stored, %s, %.1f s", gen_id, reply.response_model, reply.duration_s)

    def _record_failure(self, row: PlanRow, failure: Failure) -> None:
        evaluation = self.store.evaluation(row.member.gen_id)
        self.failures[evaluation.gen_id] = failure
        self.stops.add_for(failure, row.member.llm_model_id)
        if evaluation.exists():
            evaluation.write_failure(failure_record(failure, self.task))
        log.warning("%s: no reply after %d attempts: %s", evaluation.gen_id, failure.attempts, failure.message)


def _lost(what: str) -> Failure:
    return Failure(kind="not_ready", message=f"{what} is gone since planning")
