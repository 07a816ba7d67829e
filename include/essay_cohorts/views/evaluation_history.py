"""Reads everything about one evaluation: prompt, reply, score, the task that called, and former versions of files.

A person's evaluation has a rater, a score and remarks instead of a prompt and a reply.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from essay_cohorts.domain import ID_RULE, Cell, CriterionScore, Stage, TaskRef, is_id, rater_of
from essay_cohorts.errors import BadInput, Problem
from essay_cohorts.judging.finish_reasons import why_unfinished
from essay_cohorts.judging.parsers import DEFAULT_PARSER, PARSERS, parser_of, split_lines
from essay_cohorts.records import EvaluationMetadata, FailureRecord, ReplyRecord, VerdictRecord, text_of
from essay_cohorts.store.evaluation import EvaluationFolder
from essay_cohorts.store.gens_data_layer import GensDataLayer
from essay_cohorts.views.evaluation_state import NO_CALLERS, Callers, ShownState, read_evaluation_state

_FORMER = re.compile(
    r"(?:raw|reasoning|parsed|prompt|system_prompt|response_format|raw_metadata|parsed_metadata)\.(?P<number>[0-9]+)\.(?:txt|json)"
)

# A verdict of an older program does not name its parser.
_DEFAULT = {"": PARSERS[DEFAULT_PARSER]}


@dataclass(frozen=True, kw_only=True, slots=True)
class FormerFile:
    """A former version of a file that was replaced on purpose; a higher `number` was replaced later."""

    name: str
    number: int
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationRecord:
    """An evaluation. If a file is missing, its text is None, or its record is empty.

    `deciding_line` is the number, from 0, of the line of the reply from which the parser reads the score.
    `read_score` is the score that the parser reads today. It differs from the stored score if a person has corrected
    the score or the parser has changed.
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
    response_format: str = ""

    @property
    def maker(self) -> TaskRef | None:
        """The task that got the reply or, without a reply, failed to get one; None if no file records this."""
        return self.reply_record.task or self.failure.task

    @property
    def rater(self) -> str:
        """The id of the person who gave the score; "" for a judge's evaluation."""
        return rater_of(self.cell.model_id) if self.cell else ""

    @property
    def home_cohort_id(self) -> str:
        """The cohort that the evaluation was made for; "" for a person's, which is a member of no cohort."""
        return "" if self.rater else self.origin_cohort_id

    @property
    def note(self) -> str:
        """The rater's remark; "" if there is none."""
        return text_of(self.verdict.fields, "note")

    @property
    def criteria(self) -> list[tuple[CriterionScore, str]]:
        """The scores of the criteria, each with the rater's remark."""
        recorded = self.verdict.fields.get("criteria")
        held = recorded if isinstance(recorded, dict) else {}
        fields = ((each, held.get(each.criterion)) for each in self.verdict.criteria)
        return [(each, text_of(found, "note") if isinstance(found, dict) else "") for each, found in fields]

    @property
    def reply_lines(self) -> list[str]:
        """The lines of the reply, divided as parsers divide them."""
        return split_lines(self.reply or "")


def read_evaluation(store: GensDataLayer, gen_id: str, callers: Callers = NO_CALLERS) -> EvaluationRecord:
    """Return everything about one evaluation. BadInput if the store has no evaluation with this id."""
    if not is_id(gen_id):
        raise BadInput([Problem(place="evaluation", finding=f"{gen_id!r} is not a valid id.", next_step=ID_RULE)])
    if not store.exists(Stage.EVALUATION, gen_id):
        finding = f"there is no evaluation {gen_id} in gens/evaluation."
        raise BadInput(
            [Problem(place="evaluation", finding=finding, next_step="Search for it on its cohort's page.")]
        )
    evaluation = store.evaluation(gen_id)
    metadata, reply = evaluation.metadata() or EvaluationMetadata(), evaluation.reply()
    cell, verdict, prompt = metadata.cell, evaluation.verdict_record(), evaluation.whole_prompt()
    parser = parser_of(verdict.parser) if verdict.parser.name in PARSERS else _DEFAULT.get(verdict.parser.name)
    readable = parser if reply and not why_unfinished(reply.finish_reason) else None
    return EvaluationRecord(
        gen_id=gen_id,
        cell=cell,
        replicate=metadata.replicate,
        origin_cohort_id=metadata.origin_cohort_id,
        shown=read_evaluation_state(evaluation, callers),
        prompt=prompt.text if prompt else None,
        system_prompt=prompt.system if prompt else "",
        response_format=prompt.response_format if prompt else "",
        reply=reply.text if reply else None,
        reasoning=evaluation.reasoning(),
        essay=store.parsed_text(Stage.ESSAY, cell.essay_id) if cell and is_id(cell.essay_id) else None,
        metadata=metadata.fields,
        reply_record=evaluation.reply_record(),
        verdict=verdict,
        failure=evaluation.failure_record(),
        deciding_line=readable.deciding_line(reply.text, readable.rubric) if readable and reply else None,
        read_score=readable.read(reply.text, readable.rubric).score if readable and reply else None,
        former=tuple(sorted(_former(evaluation), key=lambda file: (-file.number, file.name))),
    )


def _former(evaluation: EvaluationFolder) -> Iterator[FormerFile]:
    for name in evaluation.file_names():
        found = _FORMER.fullmatch(name)
        if found:
            text = evaluation.former_text(name)
            yield FormerFile(name=name, number=int(found["number"]), text=text or "")
