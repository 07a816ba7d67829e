"""The statistics of the cohorts shown last. A large cohort's take seconds, and change only when a score changes."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Condition
from typing import TYPE_CHECKING

from cachetools import LRUCache, cached

from essay_cohorts.domain import ScoreRow
from essay_cohorts.statistics.mixed import find_mixed_figures_of_rows

if TYPE_CHECKING:
    from essay_cohorts.statistics.all_statistics import ScoreStatistics

_KEPT_COHORTS = 4


def _hash_of_scores(rows: Sequence[ScoreRow]) -> int:
    return hash(tuple((row.member.gen_id, row.member.cell, row.score, row.provenance) for row in rows))


@cached(LRUCache(maxsize=_KEPT_COHORTS), key=_hash_of_scores, condition=Condition())
def statistics_of_rows(rows: Sequence[ScoreRow]) -> ScoreStatistics:
    """Return the statistics of a cohort's rows, computed again only when a row or a score has changed.

    When two requests ask for the same rows at once, one computes and the other waits for the result.
    """
    # These load pandas and scipy, which only the pages Scores and Compare need.
    from essay_cohorts.statistics.all_statistics import statistics_of
    from essay_cohorts.statistics.frame import cohort_frame

    return statistics_of(cohort_frame(rows), find_mixed_figures_of_rows(rows))
