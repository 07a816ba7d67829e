"""Decides the outcome of an evaluation in a run: pure rules over the row of the plan and the state in the store."""

from __future__ import annotations

from dataclasses import dataclass

from essay_cohorts.domain import Action, Outcome, ParserRef, PlanRow, Progress, RunRef
from essay_cohorts.planning.planned_run import PlannedRun
from essay_cohorts.provenance import MADE_UP_REASON
from essay_cohorts.records import FailureRecord
from essay_cohorts.store.evaluation_state import EvaluationState
from essay_cohorts.views.evaluation_state import score_or_reason

_NO_METADATA = (
    "its metadata.json existed when the run was planned, but is missing now: restore the file, or the evaluation is "
    "paid for again"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundEvaluation:
    """What the store holds of a planned evaluation at the end of a run.

    `needs_call`: the evaluation still needs a call. `caller`: the task that is calling the judge now, in words.
    """

    state: EvaluationState
    has_metadata: bool
    needs_call: bool
    caller: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """An outcome, with the score or the reason why there is no score."""

    outcome: Outcome
    score: float | None = None
    reason: str = ""


def result_of(row: PlanRow, found: FoundEvaluation, planned: PlannedRun) -> Result:
    """Return the outcome of one row of the plan in the run of this plan."""
    if not found.has_metadata:
        return Result(outcome=Outcome.NOT_RUN, reason=_NO_METADATA)
    if not found.state.counts:
        return Result(outcome=Outcome.NOT_RUN, reason=MADE_UP_REASON)
    if not found.state.is_parsed:
        outcome, reason = _without_score(row, found, planned.run, planned.parsers[row.member.template_id])
        return Result(outcome=outcome, reason=reason)
    score, reason = score_or_reason(found.state, planned.rubric_of(row.member.template_id))
    if score is None:
        return Result(outcome=Outcome.UNSCORED, reason=reason)
    return Result(outcome=Outcome.REUSED if row.action is Action.REUSE else Outcome.SCORED, score=score)


def _without_score(row: PlanRow, found: FoundEvaluation, run: RunRef, parser: ParserRef) -> tuple[Outcome, str]:
    state = found.state
    replied = state.progress is Progress.REPLIED and not state.is_pending
    # If the same run left a failure and a reply, the failure is older: the reply counts.
    if state.failure.run == run and not (replied and state.reply.run == run):
        return _failed(state.failure)
    if found.needs_call:
        if found.caller is not None:
            return Outcome.IN_FLIGHT_ELSEWHERE, f"{found.caller} is calling the judge"
        return Outcome.NOT_RUN, "no call was made: see the logs of the evaluation tasks"
    if row.action is Action.REUSE:
        return Outcome.NOT_RUN, "its parsed.txt existed when the run was planned, but is missing now"
    if not replied:
        return Outcome.NOT_RUN, "its raw.txt existed when the run was planned, but is missing now"
    if state.is_refused and state.verdict.parser == parser:
        return Outcome.UNSCORED, state.verdict.reason
    return Outcome.NOT_RUN, "a reply is stored, but it was not scored: see the log of evaluation_parsed"


def _failed(failure: FailureRecord) -> tuple[Outcome, str]:
    if failure.is_deferred:
        return Outcome.DEFERRED, failure.message
    if failure.attempts:
        return Outcome.FAILED, f"{failure.message} (attempts: {failure.attempts})"
    return Outcome.NOT_RUN, failure.message
