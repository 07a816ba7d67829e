"""Maps what the store holds of an evaluation to the state that the pages and the commands show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from essay_cohorts.domain import Progress, RunRef
from essay_cohorts.judging.parsers import parse_score_text
from essay_cohorts.provenance import MADE_UP_REASON
from essay_cohorts.records import FailureRecord
from essay_cohorts.rubric import Rubric, Scale, points
from essay_cohorts.store.evaluation import EvaluationFolder
from essay_cohorts.store.evaluation_state import EvaluationState, read_state

NOT_CALLED = "no call was made yet"

# gen_id -> the task that is calling the judge for the evaluation now, as the ledger tells.
Callers = Mapping[str, str]
NO_CALLERS: Callers = {}


class MemberState(StrEnum):
    """How far an evaluation has come. A further run can score an evaluation that is `no_reply` or `replied`.

    `made_up`: the reply is from the offline judge, but this data root accepts only real scores; so it does not count.
    """

    SCORED = "scored"
    UNSCORED = "unscored"
    REPLIED = "replied"
    FAILED = "failed"
    DEFERRED = "deferred"
    IN_FLIGHT = "in_flight"
    NO_REPLY = "no_reply"
    MADE_UP = "made_up"


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownState:
    """An evaluation's state, with its score or the reason why there is no score."""

    state: MemberState
    score: float | None = None
    reason: str = ""


_MADE_UP = ShownState(state=MemberState.MADE_UP, reason=MADE_UP_REASON)


def no_number(scale: Scale, *, by_human: bool = False) -> str:
    """Return the reason why a parsed.txt without a number on the scale is no score, and the next step."""
    if by_human:
        return f"its parsed.txt holds no number from {scale}: import the person's scores again with --replace"
    return (
        f"its parsed.txt holds no number from {scale}: correct parsed.txt according to raw.txt, or delete parsed.txt "
        "and clear the run"
    )


def score_or_reason(found: EvaluationState, wanted: Rubric | None = None) -> tuple[float | None, str]:
    """Return the score of an evaluation that has a parsed.txt; or None, and why the text is no score.

    A score by another measure than that of `wanted` does not count, because two measures cannot be compared.
    """
    measure = found.verdict.rubric.measure
    score = parse_score_text(found.parsed, measure.scale)
    if score is None:
        return None, no_number(measure.scale, by_human=found.verdict.is_human)
    if wanted is not None and measure != wanted.measure:
        return None, (
            f"its score {points(score)} is from {measure}, and its template's scores are from {wanted.measure}: run "
            "cohorts reparse, or if that skips the evaluation, give the new rubric a template of its own"
        )
    return score, ""


def read_evaluation_state(
    evaluation: EvaluationFolder, callers: Callers = NO_CALLERS, last_run: RunRef | None = None
) -> ShownState:
    """Return the state of an evaluation, read from the store now; see `shown_state`."""
    return shown_state(read_state(evaluation), callers.get(evaluation.gen_id), last_run)


def shown_state(
    found: EvaluationState,
    caller: str | None = None,
    last_run: RunRef | None = None,
    wanted: Rubric | None = None,
) -> ShownState:
    """Return the state to show; `caller` is the task that is calling the judge now, `wanted` the template's rubric.

    An evaluation may have both a refused reply and a later call that failed. If that call was made by `last_run`, the
    evaluation is shown as failed, as in that run's scores.csv; otherwise the reply decides.
    """
    if found.is_parsed:
        score, reason = score_or_reason(found, wanted)
        if score is None:
            return ShownState(state=MemberState.UNSCORED, reason=reason)
        return ShownState(state=MemberState.SCORED, score=score) if found.counts else _MADE_UP
    if caller is not None:
        return ShownState(state=MemberState.IN_FLIGHT, reason=f"{caller} is calling the judge")
    if found.is_untouched:
        return ShownState(state=MemberState.NO_REPLY, reason=NOT_CALLED)
    replied = found.progress is Progress.REPLIED
    failed = None if replied and found.failure.run != last_run else _failed(found.failure)
    if failed is not None:
        return failed
    if replied:
        return _replied(found)
    return ShownState(
        state=MemberState.NO_REPLY, reason=found.failure.message if found.failure else "it has no reply"
    )


def _failed(failure: FailureRecord) -> ShownState | None:
    """Return the state that a failure.json records; None if there is no failure.json, or no request was sent."""
    if failure.is_deferred:
        return ShownState(state=MemberState.DEFERRED, reason=failure.message)
    if failure.attempts:
        return ShownState(state=MemberState.FAILED, reason=f"{failure.message} (attempts: {failure.attempts})")
    return None


def _replied(found: EvaluationState) -> ShownState:
    if not found.counts:
        return _MADE_UP
    if found.is_refused:
        return ShownState(state=MemberState.UNSCORED, reason=found.verdict.reason)
    return ShownState(state=MemberState.REPLIED, reason="a reply is stored, but it was not scored yet")
