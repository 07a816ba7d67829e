"""The state of one evaluation, read from its files in one place for planning, calling, scores, pages and commands.

`read_state` reads the files and returns how far the evaluation has come, with the facts that decided it. Each user of
the state derives its own answer from that value without reading the store again: planning an action
(planning/plan_rules), a run an outcome (backfill/outcomes), a page a cell (views/evaluation_state), and scoring again
an effect (reparsing/rules).
"""

from __future__ import annotations

from dataclasses import dataclass

from essay_cohorts.domain import Progress
from essay_cohorts.records import FailureRecord, ReplyRecord, VerdictRecord
from essay_cohorts.store import reply_files
from essay_cohorts.store.evaluation import BEFORE_A_CALL, EvaluationFolder
from essay_cohorts.store.reply_files import FAILURE, PARSED_METADATA, RAW, RAW_METADATA

_NO_REPLY, _NO_VERDICT, _NO_FAILURE = ReplyRecord(), VerdictRecord(), FailureRecord()


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationState:
    """How far an evaluation has come, and the facts that decide it.

    - PARSED: `parsed` is the text of parsed.txt, which may hold no number, and `verdict` tells its scale.
    - REPLIED: a reply is stored, or temporary files hold a whole reply (`is_pending`); `verdict` is what a parser
      found in it.
    - NO_REPLY: no reply is stored; `is_untouched` when no judge was asked yet.

    `failure` belongs to the last call and is not read for a scored evaluation. `counts` is False for a
    made-up reply in a data root where only real replies count. `parsed_is_empty`: an older program left an empty
    parsed.txt, which counts as missing.
    """

    progress: Progress
    parsed: str = ""
    parsed_is_empty: bool = False
    is_pending: bool = False
    is_untouched: bool = False
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
        """True when a parser found no score in the reply."""
        return self.progress is Progress.REPLIED and self.verdict.is_refusal


def read_state(evaluation: EvaluationFolder) -> EvaluationState:
    """Return the current state of the files.

    Three files are read when there is a score, and none when no judge was asked.
    """
    parsed = evaluation.parsed_text()
    if parsed:
        reply, verdict = evaluation.reply_record(), evaluation.verdict_of(parsed)
        counts = evaluation.counts(reply)
        return EvaluationState(progress=Progress.PARSED, parsed=parsed, reply=reply, verdict=verdict, counts=counts)
    names = evaluation.file_names()
    if names and names <= BEFORE_A_CALL:
        return EvaluationState(progress=Progress.NO_REPLY, is_untouched=True)
    pending = reply_files.is_pending(evaluation.path, names)
    reply = evaluation.reply_record() if RAW_METADATA in names else _NO_REPLY
    return EvaluationState(
        progress=Progress.REPLIED if pending or RAW in names else Progress.NO_REPLY,
        parsed_is_empty=parsed is not None,
        is_pending=pending,
        counts=evaluation.counts(reply),
        reply=reply,
        # A verdict beside a pending reply belongs to the former reply.
        verdict=evaluation.verdict_record() if PARSED_METADATA in names and not pending else _NO_VERDICT,
        failure=evaluation.failure_record() if FAILURE in names else _NO_FAILURE,
    )
