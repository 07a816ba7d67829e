"""The statistics that the pages keep: rebuilt when a score changes, and once however many ask for them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from time import sleep

import pandas as pd
import pytest

from essay_cohorts.statistics import all_statistics
from essay_cohorts.statistics.all_statistics import ScoreStatistics, statistics_of
from essay_cohorts.statistics.mixed import Mixed
from essay_cohorts_airflow.pages.kept_statistics import statistics_of_rows
from tests.score_rows import score_rows


def test_statistics_are_made_anew_when_a_score_changes() -> None:
    """The same rows have the same statistics at hand; one other score gives others."""
    rows = score_rows({("e1", "t", "a"): [5.0, 6.0], ("e2", "t", "a"): [None]})
    first = statistics_of_rows(rows)
    assert statistics_of_rows(list(rows)) is first
    changed = statistics_of_rows([replace(rows[0], score=9.0), *rows[1:]])
    assert (first.means[0].mean.value, changed.means[0].mean.value) == (5.5, 7.5)


def test_who_asks_at_once_gets_what_one_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two who ask for the same rows while neither has them, one computes and the other waits for it."""
    computed: list[int] = []

    def slow(frame: pd.DataFrame, mixed: Mixed) -> ScoreStatistics:
        computed.append(len(frame))
        sleep(0.3)
        return statistics_of(frame)

    monkeypatch.setattr(all_statistics, "statistics_of", slow)
    rows = score_rows({("e1", "t", "asked for at once"): [5.0, 6.0]})
    with ThreadPoolExecutor(2) as people:
        first, second = (asked.result() for asked in [people.submit(statistics_of_rows, rows) for _ in range(2)])
    assert computed == [2]
    assert first is second
