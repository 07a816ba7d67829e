"""Scores to draw: three judges of two templates, drawn at random with a fixed seed, and two raters."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest

from essay_cohorts.domain import ScoreRow
from essay_cohorts.figures.cohort_figures import CohortScores
from essay_cohorts.statistics.all_statistics import statistics_of
from essay_cohorts.statistics.frame import cohort_frame
from essay_cohorts.statistics.groups import group_statistics
from tests.score_rows import score_rows

JUDGES, TEMPLATES = ("judge-a", "judge-b", "judge-c"), ("novelty", "coherence")


def random_rows(essays: int, models: Iterable[str] = JUDGES, seed: int = 1) -> list[ScoreRow]:
    """Return two replicates in each cell; judge-c has scored only a third of the essays."""
    source = random.Random(seed)  # noqa: S311 (not for secrets)
    names = list(models)
    cells = {}
    for essay in range(essays):
        quality = source.gauss(5.5, 1.5)
        for template in TEMPLATES:
            for place, model in enumerate(names):
                drawn = [min(9.0, max(0.0, round(quality + place * 0.6 + source.gauss(0, 1)))) for _ in range(2)]
                few = model == "judge-c" and essay % 3
                cells[f"e_{essay:03d}", template, model] = [None if few else score for score in drawn]
    return score_rows(cells)


def cohort_scores(rows: list[ScoreRow], people: Iterable[ScoreRow] = ()) -> CohortScores:
    """Return what the figures of these rows are drawn from; even essays are of group x, odd ones of group y."""
    frame = cohort_frame(rows)
    groups = {row.member.parent_gen_id: "xy"[int(row.member.parent_gen_id[2:]) % 2] for row in rows}
    return CohortScores(
        rows=rows,
        statistics=statistics_of(frame),
        groups=group_statistics(frame, groups),
        people=list(people),
        titles=lambda essays: {essay: f"Title of {essay}" for essay in essays},
    )


@pytest.fixture(scope="session")
def scores() -> CohortScores:
    """Return the scores of 48 essays, of which two people have rated each."""
    people = [row for row in random_rows(48, ("human-ann", "human-ben"), seed=2) if row.score is not None]
    return cohort_scores(random_rows(48), people)
