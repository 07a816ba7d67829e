"""Renders report.html of a cohort: one self-contained page that escapes all texts and loads no other file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from essay_cohorts.amounts import figure, with_minus_sign
from essay_cohorts.backfill.report.report_figures import ReportFigure
from essay_cohorts.backfill.summaries import CellSummary, Totals, summarise_cells
from essay_cohorts.domain import ScoreRow
from essay_cohorts.figures.cohort_figures import FigureName
from essay_cohorts.figures.judge_scores import JudgeSummary, summarise_judges
from essay_cohorts.rubric import DEFAULT_SCALE
from essay_cohorts.statistics.all_statistics import ScoreStatistics
from essay_cohorts.statistics.mixed import MARK, find_mixed_figures_of_rows
from essay_cohorts.views.account import CohortAccount, spent_in_words

_MAX_LISTED = 500
_MAX_RANKED = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportInputs:
    """The content of the report.

    `titles` maps an essay id to the essay's first line. `replicates` is how many evaluations each cell should hold.
    `banner` is shown at the top of the page. `statistics` is None if the cohort is too large for them. `methods` is
    the paragraph on how the figures were computed.
    """

    cohort_id: str
    written_at: str
    replicates: int
    totals: Totals
    rows: tuple[ScoreRow, ...]
    titles: Mapping[str, str]
    account: CohortAccount
    banner: str = ""
    statistics: ScoreStatistics | None = None
    figures: tuple[ReportFigure, ...] = ()
    methods: str = ""


def render_report(inputs: ReportInputs) -> str:
    """Return the HTML of the report."""
    judges = summarise_judges(inputs.rows)
    without_score = [row for row in inputs.rows if row.score is None]
    return _template().render(
        inputs=inputs,
        statistics=inputs.statistics,
        figures={kind.name: [each for each in inputs.figures if each.kind is kind] for kind in FigureName},
        judges={(judge.template_id, judge.model_id): judge for judge in judges},
        most_ranked=_MAX_RANKED,
        scales=scales_in_words(judges),
        columns=[(judge.template_id, judge.model_id) for judge in judges],
        matrix=_matrix(summarise_cells(inputs.rows)),
        mixed=find_mixed_figures_of_rows(inputs.rows),
        mark=MARK,
        without_score=without_score[:_MAX_LISTED],
        unlisted=max(0, len(without_score) - _MAX_LISTED),
    )


def scales_in_words(judges: Sequence[JudgeSummary]) -> str:
    """Return the scale of the scores, or the scale of each template if they differ."""
    scales = {judge.template_id: str(judge.scale) for judge in judges}
    if len(set(scales.values())) < 2:
        return next(iter(scales.values()), str(DEFAULT_SCALE))
    return ", ".join(f"{scale} ({template_id})" for template_id, scale in scales.items())


def _matrix(cells: Sequence[CellSummary]) -> dict[str, dict[tuple[str, str], CellSummary]]:
    """Return essay id -> (template id, model id) -> cell, in the order of the cells."""
    matrix: dict[str, dict[tuple[str, str], CellSummary]] = {}
    for summary in cells:
        essay_id, template_id, model_id = summary.cell
        matrix.setdefault(essay_id, {})[template_id, model_id] = summary
    return matrix


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("essay_cohorts.backfill.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = figure
    environment.filters["signed"] = lambda value: with_minus_sign(figure(value, signed=True))
    environment.filters["spent"] = spent_in_words
    return environment.get_template("report.html.j2")
