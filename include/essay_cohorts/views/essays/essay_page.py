"""Reads one essay with everybody's evaluations of it: the judges' replies and scores, and the raters' notes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from essay_cohorts.domain import ID_RULE, Cell, CriterionScore, Stage, is_human, is_id, rater_of
from essay_cohorts.errors import BadInput, Problem
from essay_cohorts.records import text_of
from essay_cohorts.rubric import Scale
from essay_cohorts.store.gens_data_layer import GensDataLayer
from essay_cohorts.views.essays.essay_scores import Disagreement, apart
from essay_cohorts.views.essays.essay_titles import DescribedEssay, describe_essay
from essay_cohorts.views.evaluation_state import NO_CALLERS, Callers, MemberState, read_evaluation_state


@dataclass(frozen=True, kw_only=True, slots=True)
class EssayEvaluation:
    """One evaluation of the essay; `text` is the judge's reply or the rater's note, "" if there is none."""

    gen_id: str
    cell: Cell
    replicate: int
    state: MemberState
    score: float | None
    reason: str
    scale: Scale
    criteria: tuple[CriterionScore, ...]
    text: str

    @property
    def rater(self) -> str:
        """The id of the person who gave the score; "" for a judge's."""
        return rater_of(self.cell.model_id)


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """The evaluations of the essay by one judge, or one person, under one template."""

    model_id: str
    rater: str
    evaluations: tuple[EssayEvaluation, ...]
    mean: float | None

    @property
    def scored(self) -> int:
        """The number of evaluations with a score."""
        return sum(each.score is not None for each in self.evaluations)


@dataclass(frozen=True, kw_only=True, slots=True)
class UnderTemplate:
    """The judges first and then the raters of the essay under one template.

    `mean` is the mean of the judges' means. `disagreement` is between the judges; None for fewer than two scored.
    """

    template_id: str
    scale: Scale
    judged: tuple[Judged, ...]
    mean: float | None
    disagreement: Disagreement | None

    @property
    def criteria(self) -> list[str]:
        """The criteria that were scored, each once."""
        names = (each.criterion for judged in self.judged for found in judged.evaluations for each in found.criteria)
        return list(dict.fromkeys(names))


@dataclass(frozen=True, kw_only=True, slots=True)
class EssayPage:
    """An essay and its evaluations by template."""

    essay_id: str
    essay: DescribedEssay
    writer: str
    templates: tuple[UnderTemplate, ...]

    @property
    def words(self) -> int:
        """The number of words of the text."""
        return len(self.essay.text.split())


def read_essay(
    store: GensDataLayer, essay_id: str, evaluations: Mapping[str, Cell], callers: Callers = NO_CALLERS
) -> EssayPage:
    """Return an essay with its `evaluations` (gen_id -> cell). BadInput if the store has no such essay."""
    if not is_id(essay_id):
        raise BadInput([Problem(place="essay", finding=f"{essay_id!r} is not a valid id.", next_step=ID_RULE)])
    if not store.exists(Stage.ESSAY, essay_id):
        finding = f"there is no essay {essay_id} in gens/essay."
        raise BadInput([Problem(place="essay", finding=finding, next_step="Choose one in the list of essays.")])
    found = [_read(store, gen_id, cell, callers) for gen_id, cell in evaluations.items()]
    templates = sorted({each.cell.template_id for each in found})
    metadata = store.generation(Stage.ESSAY, essay_id)
    return EssayPage(
        essay_id=essay_id,
        essay=describe_essay(store, essay_id),
        writer=metadata.llm_model_id if metadata else "",
        templates=tuple(
            _under_template(name, [each for each in found if each.cell.template_id == name]) for name in templates
        ),
    )


def _read(store: GensDataLayer, gen_id: str, cell: Cell, callers: Callers) -> EssayEvaluation:
    evaluation = store.evaluation(gen_id)
    metadata, verdict = evaluation.metadata(), evaluation.verdict_record()
    shown = read_evaluation_state(evaluation, callers)
    reply = None if is_human(cell.model_id) else evaluation.reply()
    return EssayEvaluation(
        gen_id=gen_id,
        cell=cell,
        replicate=(metadata.replicate if metadata else None) or 1,
        state=shown.state,
        score=shown.score,
        reason=shown.reason,
        scale=verdict.rubric.scale,
        criteria=verdict.criteria if shown.score is not None else (),
        text=reply.text if reply else text_of(verdict.fields, "note") if is_human(cell.model_id) else "",
    )


def _under_template(template_id: str, evaluations: Collection[EssayEvaluation]) -> UnderTemplate:
    """Return the evaluations under one template, on the scale of most judges' scores: two scales are never pooled."""
    scored = [each for each in evaluations if each.score is not None]
    scales = [each.scale for each in scored if not each.rater] or [each.scale for each in scored]
    scale = max(scales, key=scales.count) if scales else next(iter(evaluations)).scale
    names = sorted({each.cell.model_id for each in evaluations}, key=lambda name: (is_human(name), name))
    judged = tuple(
        _judged(name, [each for each in evaluations if each.cell.model_id == name], scale) for name in names
    )
    means = {each.model_id: each.mean for each in judged if not each.rater and each.mean is not None}
    return UnderTemplate(
        template_id=template_id,
        scale=scale,
        judged=judged,
        mean=sum(means.values()) / len(means) if means else None,
        disagreement=apart(template_id, means, scale),
    )


def _judged(model_id: str, evaluations: Collection[EssayEvaluation], scale: Scale) -> Judged:
    scores = [each.score for each in evaluations if each.score is not None and each.scale == scale]
    return Judged(
        model_id=model_id,
        rater=rater_of(model_id),
        evaluations=tuple(sorted(evaluations, key=lambda each: (each.replicate, each.gen_id))),
        mean=sum(scores) / len(scores) if scores else None,
    )
