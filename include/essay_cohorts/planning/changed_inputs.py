"""Which existing evaluations were made with another prompt or model than today's, and what that means for a plan."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from essay_cohorts.calls import JudgeModel
from essay_cohorts.domain import Cell, ChangedInputs, one_form
from essay_cohorts.errors import Problem
from essay_cohorts.judging.prompts import prompt_hash
from essay_cohorts.records import ReplyRecord
from essay_cohorts.store.evaluation import EvaluationFolder
from essay_cohorts.store.gens_data_layer import GensDataLayer

_NAMED = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Wording:
    """How an evaluation was made, beside today's inputs.

    `is_other`: with another prompt, or another `model` under the same id; None where nothing was recorded.
    `other_settings`: with another temperature, max_tokens or request. `counts`: False for a made-up
    reply where only real ones count.
    """

    is_other: bool | None = None
    other_settings: bool = False
    counts: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Wordings:
    """Compares what evaluations were made with and what they would be made with today.

    `prompts` gives the hash of today's prompt by (essay, template), `models` today's judges by id.
    """

    store: GensDataLayer
    prompts: Mapping[tuple[str, str], str]
    models: Mapping[str, JudgeModel]

    def compare(self, gen_id: str, cell: Cell) -> Wording:
        """Return what is known of how an evaluation was made; it reads the reply's record."""
        today, model = self.prompts.get((cell.essay_id, cell.template_id)), self.models.get(cell.model_id)
        evaluation = self.store.evaluation(gen_id)
        record = evaluation.reply_record()
        if not evaluation.counts(record):
            return Wording(counts=False)
        if today is None or model is None:
            return Wording()
        recorded = record.prompt_sha256 or _stored_hash(evaluation)
        changed = has_other_settings(record, model)
        if recorded is None:
            return Wording(other_settings=changed)
        asked = record.model or model.model
        other = recorded != today or one_form(asked) != one_form(model.model)
        return Wording(is_other=other, other_settings=changed)


def has_other_settings(record: ReplyRecord, model: JudgeModel) -> bool:
    """Return True when a reply's record has another temperature, max_tokens or request than the judge has today."""
    request = json.loads(model.request) if model.request else None
    return not record.has_settings(model.temperature, model.max_tokens, request)


def _stored_hash(evaluation: EvaluationFolder) -> str | None:
    prompt = evaluation.whole_prompt()
    return None if prompt is None else prompt_hash(prompt.text, prompt.system)


def refuse_changes(changed: Iterable[Cell]) -> Iterator[Problem]:
    """Yield one problem that counts the evaluations of another wording and names the ways out; none without any."""
    cells = list(changed)
    if not cells:
        return
    templates = _counted(cell.template_id for cell in cells)
    essays = _counted(cell.essay_id for cell in cells)
    yield Problem(
        place="changed_inputs",
        finding=(
            f"{len(cells)} existing evaluations were made with another prompt or model than today's, by template: "
            f"{templates}; by essay: {essays}."
        ),
        next_step=(
            "Give the changed template, essay or judge a new id; or set changed_inputs to "
            f'"{ChangedInputs.KEEP}" (reuse them all the same) or "{ChangedInputs.ASK_AGAIN}" (new calls).'
        ),
    )


def _counted(names: Iterable[str]) -> str:
    counts = Counter(names).most_common()
    shown = ", ".join(f"{name} {count}" for name, count in counts[:_NAMED])
    return shown if len(counts) <= _NAMED else f"{shown} and {len(counts) - _NAMED} more"
