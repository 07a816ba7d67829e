"""The statistics cache of the pages: computed again when a score changes, and once for concurrent requests."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from time import sleep

import pandas as pd
import pytest

from essay_cohorts.statistics import all_statistics
from essay_cohorts.statistics.all_statistics import ScoreStatistics, statistics_of
from essay_cohorts.statistics.mixed import MixedFigures
from essay_cohorts_airflow.pages.scores.statistics_cache import statistics_of_rows
from tests.score_rows import score_rows


def test_statistics_are_computed_again_when_a_score_changes() -> None:
    """Equal rows get the cached statistics, and a changed score gets new statistics."""
    rows = score_rows({("e1", "t", "a"): [5.0, 6.0], ("e2", "t", "a"): [None]})
    first = statistics_of_rows(rows)
    assert statistics_of_rows(list(rows)) is first
    changed = statistics_of_rows([replace(rows[0], score=9.0), *rows[1:]])
    assert (first.means[0].mean.value, changed.means[0].mean.value) == (5.5, 7.5)


def test_concurrent_requests_compute_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """When two requests ask for the same rows at once, one computes and the other waits for the result."""
    computed: list[int] = []

    def slow(frame: pd.DataFrame, mixed: MixedFigures) -> ScoreStatistics:
        computed.append(len(frame))
        sleep(0.3)
        return statistics_of(frame)

    monkeypatch.setattr(all_statistics, "statistics_of", slow)
    rows = score_rows({("e1", "t", "asked for at once"): [5.0, 6.0]})
    with ThreadPoolExecutor(2) as threads:
        requests = [threads.submit(statistics_of_rows, rows) for _ in range(2)]
        first, second = (request.result() for request in requests)
    assert computed == [2]
    assert first is second
