"""Draws the figures of report.html, which carries them in itself as images."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass

from essay_cohorts.figures.cohort_figures import Chosen, CohortScores, FigureName, draw
from essay_cohorts.figures.figure import Figure, Width
from essay_cohorts.figures.rendering import size_of, to_svg

# Statistics and figures of more evaluations would hold up the end of a run; the page Scores has them.
MOST_EVALUATIONS = 20_000

_OVER_ALL = (FigureName.MEANS_BY_JUDGE, FigureName.MEANS_BY_TEMPLATE, FigureName.MEANS_BY_GROUP)
_BY_TEMPLATE = (FigureName.DISTRIBUTION, FigureName.AGREEMENT, FigureName.RANKING)


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportFigure:
    """A figure with its SVG as a data URI, and its size in pixels."""

    kind: FigureName
    figure: Figure
    image: str
    size: tuple[int, int]


def report_figures(scores: CohortScores) -> tuple[ReportFigure, ...]:
    """Return the means, and each template's distribution, agreement and ranking, as far as there are scores."""
    return tuple(_drawn(scores))


def _drawn(scores: CohortScores) -> Iterator[ReportFigure]:
    templates = dict.fromkeys(row.member.template_id for row in scores.rows)
    wanted = [(name, "") for name in _OVER_ALL] + [(name, each) for name in _BY_TEMPLATE for each in templates]
    for name, template_id in wanted:
        figure = draw(name, scores, Chosen(template_id=template_id))
        if figure is not None:
            image = b64encode(to_svg(figure).encode()).decode()
            size = size_of(figure, Width.WIDE)
            yield ReportFigure(kind=name, figure=figure, image=f"data:image/svg+xml;base64,{image}", size=size)
