"""Where the scores for statistics come from: a cohort, or the whole store."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from include.cohorts.aggregated_scores import AGGREGATED, read_aggregated
from include.cohorts.cohort_snapshot import read_snapshot
from include.cohorts.score_frame import cohort_frame, store_frame
from include.cohorts.settings import Settings


def read_scores(settings: Settings, cohort_id: str | None, scores: Path | None = None) -> pd.DataFrame:
    """The cohort's scores as the store has them now; without one, those of a file (default: aggregated_scores.csv).

    BadInput when there is no such cohort or file, or when it is damaged.
    """
    if cohort_id is not None:
        return cohort_frame(read_snapshot(settings, cohort_id).rows)
    return store_frame((row.cell, row.score) for row in read_aggregated(scores or settings.data_root / AGGREGATED))
