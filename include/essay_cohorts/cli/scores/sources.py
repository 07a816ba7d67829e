"""The sources of the scores for statistics: a cohort, or the whole store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from essay_cohorts.catalog.catalog import Catalog
from essay_cohorts.domain import is_human
from essay_cohorts.errors import BadInput, Problem, choose_from
from essay_cohorts.rubric import criterion_key
from essay_cohorts.selecting.aggregated_scores import AGGREGATED, read_aggregated
from essay_cohorts.settings import Settings
from essay_cohorts.statistics.frame import cohort_frame, rows_of_criterion, store_frame
from essay_cohorts.statistics.mixed import MixedFigures, find_mixed_figures
from essay_cohorts.views.snapshot import read_snapshot


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreTable:
    """A table of scores (see statistics.frame), and which figures mix scores of several prompts or settings."""

    frame: pd.DataFrame
    mixed: MixedFigures


def read_scores(
    settings: Settings,
    cohort_id: str | None,
    scores: Path | None = None,
    criterion: str | None = None,
    *,
    with_people: bool = False,
) -> ScoreTable:
    """Return the cohort's current scores; without a cohort, the scores of a file (default: aggregated_scores.csv).

    With `criterion` the scores of this criterion instead of the overall scores. A file has people's scores too, which
    are left out unless `with_people`, because no mean or agreement of judges may contain them. BadInput when the
    cohort or the file does not exist or is damaged, or when the cohort has no such criterion.
    """
    if cohort_id is not None:
        snapshot = read_snapshot(settings, cohort_id)
        if criterion is None:
            return ScoreTable(frame=cohort_frame(snapshot.rows), mixed=snapshot.mixed)
        if criterion_key(criterion) not in map(criterion_key, snapshot.criteria):
            finding = f'the templates of {cohort_id} have no criterion "{criterion}".'
            next_step = choose_from(criterion, snapshot.criteria)
            raise BadInput([Problem(place="--criterion", finding=finding, next_step=next_step)])
        return ScoreTable(frame=cohort_frame(rows_of_criterion(snapshot.rows, criterion)), mixed=snapshot.mixed)
    root = settings.data_root
    allowed = Catalog(root=root).offline_replies_allowed()
    rows = read_aggregated(scores or root / AGGREGATED, made_up_counts=allowed)
    rows = tuple(row for row in rows if with_people or not is_human(row.cell.model_id))
    return ScoreTable(
        frame=store_frame((row.cell, row.score, row.scale) for row in rows),
        mixed=find_mixed_figures((row.cell, row.provenance, row.scale) for row in rows if row.score is not None),
    )
