"""The store's part in a call: claims and checks an evaluation before its call, and stores the answer after it.

The order of the steps for one evaluation, and why a crash between them is harmless:

1. The task takes the evaluation's lease, so that no other task calls a judge for the same evaluation.
2. With the lease, the task reads the store again. If another run has stored a reply in the meantime, there is nothing
   to call for. If an earlier process received a reply but died while it stored the reply, the task completes the
   storing. So a reply that was received is not paid for again.
3. The request is reserved in the journal and then sent: see `spending.py`. If the task dies before the reply arrives,
   the reply is lost and another task asks again. The lost request keeps its worst case in the run's budget.
4. The reply is stored in the evaluation's folder, and then the request is settled in the journal. After a crash
   between the two, `settle_from_store` settles the request from the stored reply.
5. The task releases the lease. After a crash the lease is not released, but another task can take it over once the
   lease of the dead task is no longer refreshed.
"""

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
    from essay_cohorts.calling.judges import Judges

log = logging.getLogger(__name__)

# When a reply cannot be written to the disk, the task's log keeps its first characters, up to this number.
_LOGGED_REPLY_CHARS = 4_000


@dataclass(frozen=True, kw_only=True, slots=True)
class ClaimedEvaluation:
    """An evaluation that this task may call a judge for.

    `prompt` is to be sent to `model`. Without them there is no call to make: `failure` says what is missing in the
    store, or is None because the evaluation needs no call any more.
    """

    row: PlanRow
    lease: CallLease
    spending: EvaluationSpending
    prompt: Prompt | None = None
    model: JudgeModel | None = None
    failure: Failure | None = None


@dataclass(kw_only=True)
class EvaluationCalls:
    """Claims the evaluations of one slice before their calls, and stores the answers.

    - `claimed` has the evaluations that are claimed right now, by gen_id.
    - `failures` has the evaluations that got no reply.
    - `held_elsewhere` has the leases that another process held at the last try. The lease objects are kept, because
      each of them measures for how long it has seen an empty claim file (see `CallLease`).
    """

    store: GensDataLayer
    planned: PlannedRun
    task: TaskRef
    task_lease: TaskLease
    models: Mapping[str, JudgeModel]
    spending: SliceSpending
    judges: Judges
    stops: RunStops
    failures: dict[str, Failure] = field(default_factory=dict)
    held_elsewhere: dict[str, CallLease] = field(default_factory=dict)
    claimed: dict[str, ClaimedEvaluation] = field(default_factory=dict)

    def begin(self, row: PlanRow) -> ClaimedEvaluation | None:
        """Claim an evaluation and read the store again, because another run may have finished this evaluation.

        Returns None when another process has the lease of the evaluation.
        """
        claimed = self._claim(row)
        if claimed is not None:
            self.claimed[row.member.gen_id] = claimed
        return claimed

    def finish(self, claimed: ClaimedEvaluation, answer: Reply | Failure | None) -> None:
        """Store the answer, or record the failure, and release the lease."""
        self.claimed.pop(claimed.row.member.gen_id, None)
        try:
            if claimed.model:
                claimed.spending.cancel_unsent(claimed.model)
            if isinstance(answer, Failure):
                self._record_failure(claimed.row, answer)
            elif answer is not None and claimed.model and claimed.prompt:
                self._store(claimed.row.member.gen_id, claimed.model, claimed.prompt, answer)
        finally:
            claimed.lease.release()

    def release_all(self) -> None:
        """Release every evaluation that is still claimed. Call this only when no call is under way."""
        with ExitStack() as stack:
            for claimed in list(self.claimed.values()):
                stack.callback(self.finish, claimed, None)

    def holder(self, gen_id: str) -> str:
        """Describe the task that held the lease of an evaluation at this task's last try."""
        return self.held_elsewhere[gen_id].holder()

    def _claim(self, row: PlanRow) -> ClaimedEvaluation | None:
        gen_id = row.member.gen_id
        evaluation = self.store.evaluation(gen_id)
        lease = self.held_elsewhere.get(gen_id) or CallLease(evaluation.writable_claim(), self.task_lease)
        if not evaluation.exists():
            spending = self._spending_of(gen_id)
            return ClaimedEvaluation(row=row, lease=lease, spending=spending, failure=_missing("the folder"))
        if not lease.take():
            self.held_elsewhere[gen_id] = lease
            return None
        self.held_elsewhere.pop(gen_id, None)
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
            missing = "metadata.json"
        elif prompt is None or not prompt.text:
            missing = "prompt.txt"
        elif model is None:
            missing = f"model {row.member.llm_model_id} in 1_raw/llm_models.csv"
        if missing or not prompt or not model:
            return ClaimedEvaluation(row=row, lease=lease, spending=spending, failure=_missing(missing))
        # A request that must wait for its turn at a slow server is reserved later, when it is about to be sent.
        if self.judges.of(model).asks_at_once(model):
            spending.reserve_now(model, prompt)
        return ClaimedEvaluation(row=row, lease=lease, spending=spending, prompt=prompt, model=model)

    def _is_done_already(self, row: PlanRow, evaluation: EvaluationFolder) -> bool:
        state = read_state(evaluation)
        if not state.is_untouched and evaluation.complete_reply():
            log.info("%s: finished storing a reply that an earlier process received", evaluation.gen_id)
            state = read_state(evaluation)
        return not needs_call(evaluation, state, row, self.planned)

    def _spending_of(self, gen_id: str) -> EvaluationSpending:
        return self.spending.for_evaluation(gen_id, partial(self._store, gen_id))

    def _store(self, gen_id: str, model: JudgeModel, prompt: Prompt, reply: Reply) -> None:
        sys.audit("essay_cohorts.after_receive")
        base_url = self.judges.of(model).base_url
        record = reply_record(model, prompt, reply, base_url, self.planned.cohort_id, self.task)
        try:
            self.store.evaluation(gen_id).store_reply(reply.text, record, reply.reasoning)
        except StoreError:
            log.error("%s: the reply was paid for, but not stored: %s", gen_id, reply.text[:_LOGGED_REPLY_CHARS])
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


def _missing(name: str) -> Failure:
    return Failure(kind="not_ready", message=f"{name} has disappeared since planning")
