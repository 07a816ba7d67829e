"""report.html of a cohort: one self-contained page, everything in it escaped, nothing fetched from anywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from essay_cohorts.amounts import figure
from essay_cohorts.backfill.summaries import BINS, CellSummary, Totals, summarise_cells, summarise_judges
from essay_cohorts.domain import ScoreRow
from essay_cohorts.statistics.mixed import MARK, mixed_in_rows
from essay_cohorts.views.account import CohortAccount, spent_in_words

_LISTED = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportInputs:
    """What the report shows; `titles` gives each essay's first line, `replicates` what a cell should hold.

    `banner` stands above all else.
    """

    cohort_id: str
    written_at: str
    replicates: int
    totals: Totals
    rows: tuple[ScoreRow, ...]
    titles: Mapping[str, str]
    account: CohortAccount
    banner: str = ""


def render_report(inputs: ReportInputs) -> str:
    """Return the report's HTML."""
    judges = summarise_judges(inputs.rows)
    unhappy = [row for row in inputs.rows if row.score is None]
    return _template().render(
        inputs=inputs,
        judges=judges,
        tallest=max((count for judge in judges for count in judge.bins), default=0) or 1,
        bins=range(BINS),
        columns=[(judge.template_id, judge.model_id) for judge in judges],
        matrix=_matrix(summarise_cells(inputs.rows)),
        mixed=mixed_in_rows(inputs.rows),
        mark=MARK,
        unhappy=unhappy[:_LISTED],
        unlisted=max(0, len(unhappy) - _LISTED),
    )


def _matrix(cells: Sequence[CellSummary]) -> dict[str, dict[tuple[str, str], CellSummary]]:
    """Essay id -> (template id, model id) -> cell, in the order of the cells."""
    matrix: dict[str, dict[tuple[str, str], CellSummary]] = {}
    for summary in cells:
        essay_id, template_id, model_id = summary.cell
        matrix.setdefault(essay_id, {})[template_id, model_id] = summary
    return matrix


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("essay_cohorts.backfill"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = figure
    environment.filters["spent"] = spent_in_words
    return environment.get_template("report.html.j2")
