"""The state of one evaluation: read here and nowhere else, for planning, calling, scores, pages and commands.

`read_state` decides by the files alone how far an evaluation has come, and returns the facts that it met. What the
state means is a matter of who asks, and follows from the value without another look at the store: an action of a plan
(planning/plan_rules), the outcome in a run (backfill/outcomes), the state on a page (views/evaluation_state), or the
effect of scoring it again (reparsing/rules).
"""

from __future__ import annotations

from dataclasses import dataclass

from essay_cohorts.domain import Progress
from essay_cohorts.records import FailureRecord, ReplyRecord, VerdictRecord
from essay_cohorts.store import reply_files
from essay_cohorts.store.evaluation import BEFORE_A_CALL, CLAIM, EvaluationFolder
from essay_cohorts.store.reply_files import FAILURE, PARSED_METADATA, RAW, RAW_METADATA

_NO_REPLY, _NO_VERDICT, _NO_FAILURE = ReplyRecord(), VerdictRecord(), FailureRecord()


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationState:
    """How far an evaluation has come, and the facts that decide it.

    PARSED: `parsed` is the text of parsed.txt, which may hold no number. REPLIED: a reply is stored, or is whole in
    temporary files (`is_pending`); `verdict` is what a parser has said of it. NO_REPLY: no reply is stored, and when
    nobody was asked yet the evaluation `is_untouched`. `failure` is that of the last call; a scored evaluation's is
    not read. `is_claimed`: a task calls for it, or died while doing so. `counts` is False for a made-up reply where
    only real ones count. `parsed_is_empty`: an older program left an empty parsed.txt, which counts as missing.
    """

    progress: Progress
    parsed: str = ""
    parsed_is_empty: bool = False
    is_pending: bool = False
    is_untouched: bool = False
    is_claimed: bool = False
    counts: bool = True
    reply: ReplyRecord = _NO_REPLY
    verdict: VerdictRecord = _NO_VERDICT
    failure: FailureRecord = _NO_FAILURE

    @property
    def is_parsed(self) -> bool:
        """True when the evaluation has a parsed.txt that is not empty."""
        return self.progress is Progress.PARSED

    @property
    def is_refused(self) -> bool:
        """True when a parser has found no score in the reply."""
        return self.progress is Progress.REPLIED and self.verdict.is_refusal


def read_state(evaluation: EvaluationFolder) -> EvaluationState:
    """Return the state as the files are now.

    It reads two files when there is a score, and none when nobody was asked.
    """
    parsed = evaluation.parsed_text()
    if parsed:
        reply = evaluation.reply_record()
        return EvaluationState(progress=Progress.PARSED, parsed=parsed, reply=reply, counts=evaluation.counts(reply))
    names = evaluation.file_names()
    claimed = CLAIM in names
    if names and names <= BEFORE_A_CALL:
        return EvaluationState(progress=Progress.NO_REPLY, is_untouched=True, is_claimed=claimed)
    pending = reply_files.is_pending(evaluation.path, names)
    reply = evaluation.reply_record() if RAW_METADATA in names else _NO_REPLY
    return EvaluationState(
        progress=Progress.REPLIED if pending or RAW in names else Progress.NO_REPLY,
        parsed_is_empty=parsed is not None,
        is_pending=pending,
        is_claimed=claimed,
        counts=evaluation.counts(reply),
        reply=reply,
        # A verdict next to a pending reply is that of the reply before.
        verdict=evaluation.verdict_record() if PARSED_METADATA in names and not pending else _NO_VERDICT,
        failure=evaluation.failure_record() if FAILURE in names else _NO_FAILURE,
    )
