"""Finds figures that mix scores of different provenance: several prompts in one cell, or several settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from essay_cohorts.domain import Cell, ScoreRow
from essay_cohorts.provenance import Provenance

# The mark that is shown next to such a figure.
MARK = "≠"

# The essay, template and model of a figure; None stands for all of them.
Figure = tuple[str | None, str, str | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Mixed:
    """What each figure mixes, in words. Provenance that was not recorded is ignored."""

    figures: Mapping[Figure, str] = field(default_factory=dict)

    def words(self, template_id: str, model_id: str | None = None, essay_id: str | None = None) -> str:
        """Return what a figure mixes, "" if nothing. None stands for all models or all essays."""
        return self.figures.get((essay_id, template_id, model_id), "")

    def cell(self, cell: Cell) -> str:
        """Return what the figures of one cell mix, "" if nothing."""
        return self.words(cell.template_id, cell.model_id, cell.essay_id)

    def judges(self) -> list[dict[str, str]]:
        """Return each template and model whose figures mix something, with what they mix."""
        return [
            {"template_id": template, "model_id": model, "mixes": words}
            for (essay, template, model), words in self.figures.items()
            if essay is None and model is not None
        ]


NOTHING_MIXED = Mixed()


@dataclass(kw_only=True, slots=True)
class _Sources:
    """The sources of a figure's scores: the number of cells with several prompts, and each model's settings."""

    cells: int = 0
    settings: dict[str, set[str]] = field(default_factory=dict)

    def words(self, *, one_cell: bool) -> str:
        most = max((len(known - {""}) for known in self.settings.values()), default=0)
        prompts = "several prompts" + ("" if one_cell else f" in {self.cells} cell{'s' if self.cells > 1 else ''}")
        return ", ".join(([prompts] if self.cells else []) + ([f"{most} settings"] if most > 1 else []))


def mixed_in(scored: Iterable[tuple[Cell, Provenance]]) -> Mixed:
    """Return what the figures of evaluations with a score mix."""
    first: dict[Cell, Provenance] = {}
    several: dict[Cell, set[Provenance]] = {}
    judged: dict[tuple[str, str, str], None] = {}
    # Nearly all of 100,000 evaluations have the provenance of their cell, so only the others are collected one by
    # one.
    for cell, made in scored:
        known = first.setdefault(cell, made)
        if known != made:
            several.setdefault(cell, {known}).add(made)
        judged[cell.template_id, cell.model_id, made.settings] = None
    figures: dict[Figure, _Sources] = {}
    for template, model, settings in judged:
        for pooled in ((None, template, model), (None, template, None)):
            figures.setdefault(pooled, _Sources()).settings.setdefault(model, set()).add(settings)
    for cell, provenances in several.items():
        essay, template, model = cell
        prompts = {made.prompt_sha256 for made in provenances} - {""}
        for figure in (cell, (essay, template, None), (None, template, model), (None, template, None)):
            sources = figures.setdefault(figure, _Sources())
            sources.cells += len(prompts) > 1
            sources.settings.setdefault(model, set()).update(made.settings for made in provenances)
    in_words = ((figure, sources.words(one_cell=None not in figure)) for figure, sources in figures.items())
    return Mixed(figures={figure: words for figure, words in in_words if words})


def mixed_in_rows(rows: Iterable[ScoreRow]) -> Mixed:
    """Return what the figures of a cohort mix."""
    return mixed_in((row.member.cell, row.made) for row in rows if row.score is not None)
