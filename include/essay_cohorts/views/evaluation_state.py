"""What the store holds of an evaluation right now: the one answer that `status` and the cohort page give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from essay_cohorts.calls import DEFERRED
from essay_cohorts.domain import RunRef, Stage
from essay_cohorts.files.json_fields import count_of, run_of, text_of
from essay_cohorts.judging.parsers import parse_score_text
from essay_cohorts.provenance import MADE_UP_REASON
from essay_cohorts.store.gens_data_layer import GensDataLayer

NO_NUMBER = "its parsed.txt holds no number from 0 to 9: correct it by raw.txt, or delete it and clear the run"

NOT_ASKED = "no call was made yet"


class MemberState(StrEnum):
    """How far an evaluation has come; `no_reply` and `replied` may still get their score by another run.

    `made_up`: the offline judge answered, in a data root whose scores are to be real; it counts for nothing.
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
class MemberLook:
    """An evaluation's state, its score when it has one, and in words why it has none."""

    state: MemberState
    score: float | None = None
    reason: str = ""


_MADE_UP = MemberLook(state=MemberState.MADE_UP, reason=MADE_UP_REASON)


def read_evaluation_state(
    store: GensDataLayer, gen_id: str, record: Mapping[str, Any] | None = None, last_run: RunRef | None = None
) -> MemberLook:
    """Reads as few files as the answer needs: two when there is a score, none when nobody was asked yet.

    `record` is that of the reply, for those who have read it. A refused reply may have been asked for once more, and
    that failed: for `last_run`, as in its scores.csv, the evaluation has failed; otherwise the reply decides.
    """
    if store.parsed_exists(Stage.EVALUATION, gen_id):
        score = parse_score_text(store.parsed_text(Stage.EVALUATION, gen_id) or "")
        if score is None:
            return MemberLook(state=MemberState.UNSCORED, reason=NO_NUMBER)
        if not store.counts(gen_id, record):
            return _MADE_UP
        return MemberLook(state=MemberState.SCORED, score=score)
    if store.has_lease(gen_id):
        caller = store.caller(gen_id)
        if caller is not None:
            return MemberLook(state=MemberState.IN_FLIGHT, reason=f"{caller} is calling for it")
    if store.is_untouched(gen_id):
        return MemberLook(state=MemberState.NO_REPLY, reason=NOT_ASKED)
    replied, failure = store.reply_exists(gen_id), store.failure_record(gen_id)
    told = text_of(failure, "message") or "its failure.json does not say why"
    if not replied or run_of(failure) == last_run:
        failed = _failed(failure, told)
        if failed is not None:
            return failed
    if replied:
        return _look_at_reply(store, gen_id)
    return MemberLook(state=MemberState.NO_REPLY, reason=told if failure else "it has no reply")


def _failed(failure: Mapping[str, Any], told: str) -> MemberLook | None:
    """What a failure.json says of its evaluation; None when there is none, or no request was sent."""
    if failure.get("kind") == DEFERRED:
        return MemberLook(state=MemberState.DEFERRED, reason=told)
    if attempts := count_of(failure, "attempts"):
        return MemberLook(state=MemberState.FAILED, reason=f"{told} (attempts: {attempts})")
    return None


def _look_at_reply(store: GensDataLayer, gen_id: str) -> MemberLook:
    if not store.counts(gen_id):
        return _MADE_UP
    verdict = store.verdict_record(gen_id)
    if verdict.get("success") is False:
        return MemberLook(state=MemberState.UNSCORED, reason=text_of(verdict, "reason"))
    return MemberLook(state=MemberState.REPLIED, reason="a reply is stored, but it was not scored yet")
