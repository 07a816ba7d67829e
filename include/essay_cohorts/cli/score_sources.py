"""The sources of the scores for statistics: a cohort, or the whole store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from essay_cohorts.selecting.aggregated_scores import AGGREGATED, read_aggregated
from essay_cohorts.settings import Settings
from essay_cohorts.statistics.frame import cohort_frame, store_frame
from essay_cohorts.statistics.mixed import MixedFigures, find_mixed_figures
from essay_cohorts.store.catalog import Catalog
from essay_cohorts.views.snapshot import read_snapshot


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreTable:
    """A table of scores (see statistics.frame), and which figures mix scores of several prompts or settings."""

    frame: pd.DataFrame
    mixed: MixedFigures


def read_scores(settings: Settings, cohort_id: str | None, scores: Path | None = None) -> ScoreTable:
    """Return the cohort's current scores; without a cohort, the scores of a file (default: aggregated_scores.csv).

    BadInput when the cohort or the file does not exist or is damaged.
    """
    if cohort_id is not None:
        snapshot = read_snapshot(settings, cohort_id)
        return ScoreTable(frame=cohort_frame(snapshot.rows), mixed=snapshot.mixed)
    root = settings.data_root
    allowed = Catalog(root=root).offline_replies_allowed()
    rows = read_aggregated(scores or root / AGGREGATED, made_up_counts=allowed)
    return ScoreTable(
        frame=store_frame((row.cell, row.score) for row in rows),
        mixed=find_mixed_figures((row.cell, row.provenance) for row in rows if row.score is not None),
    )
