"""Sums up the cells of each essay: its coverage, its mean, and how far its judges are apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from essay_cohorts.rubric import Scale
from essay_cohorts.views.coverage import CellCoverage


@dataclass(frozen=True, kw_only=True, slots=True)
class Disagreement:
    """How far the judges of an essay are apart under one template: the lowest and highest mean, and who gave them."""

    template_id: str
    lowest: float
    lowest_by: tuple[str, ...]
    highest: float
    highest_by: tuple[str, ...]
    scale: Scale

    @property
    def points(self) -> float:
        """The distance in points."""
        return round(self.highest - self.lowest, 9)

    @property
    def part_of_scale(self) -> float:
        """The distance as a part of the scale, from 0 to 1, by which different scales can be ordered."""
        return self.points / self.scale.span

    @property
    def is_large(self) -> bool:
        """True if the judges are a quarter of the scale apart, or more."""
        return self.part_of_scale >= 0.25


@dataclass(frozen=True, kw_only=True, slots=True)
class EssayScores:
    """An essay's scores: `scored` of its `members` evaluations have one.

    `mean` is the mean of the templates' means, in which each judge counts equally; None without a score or if the
    templates have different scales. `position` is its place on the scale, from 0 to 1, also for different scales.
    `disagreement` is the widest of all templates with two judges or more.
    """

    essay_id: str
    members: int
    scored: int
    mean: float | None
    position: float | None
    disagreement: Disagreement | None


def sum_up_essays(cells: Iterable[CellCoverage]) -> dict[str, EssayScores]:
    """Return essay id -> its scores, in the order of the cells."""
    by_essay: dict[str, list[CellCoverage]] = {}
    for each in cells:
        by_essay.setdefault(each.cell.essay_id, []).append(each)
    return {essay_id: sum_up_essay(essay_id, found) for essay_id, found in by_essay.items()}


def sum_up_essay(essay_id: str, cells: Iterable[CellCoverage]) -> EssayScores:
    """Return the scores of one essay from its cells."""
    found = list(cells)
    by_template: dict[str, list[CellCoverage]] = {}
    for each in found:
        if each.mean is not None:
            by_template.setdefault(each.cell.template_id, []).append(each)
    means = [sum(each.mean or 0.0 for each in judged) / len(judged) for judged in by_template.values()]
    scales = [judged[0].scale for judged in by_template.values()]
    positions = [(mean - scale.low) / scale.span for mean, scale in zip(means, scales, strict=True)]
    all_apart = [
        apart(template_id, {each.cell.model_id: each.mean or 0.0 for each in judged}, judged[0].scale)
        for template_id, judged in by_template.items()
    ]
    return EssayScores(
        essay_id=essay_id,
        members=sum(each.members for each in found),
        scored=sum(each.scored for each in found),
        mean=sum(means) / len(means) if len(set(scales)) == 1 else None,
        position=sum(positions) / len(positions) if positions else None,
        disagreement=max(filter(None, all_apart), key=lambda each: each.part_of_scale, default=None),
    )


def apart(template_id: str, means: Mapping[str, float], scale: Scale) -> Disagreement | None:
    """Return how far judges are apart under one template, from judge -> mean; None for fewer than two judges."""
    if len(means) < 2:
        return None
    # Rounded, because means of the same scores may differ in the last bit of a float.
    rounded = {judge: round(mean, 9) for judge, mean in means.items()}
    lowest, highest = min(rounded.values()), max(rounded.values())
    return Disagreement(
        template_id=template_id,
        lowest=lowest,
        lowest_by=tuple(judge for judge, mean in rounded.items() if mean == lowest),
        highest=highest,
        highest_by=tuple(judge for judge, mean in rounded.items() if mean == highest),
        scale=scale,
    )
