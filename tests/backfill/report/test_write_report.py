"""The step that writes report.html: what it writes of a green run, a red run, a dry run, and a large cohort."""

from __future__ import annotations

import pytest

from essay_cohorts.backfill.report import write_report as step
from tests.conftest import PlayedDag
from tests.judge_server import JudgeServer
from tests.store_builder import StoreBuilder

REPORT = "cohorts/c/report.html"
CONF = {"cohort_id": "c", "essay_ids": ["e_essay1", "e_essay2", "e_essay3"], "replicates": 2}


@pytest.fixture
def essays(store: StoreBuilder) -> StoreBuilder:
    """Store three essays."""
    for number in (1, 2, 3):
        store.essay(number)
    return store


def test_a_run_has_figures_statistics_and_methods(essays: StoreBuilder, dag: PlayedDag) -> None:
    """The report has the figures of the cohort, tables with intervals, and the methods."""
    dag.run(CONF)
    html = essays.read(REPORT)
    for title in ("Mean score by judge", "Mean score by template", "Distribution of scores under novelty"):
        assert f"<strong>{title}</strong>" in html
    assert "Agreement of judges under coherence" in html
    assert "Ranking of essays under novelty" in html
    assert "3 essays were judged by 2 LLM judges under 2 templates" in html
    assert html.count('<img src="data:image/svg+xml;base64,') == 8


def test_a_red_run_has_a_report(essays: StoreBuilder, dag: PlayedDag, judge_server: JudgeServer) -> None:
    """The report of an incomplete run lists what is missing and why, with the statistics of the rest."""
    judge_server.faults({"fault": "status", "status": 422, "contains": "Essay number 3"})
    run = dag.run(CONF)
    assert not run.summary.complete
    html = essays.read(REPORT)
    assert html.count("<td>failed</td>") == 8
    assert "of which 16 gave a score" in html


def test_a_dry_run_has_no_report(essays: StoreBuilder, dag: PlayedDag) -> None:
    """A dry run writes nothing."""
    planned = dag.plan({**CONF, "dry_run": True})
    before = essays.tree_hash()
    step.write_report(dag.settings, planned, planned.run)
    assert essays.tree_hash() == before


def test_a_large_cohort_has_no_statistics(
    essays: StoreBuilder, dag: PlayedDag, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the limit the report says where the statistics are, and still has the coverage."""
    monkeypatch.setattr(step, "MOST_EVALUATIONS", 23)
    dag.run(CONF)
    html = essays.read(REPORT)
    assert "This cohort is too large for statistics in this report." in html
    assert "<img" not in html
    assert html.count("● 2/2") == 12
    monkeypatch.setattr(step, "MOST_EVALUATIONS", 24)
    dag.run(CONF, run_id="run-2")
    assert "<img" in essays.read(REPORT)


def test_groups_of_essays_are_in_the_report(essays: StoreBuilder, dag: PlayedDag) -> None:
    """Essays that were imported with a group have a figure of the groups' means."""
    for number, group in enumerate(("people", "models", "people"), start=1):
        path = f"gens/essay/e_essay{number}/metadata.json"
        essays.write(path, essays.read(path).replace("{", f'{{"group": "{group}", ', 1))
    dag.run(CONF)
    assert "<strong>Mean score by group of essays</strong>" in essays.read(REPORT)
