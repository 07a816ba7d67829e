"""The statistics of the cohorts shown last. A large cohort's take seconds, and change only when a score changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Condition
from typing import TYPE_CHECKING

from cachetools import LRUCache, cached

from essay_cohorts.domain import ScoreRow
from essay_cohorts.settings import Settings
from essay_cohorts.statistics.mixed import find_mixed_figures_of_rows
from essay_cohorts.store.gens_data_layer import GensDataLayer
from essay_cohorts.views.essays.essay_titles import essay_groups
from essay_cohorts.views.scores_with_people import people_rows
from essay_cohorts.views.snapshot import CohortSnapshot
from essay_cohorts_airflow.pages import shown_cohorts

if TYPE_CHECKING:
    from essay_cohorts.statistics.all_statistics import ScoreStatistics
    from essay_cohorts.statistics.groups import GroupStatistics
    from essay_cohorts.statistics.human_agreement import HumanComparison

_KEPT_COHORTS = 4


def _hash_of_scores(rows: Sequence[ScoreRow]) -> int:
    return hash(tuple((row.member.gen_id, row.member.cell, row.score, row.provenance) for row in rows))


def read_of(settings: Settings, snapshot: CohortSnapshot) -> tuple[str, str, str, int]:
    """Return the key of what was read at the moment of a snapshot."""
    return str(settings.data_root), snapshot.cohort_id, snapshot.seen_at, snapshot.with_score


@cached(LRUCache(maxsize=_KEPT_COHORTS), key=read_of, condition=Condition())
def groups_of(settings: Settings, snapshot: CohortSnapshot) -> Mapping[str, str]:
    """Return essay id -> group for the essays of a snapshot that have one, read once for each snapshot."""
    store = GensDataLayer.from_root(settings.data_root)
    return essay_groups(store, (row.member.parent_gen_id for row in snapshot.rows))


@cached(LRUCache(maxsize=_KEPT_COHORTS), key=read_of, condition=Condition())
def people_of(settings: Settings, snapshot: CohortSnapshot) -> Sequence[ScoreRow]:
    """Return the scores that people have given to a snapshot's essays, read once for each snapshot."""
    store = GensDataLayer.from_root(settings.data_root)
    by_essay = shown_cohorts.evaluations.by_essay(store, {row.member.parent_gen_id for row in snapshot.rows})
    templates = {row.member.template_id for row in snapshot.rows}
    evaluations = {
        gen_id: cell for found in by_essay.values() for gen_id, cell in found.items() if cell.template_id in templates
    }
    return people_rows(store, evaluations)


@cached(
    LRUCache(maxsize=_KEPT_COHORTS),
    key=lambda rows, groups: (_hash_of_scores(rows), hash(frozenset(groups.items()))),
    condition=Condition(),
)
def group_statistics_of(rows: Sequence[ScoreRow], groups: Mapping[str, str]) -> GroupStatistics | None:
    """Return the means and differences of groups, kept as `statistics_of_rows` keeps its own; None without groups."""
    if not groups:
        return None
    from essay_cohorts.statistics.frame import cohort_frame
    from essay_cohorts.statistics.groups import group_statistics

    return group_statistics(cohort_frame(rows), groups)


@cached(LRUCache(maxsize=_KEPT_COHORTS), key=_hash_of_scores, condition=Condition())
def agreement_with_people(rows: Sequence[ScoreRow]) -> tuple[HumanComparison, ...]:
    """Return how far judges, and raters among themselves, agree; kept as `statistics_of_rows` keeps its own."""
    from essay_cohorts.statistics.human_agreement import human_agreement

    found = human_agreement(rows)
    return tuple(each for each in (*found.judges, *found.raters) if not each.criterion)


@cached(LRUCache(maxsize=_KEPT_COHORTS), key=_hash_of_scores, condition=Condition())
def statistics_of_rows(rows: Sequence[ScoreRow]) -> ScoreStatistics:
    """Return the statistics of a cohort's rows, computed again only when a row or a score has changed.

    When two requests ask for the same rows at once, one computes and the other waits for the result.
    """
    # These load pandas and scipy, which only the pages Scores and Compare need.
    from essay_cohorts.statistics.all_statistics import statistics_of
    from essay_cohorts.statistics.frame import cohort_frame

    return statistics_of(cohort_frame(rows), find_mixed_figures_of_rows(rows))
