"""Rank essays by one template, and find the best essays that another template has not fully judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from essay_cohorts.domain import Cell
from essay_cohorts.provenance import UNKNOWN, Provenance
from essay_cohorts.rubric import DEFAULT_SCALE, Scale, most_used_scales

# The first words of the column `error`: of a refused reply, and of a folder that cannot be read (aggregated_scores).
REFUSED, DAMAGED = "unscored", "damaged"


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgedEvaluation:
    """An evaluation as aggregated_scores.csv has it; `error` says why there is no score."""

    gen_id: str
    cell: Cell
    score: float | None
    error: str = ""
    provenance: Provenance = UNKNOWN
    scale: Scale = DEFAULT_SCALE
    origin_cohort_id: str = ""

    @property
    def is_refused(self) -> bool:
        """Whether the evaluation has a reply that its parser refused."""
        return self.score is None and self.error.startswith(REFUSED)


@dataclass(frozen=True, kw_only=True, slots=True)
class RankedEssay:
    """An essay, its value in the ranking, and how many of the ranking models have scored it."""

    essay_id: str
    value: float
    models: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Shortfall:
    """A cell that has fewer than `wanted` scores; `refused` replies could not be scored."""

    cell: Cell
    scored: int
    refused: int
    wanted: int

    @property
    def is_refused_only(self) -> bool:
        """Whether refused replies make up the whole shortfall; then a person must decide to ask again."""
        return self.scored + self.refused >= self.wanted


@dataclass(frozen=True, kw_only=True, slots=True)
class MissingSelection:
    """The top of a ranking in three parts, each in rank order: `missing` (to judge), `needs_decision`, `covered`.

    An essay needs a decision when it lacks only scores whose replies were refused.
    """

    ranked: tuple[RankedEssay, ...]
    missing: tuple[tuple[RankedEssay, tuple[Shortfall, ...]], ...]
    needs_decision: tuple[tuple[RankedEssay, tuple[Shortfall, ...]], ...]
    covered: tuple[RankedEssay, ...]


def rank_by_best(
    rows: Iterable[JudgedEvaluation], template_id: str, models: Collection[str]
) -> tuple[RankedEssay, ...]:
    """Rank essays by value: the best score of each model, averaged over the models that scored the essay.

    The highest value comes first; essays of the same value are ordered by id. If the template had several scales,
    only the scores on the scale of most of them count.
    """
    best: dict[str, dict[str, float]] = {}
    judged = [row for row in rows if row.cell.template_id == template_id and row.cell.model_id in models]
    used = Counter((template_id, row.scale) for row in judged if row.score is not None)
    scale = most_used_scales(used).get(template_id)
    for row in judged:
        if row.score is not None and row.scale == scale:
            of_essay = best.setdefault(row.cell.essay_id, {})
            of_essay[row.cell.model_id] = max(row.score, of_essay.get(row.cell.model_id, row.score))
    ranked = [
        # Rounded, because the order of the summands must not change the ranking.
        RankedEssay(essay_id=essay_id, value=round(sum(scores.values()) / len(scores), 9), models=len(scores))
        for essay_id, scores in best.items()
    ]
    return tuple(sorted(ranked, key=lambda essay: (-essay.value, essay.essay_id)))


def choose_missing(
    rows: Sequence[JudgedEvaluation],
    ranked: Sequence[RankedEssay],
    *,
    template_id: str,
    models: Sequence[str],
    replicates: int,
    any_model: bool = False,
    retry_unscored: bool = False,
) -> MissingSelection:
    """Divide `ranked` into essays to judge, essays that need a decision, and covered essays.

    An essay is covered when its cell of each of `models` has `replicates` scores, or with `any_model` when any model
    has scored it. An essay that lacks only refused replies needs a decision, or with `retry_unscored` is missing.
    """
    scored = Counter(row.cell for row in rows if row.score is not None)
    refused = Counter(row.cell for row in rows if row.is_refused)
    missing, needs_decision, covered = [], [], []
    for essay in ranked:
        cells = [Cell(essay.essay_id, template_id, model) for model in models]
        short = tuple(
            Shortfall(cell=cell, scored=scored[cell], refused=refused[cell], wanted=replicates)
            for cell in cells
            if scored[cell] < replicates
        )
        if not short or (any_model and any(scored[cell] for cell in cells)):
            covered.append(essay)
        elif retry_unscored or not all(each.is_refused_only for each in short):
            missing.append((essay, short))
        else:
            needs_decision.append((essay, short))
    return MissingSelection(
        ranked=tuple(ranked),
        missing=tuple(missing),
        needs_decision=tuple(needs_decision),
        covered=tuple(covered),
    )
