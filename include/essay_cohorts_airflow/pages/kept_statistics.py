"""The statistics of the cohorts last looked at: those of a large one take seconds, and change with a score only."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Condition
from typing import TYPE_CHECKING

from cachetools import LRUCache, cached

from essay_cohorts.domain import ScoreRow
from essay_cohorts.statistics.mixed import mixed_in_rows

if TYPE_CHECKING:
    from essay_cohorts.statistics.all_statistics import ScoreStatistics

_KEPT = 4


def _scores(rows: Sequence[ScoreRow]) -> int:
    return hash(tuple((row.member.gen_id, row.member.cell, row.score, row.made) for row in rows))


@cached(LRUCache(maxsize=_KEPT), key=_scores, condition=Condition())
def statistics_of_rows(rows: Sequence[ScoreRow]) -> ScoreStatistics:
    """The statistics of a cohort's rows, kept until a row or a score is another; of two who ask at once one waits."""
    # They load pandas and scipy, which no page but Scores and Compare needs.
    from essay_cohorts.statistics.all_statistics import statistics_of
    from essay_cohorts.statistics.frame import cohort_frame

    return statistics_of(cohort_frame(rows), mixed_in_rows(rows))
