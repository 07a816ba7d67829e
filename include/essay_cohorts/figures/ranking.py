"""The figure of a ranking: essays in the order of their means, with the noise of replicates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from essay_cohorts.amounts import counted
from essay_cohorts.figures.dot_whisker import DotWhiskers, Panel, Row
from essay_cohorts.figures.figure import Figure
from essay_cohorts.rubric import Scale
from essay_cohorts.statistics.spread import RankedEssay

# More rows cannot be read on one sheet of paper.
MOST_ROWS = 40


def ranking_figure(ranking: Sequence[RankedEssay], titles: Mapping[str, str], scale: Scale) -> Figure | None:
    """Return the essays of one template's ranking, or its top and its end if it is long; None if it is empty.

    `ranking` is the whole ranking, best essay first. `titles` needs the titles of `shown_essays(ranking)` only.
    """
    if not ranking:
        return None
    template_id, top, end = ranking[0].template_id, *_shown(ranking)
    names, judges = _names([*top, *end], titles), max(each.judges for each in ranking)
    panels = [
        Panel(title="", rows=_rows(part, names), scale=scale, axis=f"mean score ({scale})")
        for part in (top, end)
        if part
    ]
    which = f"The first {len(top)} and the last {len(end)} of {len(ranking):,} essays. " if end else ""
    plot = DotWhiskers(panels=panels)
    noise = (
        " Whiskers show the noise of replicates: where the mean would be with unlimited replicates."
        if any(each.mean.low is not None for each in (*top, *end))
        else ""
    )
    caption = f"{which}{plot.legend} A mean is that of the judges' means.{noise}"
    return Figure(
        name=f"ranking-{template_id}",
        title=f"Ranking of essays under {template_id}",
        note=f"n = {counted(len(ranking), 'essay')}, up to {counted(judges, 'judge')} each",
        caption=caption,
        plot=plot,
    )


def shown_essays(ranking: Sequence[RankedEssay]) -> list[str]:
    """Return the ids of the essays that the figure of a ranking shows."""
    return [each.essay_id for part in _shown(ranking) for each in part]


def _shown(ranking: Sequence[RankedEssay]) -> tuple[Sequence[RankedEssay], Sequence[RankedEssay]]:
    if len(ranking) <= MOST_ROWS:
        return ranking, ()
    return ranking[: MOST_ROWS // 2], ranking[-MOST_ROWS // 2 :]


def _names(essays: Sequence[RankedEssay], titles: Mapping[str, str]) -> dict[str, str]:
    """Return essay id -> rank and title; the id is added where two essays have the same title."""
    named = {each.essay_id: f"{each.rank}. {titles.get(each.essay_id) or each.essay_id}" for each in essays}
    often = Counter(named.values())
    return {essay_id: name if often[name] == 1 else f"{name} ({essay_id})" for essay_id, name in named.items()}


def _rows(essays: Sequence[RankedEssay], names: Mapping[str, str]) -> list[Row]:
    return [Row(name=names[each.essay_id], estimate=each.mean) for each in essays]
