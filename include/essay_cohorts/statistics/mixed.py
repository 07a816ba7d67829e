"""Finds figures that mix scores of different provenance: several prompts in one cell, several settings or versions.

A version is the name that the server reports for its model. The server's fingerprint does not count as one, because
large providers change it within a day, and a mark on every figure would say nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from essay_cohorts.amounts import counted
from essay_cohorts.domain import Cell, ScoreRow
from essay_cohorts.provenance import Provenance
from essay_cohorts.rubric import Scale

# The mark next to a figure that mixes scores of different provenance.
MARK = "≠"

_VERSIONS = "versions of the model"

# The essay, template and model that a figure is about; None stands for all essays or all models.
Figure = tuple[str | None, str, str | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class MixedFigures:
    """The figures that mix scores of different provenance, each with a text that says what the figure mixes.

    Provenance that was not recorded is ignored.
    """

    figures: Mapping[Figure, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """What the mark may stand for in these figures, for the key of a table."""
        has_versions = any(_VERSIONS in text for text in self.figures.values())
        kinds = "prompts, settings or versions of a model" if has_versions else "prompts or settings"
        return f"mixes scores of several {kinds}"

    def describe(self, template_id: str, model_id: str | None = None, essay_id: str | None = None) -> str:
        """Describe what a figure mixes; "" if it mixes nothing. None stands for all models or all essays."""
        return self.figures.get((essay_id, template_id, model_id), "")

    def cell(self, cell: Cell) -> str:
        """Describe what the figures of one cell mix; "" if they mix nothing."""
        return self.describe(cell.template_id, cell.model_id, cell.essay_id)

    def judges(self) -> list[dict[str, str]]:
        """Return each template and model whose figures mix something, and a description of what they mix."""
        return [
            {"template_id": template, "model_id": model, "mixes": text}
            for (essay, template, model), text in self.figures.items()
            if essay is None and model is not None
        ]


NO_MIXED_FIGURES = MixedFigures()


@dataclass(kw_only=True, slots=True)
class _Sources:
    """The sources of a figure's scores: the number of cells with several prompts, and each model's ways to answer."""

    cells_with_several_prompts: int = 0
    settings: dict[str, set[str]] = field(default_factory=dict)
    versions: dict[str, set[str]] = field(default_factory=dict)
    scales: set[Scale] = field(default_factory=set)

    def add(self, model_id: str, provenance: Provenance) -> None:
        self.settings.setdefault(model_id, set()).add(provenance.settings)
        self.versions.setdefault(model_id, set()).add(provenance.response_model)

    def describe(self, *, one_cell: bool) -> str:
        cells, most, versions = self.cells_with_several_prompts, _most(self.settings), _most(self.versions)
        prompts = "several prompts" + ("" if one_cell else f" in {counted(cells, 'cell')}")
        scales = " and ".join(map(str, sorted(self.scales)))
        parts = {
            prompts: cells,
            f"{most} settings": most > 1,
            f"{versions} {_VERSIONS}": versions > 1,
            f"scores from {scales}, of which one scale counts": len(self.scales) > 1,
        }
        return ", ".join(part for part, applies in parts.items() if applies)


def _most(known: Mapping[str, set[str]]) -> int:
    return max((len(values - {""}) for values in known.values()), default=0)


def find_mixed_figures(scored: Iterable[tuple[Cell, Provenance, Scale]]) -> MixedFigures:
    """Find the mixed figures of some scores. `scored` has the cell, the provenance and the scale of each score."""
    first: dict[Cell, Provenance] = {}
    several: dict[Cell, set[Provenance]] = {}
    judged: dict[tuple[str, str, str, str, Scale], Provenance] = {}
    # In nearly every cell, all scores have the same provenance. Sets are made only for the other cells, because a set
    # for each cell would take too long for 100,000 evaluations.
    for cell, provenance, scale in scored:
        known = first.setdefault(cell, provenance)
        if known != provenance:
            several.setdefault(cell, {known}).add(provenance)
        judged[cell.template_id, cell.model_id, provenance.settings, provenance.response_model, scale] = provenance
    figures: dict[Figure, _Sources] = {}
    for (template, model, *_, scale), provenance in judged.items():
        for over_all_essays in ((None, template, model), (None, template, None)):
            sources = figures.setdefault(over_all_essays, _Sources())
            sources.add(model, provenance)
            sources.scales.add(scale)
    for cell, provenances in several.items():
        essay, template, model = cell
        prompts = {each.prompt_sha256 for each in provenances} - {""}
        for figure in (cell, (essay, template, None), (None, template, model), (None, template, None)):
            sources = figures.setdefault(figure, _Sources())
            sources.cells_with_several_prompts += len(prompts) > 1
            for each in provenances:
                sources.add(model, each)
    described = ((figure, sources.describe(one_cell=None not in figure)) for figure, sources in figures.items())
    return MixedFigures(figures={figure: text for figure, text in described if text})


def find_mixed_figures_by_cell(cells: Mapping[Cell, Iterable[ScoreRow]]) -> MixedFigures:
    """Find the mixed figures of a cohort whose rows are known by cell."""
    scored = ((cell, row) for cell, rows in cells.items() for row in rows if row.score is not None)
    return find_mixed_figures((cell, row.provenance, row.scale) for cell, row in scored)


def find_mixed_figures_of_rows(rows: Iterable[ScoreRow]) -> MixedFigures:
    """Find the mixed figures of a cohort."""
    scored = (row for row in rows if row.score is not None)
    return find_mixed_figures((row.member.cell, row.provenance, row.scale) for row in scored)
