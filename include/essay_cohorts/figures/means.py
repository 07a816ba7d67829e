"""Figures of mean scores: by judge, by template, and by group of essays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from essay_cohorts.amounts import counted
from essay_cohorts.figures.dot_whisker import DotWhiskers, Panel, Row
from essay_cohorts.figures.figure import Figure
from essay_cohorts.rubric import DEFAULT_SCALE, Scale
from essay_cohorts.statistics.groups import GroupMean
from essay_cohorts.statistics.means import ScoreMean

ALL_JUDGES = "all judges"
_EQUAL_WEIGHT = "Each essay and each judge has the same weight."


def means_by_judge(means: Iterable[ScoreMean], scales: Mapping[str, Scale]) -> Figure | None:
    """Return each judge's mean with one panel for each template; None if no evaluation has a score."""
    rows: dict[str, list[Row]] = {}
    known = [each for each in means if each.mean.value is not None]
    for each in known:
        row = Row(name=each.model_id or ALL_JUDGES, estimate=each.mean, strong=each.model_id is None)
        rows.setdefault(each.template_id, []).append(row)
    panels = [_panel(template_id, _without_lone_total(found), scales) for template_id, found in rows.items()]
    judges = {each.model_id for each in known} - {None}
    return _figure(
        "means-by-judge",
        "Mean score by judge",
        panels,
        f"{_most_essays(panels)}, {counted(len(judges), 'judge')}",
    )


def means_by_template(means: Iterable[ScoreMean], scales: Mapping[str, Scale]) -> Figure | None:
    """Return each template's mean by all its judges; None for fewer than two templates with scores.

    Templates on different scales have panels of their own, because their means cannot be compared.
    """
    known = [each for each in means if each.model_id is None and each.mean.value is not None]
    if len(known) < 2:
        return None
    rows: dict[Scale, list[Row]] = {}
    for each in known:
        scale = scales.get(each.template_id, DEFAULT_SCALE)
        rows.setdefault(scale, []).append(Row(name=each.template_id, estimate=each.mean))
    panels = [Panel(title="", rows=found, scale=scale, axis=_axis(scale)) for scale, found in rows.items()]
    return _figure("means-by-template", "Mean score by template", panels, _most_essays(panels))


def means_by_group(means: Iterable[GroupMean], scales: Mapping[str, Scale]) -> Figure | None:
    """Return the mean of each group of essays with one panel for each template; None without groups."""
    rows: dict[str, list[Row]] = {}
    for each in means:
        if each.mean.value is not None:
            name = f"{each.group} ({each.mean.essays})"
            rows.setdefault(each.template_id, []).append(Row(name=name, estimate=each.mean))
    panels = [_panel(template_id, found, scales) for template_id, found in rows.items()]
    essays = max((sum(row.estimate.essays for row in panel.rows) for panel in panels), default=0)
    return _figure("means-by-group", "Mean score by group of essays", panels, f"n = {counted(essays, 'essay')}")


def _panel(template_id: str, rows: Sequence[Row], scales: Mapping[str, Scale]) -> Panel:
    scale = scales.get(template_id, DEFAULT_SCALE)
    return Panel(title=template_id, rows=rows, scale=scale, axis=_axis(scale))


def _without_lone_total(rows: Sequence[Row]) -> Sequence[Row]:
    """Leave out the mean of all judges where there is only one judge."""
    return rows if len(rows) != 2 else [row for row in rows if not row.strong]


def _axis(scale: Scale) -> str:
    return f"mean score ({scale})"


def _most_essays(panels: Iterable[Panel]) -> str:
    counts = {row.estimate.essays for panel in panels for row in panel.rows}
    if len(counts) < 2:
        return f"n = {counted(max(counts, default=0), 'essay')}"
    return f"n = {min(counts):,} to {max(counts):,} essays"


def _figure(name: str, title: str, panels: Sequence[Panel], note: str) -> Figure | None:
    if not panels:
        return None
    plot = DotWhiskers(panels=panels)
    return Figure(name=name, title=title, note=note, caption=f"{plot.legend} {_EQUAL_WEIGHT}", plot=plot)
