"""One evaluation with all that its folder tells: what was asked, answered and read, by whom, and what was before."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from essay_cohorts.domain import ID_RULE, Cell, Stage, TaskRef, is_id
from essay_cohorts.errors import BadInput, Problem
from essay_cohorts.judging.finish_reasons import why_unfinished
from essay_cohorts.judging.parsers import DEFAULT_PARSER, PARSERS, split_lines
from essay_cohorts.records import EvaluationMetadata, FailureRecord, ReplyRecord, VerdictRecord
from essay_cohorts.store.evaluation import EvaluationFolder
from essay_cohorts.store.gens_data_layer import GensDataLayer
from essay_cohorts.views.evaluation_state import ShownState, read_evaluation_state

_FORMER = re.compile(
    r"(?:raw|reasoning|parsed|prompt|system_prompt|raw_metadata|parsed_metadata)\.(?P<number>[0-9]+)\.(?:txt|json)"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class FormerFile:
    """A file that was replaced on purpose, and its content; a higher `number` is later."""

    name: str
    number: int
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationRecord:
    """An evaluation; a text is None and a record empty where the file is missing.

    `deciding_line` is the number, from 0, of the reply's line that its parser reads, `read_score` what that makes of
    the reply today (a person may have corrected the score since, or the parser changed); `maker` the task that got
    the reply, None when nobody wrote that down.
    """

    gen_id: str
    cell: Cell | None
    replicate: int | None
    origin_cohort_id: str
    shown: ShownState
    prompt: str | None
    reply: str | None
    reasoning: str | None
    essay: str | None
    metadata: Mapping[str, Any]
    reply_record: ReplyRecord
    verdict: VerdictRecord
    failure: FailureRecord
    deciding_line: int | None
    read_score: float | None
    former: tuple[FormerFile, ...]
    system_prompt: str = ""

    @property
    def maker(self) -> TaskRef | None:
        """The try of the task that got the reply, or failed to when there is none."""
        return self.reply_record.task or self.failure.task

    @property
    def reply_lines(self) -> list[str]:
        """The reply's lines as parsers count them."""
        return split_lines(self.reply or "")


def read_evaluation(store: GensDataLayer, gen_id: str) -> EvaluationRecord:
    """Return everything about one evaluation. BadInput when the store has none of this id."""
    if not is_id(gen_id):
        raise BadInput([Problem(place="evaluation", finding=f"{gen_id!r} cannot be an id.", next_step=ID_RULE)])
    if not store.exists(Stage.EVALUATION, gen_id):
        finding = f"there is no evaluation {gen_id} in gens/evaluation."
        raise BadInput(
            [Problem(place="evaluation", finding=finding, next_step="Look for it from its cohort's page.")]
        )
    evaluation = store.evaluation(gen_id)
    metadata, reply = evaluation.metadata() or EvaluationMetadata(), evaluation.reply()
    cell, verdict = metadata.cell, evaluation.verdict_record()
    parser = PARSERS.get(verdict.parser.name or DEFAULT_PARSER)
    readable = parser if reply and not why_unfinished(reply.finish_reason) else None
    return EvaluationRecord(
        gen_id=gen_id,
        cell=cell,
        replicate=metadata.replicate,
        origin_cohort_id=metadata.origin_cohort_id,
        shown=read_evaluation_state(evaluation),
        prompt=evaluation.prompt(),
        system_prompt=evaluation.system_prompt(),
        reply=reply.text if reply else None,
        reasoning=evaluation.reasoning(),
        essay=store.parsed_text(Stage.ESSAY, cell.essay_id) if cell and is_id(cell.essay_id) else None,
        metadata=metadata.fields,
        reply_record=evaluation.reply_record(),
        verdict=verdict,
        failure=evaluation.failure_record(),
        deciding_line=readable.deciding_line(reply.text) if readable and reply else None,
        read_score=readable.read(reply.text).score if readable and reply else None,
        former=tuple(sorted(_former(evaluation), key=lambda file: (-file.number, file.name))),
    )


def _former(evaluation: EvaluationFolder) -> Iterator[FormerFile]:
    for name in evaluation.file_names():
        found = _FORMER.fullmatch(name)
        if found:
            text = evaluation.former_text(name)
            yield FormerFile(name=name, number=int(found["number"]), text=text or "")
