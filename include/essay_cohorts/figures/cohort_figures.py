"""Every figure of a cohort by its name, for the pages and the report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from essay_cohorts.domain import ScoreRow, person_or_judge
from essay_cohorts.figures.agreement_matrix import agreement_matrix
from essay_cohorts.figures.distribution import distribution_figure
from essay_cohorts.figures.figure import Figure
from essay_cohorts.figures.judge_scores import summarise_judges
from essay_cohorts.figures.means import means_by_group, means_by_judge, means_by_template
from essay_cohorts.figures.ranking import ranking_figure, shown_essays
from essay_cohorts.figures.scatter import scatter_figure
from essay_cohorts.rubric import Scale
from essay_cohorts.statistics.agreement import pair_alphas
from essay_cohorts.statistics.all_statistics import ScoreStatistics
from essay_cohorts.statistics.differences import SideBySide, judges_side_by_side, templates_side_by_side
from essay_cohorts.statistics.frame import cohort_frame
from essay_cohorts.statistics.groups import GroupStatistics

# Returns essay id -> title for the essays that a figure names.
Titles = Callable[[Iterable[str]], Mapping[str, str]]


class FigureName(StrEnum):
    """The figures of a cohort, by the last part of their addresses."""

    MEANS_BY_JUDGE = "means-by-judge"
    MEANS_BY_TEMPLATE = "means-by-template"
    MEANS_BY_GROUP = "means-by-group"
    DISTRIBUTION = "distribution"
    SCATTER = "scatter"
    AGREEMENT = "agreement"
    RANKING = "ranking"


@dataclass(frozen=True, kw_only=True, slots=True)
class CohortScores:
    """What the figures of a cohort are drawn from.

    `rows` are the judges' evaluations, `people` those of raters for the same essays. `statistics` and `groups` are
    those of `rows`. `criterion` names the criterion whose scores they are, "" for the overall score. `source` says
    where the scores come from, for printed figures.
    """

    rows: Sequence[ScoreRow]
    statistics: ScoreStatistics
    groups: GroupStatistics | None
    people: Sequence[ScoreRow]
    titles: Titles
    criterion: str = ""
    source: str = ""

    def of_template(self, template_id: str) -> list[ScoreRow]:
        """Return the judges' rows under one template."""
        return [row for row in self.rows if row.member.template_id == template_id]


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """What a figure is about: a template; and for a scatter two sides, which are templates if `template_id` is ""."""

    template_id: str = ""
    first: str = ""
    second: str = ""


def draw(name: FigureName, scores: CohortScores, chosen: Chosen) -> Figure | None:
    """Return a figure; None if the cohort has no scores for it."""
    figure, criterion = _draw(name, scores, chosen), scores.criterion
    if figure is None:
        return None
    return replace(
        figure,
        name=f"{figure.name}-{criterion}" if criterion else figure.name,
        title=f"{figure.title}: {criterion}" if criterion else figure.title,
        source=scores.source,
    )


def _draw(name: FigureName, scores: CohortScores, chosen: Chosen) -> Figure | None:
    statistics = scores.statistics
    scales = {row.member.template_id: row.scale for row in scores.rows}
    if name is FigureName.MEANS_BY_JUDGE:
        return means_by_judge(statistics.means, scales)
    if name is FigureName.MEANS_BY_TEMPLATE:
        return means_by_template(statistics.means, scales)
    if name is FigureName.MEANS_BY_GROUP:
        return means_by_group(scores.groups.means if scores.groups else (), scales)
    if name is FigureName.RANKING:
        return _ranking(scores, chosen.template_id, scales)
    if name is FigureName.SCATTER:
        sides = side_by_side(scores, chosen)
        first, second = person_or_judge(sides.first), person_or_judge(sides.second)
        return scatter_figure(replace(sides, first=first, second=second))
    rows = scores.of_template(chosen.template_id)
    if name is FigureName.DISTRIBUTION:
        return distribution_figure(summarise_judges(rows))
    return agreement_matrix(chosen.template_id, pair_alphas(cohort_frame(rows)))


def side_by_side(scores: CohortScores, chosen: Chosen) -> SideBySide:
    """Return two judges under the chosen template, of which either may be a person; or two templates."""
    if not chosen.template_id:
        return templates_side_by_side(chosen.first, chosen.second, cohort_frame(scores.rows))
    sides = {chosen.first, chosen.second}
    rows = scores.of_template(chosen.template_id)
    judged = [row for row in rows if row.member.llm_model_id in sides]
    # A person's score on another scale than the judges' does not count, as in the agreement with people.
    scale = next((row.scale for row in rows), None)
    rated = [
        row
        for row in scores.people
        if row.member.llm_model_id in sides
        and row.member.template_id == chosen.template_id
        and scale in (None, row.scale)
    ]
    return judges_side_by_side(chosen.first, chosen.second, cohort_frame([*judged, *rated]))


def _ranking(scores: CohortScores, template_id: str, scales: Mapping[str, Scale]) -> Figure | None:
    ranking = [each for each in scores.statistics.ranking if each.template_id == template_id]
    if not ranking:
        return None
    return ranking_figure(ranking, scores.titles(shown_essays(ranking)), scales[template_id])
