"""Finds existing evaluations that were made with another prompt or model than today's, and refuses such plans."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from essay_cohorts.amounts import counted
from essay_cohorts.calls import JudgeModel
from essay_cohorts.domain import Cell, ChangedInputs, one_form
from essay_cohorts.errors import Problem
from essay_cohorts.judging.prompts import prompt_hash
from essay_cohorts.provenance import UNKNOWN_VERSION, ModelVersion
from essay_cohorts.records import ReplyRecord
from essay_cohorts.store.evaluation import EvaluationFolder
from essay_cohorts.store.gens_data_layer import GensDataLayer

_MAX_NAMED = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class InputComparison:
    """The inputs that an evaluation was made with, compared with today's inputs.

    - `inputs_changed`: another prompt, or another `model` under the same id; None when the store does not
      say which prompt was used, or when today's inputs do not include the template or the model.
    - `settings_changed`: another temperature, max_tokens or request.
    - `counts`: False for a made-up reply in a data root where only real replies count.
    - `version`: the version of the model that answered.
    """

    inputs_changed: bool | None = None
    settings_changed: bool = False
    counts: bool = True
    version: ModelVersion = UNKNOWN_VERSION


@dataclass(frozen=True, kw_only=True, slots=True)
class InputComparer:
    """Compares the inputs that evaluations were made with and today's inputs.

    `prompts` maps (essay, template) to the hash of today's prompt, `models` maps an id to today's judge.
    """

    store: GensDataLayer
    prompts: Mapping[tuple[str, str], str]
    models: Mapping[str, JudgeModel]

    def compare(self, gen_id: str, cell: Cell) -> InputComparison:
        """Compare one evaluation's recorded inputs with today's. This reads the reply's record from disk."""
        today, model = self.prompts.get((cell.essay_id, cell.template_id)), self.models.get(cell.model_id)
        evaluation = self.store.evaluation(gen_id)
        record = evaluation.reply_record()
        if not evaluation.counts(record):
            return InputComparison(counts=False)
        if today is None or model is None:
            return InputComparison(version=record.version)
        recorded = record.prompt_sha256 or _stored_hash(evaluation)
        settings_changed = has_other_settings(record, model)
        if recorded is None:
            return InputComparison(settings_changed=settings_changed, version=record.version)
        recorded_model = record.model or model.model
        return InputComparison(
            inputs_changed=recorded != today or one_form(recorded_model) != one_form(model.model),
            settings_changed=settings_changed,
            version=record.version,
        )


def has_other_settings(record: ReplyRecord, model: JudgeModel) -> bool:
    """Return True when a reply's record has another temperature, max_tokens or request than the judge has today."""
    request = json.loads(model.request) if model.request else None
    return not record.has_settings(model.temperature, model.max_tokens, request)


def _stored_hash(evaluation: EvaluationFolder) -> str | None:
    prompt = evaluation.whole_prompt()
    return None if prompt is None else prompt_hash(prompt)


def refuse_changes(changed: Iterable[Cell]) -> Iterator[Problem]:
    """Yield one problem that counts the evaluations with changed inputs and names the options.

    `changed` has the cell of each such evaluation. When it is empty, there is no problem.
    """
    cells = list(changed)
    if not cells:
        return
    templates = _by_count(cell.template_id for cell in cells)
    essays = _by_count(cell.essay_id for cell in cells)
    made = counted(len(cells), "existing evaluation was made", "existing evaluations were made")
    yield Problem(
        place="changed_inputs",
        finding=(f"{made} with another prompt or model than today's, by template: {templates}; by essay: {essays}."),
        next_step=(
            "Give the changed template, essay or judge a new id; or set changed_inputs to "
            f'"{ChangedInputs.KEEP}" (reuse them anyway) or "{ChangedInputs.ASK_AGAIN}" (new calls).'
        ),
    )


def _by_count(names: Iterable[str]) -> str:
    counts = Counter(names).most_common()
    shown = ", ".join(f"{name} {count}" for name, count in counts[:_MAX_NAMED])
    return shown if len(counts) <= _MAX_NAMED else f"{shown} and {len(counts) - _MAX_NAMED} more"
