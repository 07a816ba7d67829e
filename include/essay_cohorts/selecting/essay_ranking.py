"""Which essays to judge next: ranked by one template, and of the best those that another template lacks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from essay_cohorts.domain import Cell
from essay_cohorts.provenance import UNKNOWN, Provenance

# How the `error` of a refused reply begins, and that of a folder that cannot be read: see aggregated_scores.
REFUSED, DAMAGED = "unscored", "damaged"


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgedEvaluation:
    """An evaluation as aggregated_scores.csv has it; `error` says why there is no score."""

    gen_id: str
    cell: Cell
    score: float | None
    error: str = ""
    made: Provenance = UNKNOWN

    @property
    def is_refused(self) -> bool:
        """True when it has a reply that its parser refused."""
        return self.score is None and self.error.startswith(REFUSED)


@dataclass(frozen=True, kw_only=True, slots=True)
class ChosenEssay:
    """An essay, its value, and how many of the models that count have scored it."""

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
        """True when replies are there for all that is short: to ask again is somebody's decision."""
        return self.scored + self.refused >= self.wanted


@dataclass(frozen=True, kw_only=True, slots=True)
class MissingChoice:
    """The top of a ranking, parted: to judge (in rank order), short by refused replies alone, and covered."""

    ranked: tuple[ChosenEssay, ...]
    missing: tuple[tuple[ChosenEssay, tuple[Shortfall, ...]], ...]
    needs_decision: tuple[tuple[ChosenEssay, tuple[Shortfall, ...]], ...]
    covered: tuple[ChosenEssay, ...]


def rank_by_best(
    rows: Iterable[JudgedEvaluation], template_id: str, models: Collection[str]
) -> tuple[ChosenEssay, ...]:
    """Essays by falling value: the best score of each model, averaged over the models that scored the essay.

    Essays of the same value stand by their ids.
    """
    best: dict[str, dict[str, float]] = {}
    for row in rows:
        if row.score is not None and row.cell.template_id == template_id and row.cell.model_id in models:
            of_essay = best.setdefault(row.cell.essay_id, {})
            of_essay[row.cell.model_id] = max(row.score, of_essay.get(row.cell.model_id, row.score))
    ranked = [
        # Rounded, for a sum of the same scores in another order must not decide.
        ChosenEssay(essay_id=essay_id, value=round(sum(scores.values()) / len(scores), 9), models=len(scores))
        for essay_id, scores in best.items()
    ]
    return tuple(sorted(ranked, key=lambda one: (-one.value, one.essay_id)))


def choose_missing(
    rows: Sequence[JudgedEvaluation],
    ranked: Sequence[ChosenEssay],
    *,
    template_id: str,
    models: Sequence[str],
    replicates: int,
    any_model: bool = False,
    retry_unscored: bool = False,
) -> MissingChoice:
    """Return of `ranked` those that are not fully covered.

    Fewer than `replicates` scores in a cell of any of `models`.

    With `any_model` an essay counts as covered once one model has scored it. A shortfall of refused replies alone is
    not missing unless `retry_unscored`.
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
    return MissingChoice(
        ranked=tuple(ranked),
        missing=tuple(missing),
        needs_decision=tuple(needs_decision),
        covered=tuple(covered),
    )
