"""One evaluation with all that its folder tells: what was asked, answered and read, by whom, and what was before."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from essay_cohorts.domain import ID_RULE, Cell, Stage, TaskRef, is_id
from essay_cohorts.errors import BadInput, Problem
from essay_cohorts.files.json_fields import cell_of, count_of, replicate_of, run_of, text_of
from essay_cohorts.judging.finish_reasons import why_unfinished
from essay_cohorts.judging.parsers import DEFAULT_PARSER, PARSERS, split_lines
from essay_cohorts.store.gens_data_layer import GensDataLayer
from essay_cohorts.views.evaluation_state import MemberLook, read_evaluation_state

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
    look: MemberLook
    prompt: str | None
    reply: str | None
    reasoning: str | None
    essay: str | None
    metadata: Mapping[str, Any]
    reply_record: Mapping[str, Any]
    verdict: Mapping[str, Any]
    failure: Mapping[str, Any]
    deciding_line: int | None
    read_score: float | None
    former: tuple[FormerFile, ...]
    system_prompt: str = ""

    @property
    def maker(self) -> TaskRef | None:
        """The try of the task that got the reply, or failed to when there is none."""
        return task_of(self.reply_record) or task_of(self.failure)

    @property
    def reply_lines(self) -> list[str]:
        """The reply's lines as parsers count them."""
        return split_lines(self.reply or "")


def read_evaluation(store: GensDataLayer, gen_id: str) -> EvaluationRecord:
    """Everything about one evaluation. BadInput when the store has none of this id."""
    if not is_id(gen_id):
        raise BadInput([Problem(place="evaluation", finding=f"{gen_id!r} cannot be an id.", next_step=ID_RULE)])
    if not store.exists(Stage.EVALUATION, gen_id):
        finding = f"there is no evaluation {gen_id} in gens/evaluation."
        raise BadInput(
            [Problem(place="evaluation", finding=finding, next_step="Look for it from its cohort's page.")]
        )
    metadata = store.metadata(Stage.EVALUATION, gen_id) or {}
    cell, reply, verdict = cell_of(metadata), store.reply(gen_id), store.verdict_record(gen_id)
    parser = PARSERS.get(text_of(verdict, "parser_name") or DEFAULT_PARSER)
    readable = parser if reply and not why_unfinished(reply.finish_reason) else None
    return EvaluationRecord(
        gen_id=gen_id,
        cell=cell,
        replicate=replicate_of(metadata),
        origin_cohort_id=text_of(metadata, "origin_cohort_id"),
        look=read_evaluation_state(store, gen_id),
        prompt=store.prompt(gen_id),
        system_prompt=store.system_prompt(gen_id),
        reply=reply.text if reply else None,
        reasoning=store.reasoning(gen_id),
        essay=store.parsed_text(Stage.ESSAY, cell.essay_id) if cell and is_id(cell.essay_id) else None,
        metadata=metadata,
        reply_record=store.reply_record(gen_id),
        verdict=verdict,
        failure=store.failure_record(gen_id),
        deciding_line=readable.deciding_line(reply.text) if readable and reply else None,
        read_score=readable.read(reply.text).score if readable and reply else None,
        former=tuple(sorted(_former(store, gen_id), key=lambda file: (-file.number, file.name))),
    )


def task_of(record: Mapping[str, Any]) -> TaskRef | None:
    """The try that a record of a reply or a failure names; None when it does not."""
    run, task_id = run_of(record), text_of(record, "task_id")
    if not (run.dag_id and run.run_id and task_id):
        return None
    index = record.get("map_index")
    return TaskRef(
        dag_id=run.dag_id,
        run_id=run.run_id,
        task_id=task_id,
        map_index=index if isinstance(index, int) and not isinstance(index, bool) and index >= 0 else -1,
        try_number=count_of(record, "try_number") or 1,
    )


def _former(store: GensDataLayer, gen_id: str) -> Iterator[FormerFile]:
    for name in store.file_names(Stage.EVALUATION, gen_id):
        found = _FORMER.fullmatch(name)
        if found:
            text = store.former_text(gen_id, name)
            yield FormerFile(name=name, number=int(found["number"]), text=text or "")
