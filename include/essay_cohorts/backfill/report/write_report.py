"""Writes report.html of a cohort: the coverage, the statistics with their figures, and how they were computed."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from essay_cohorts.backfill.report.html_report import ReportInputs, render_report
from essay_cohorts.backfill.report.methods_text import methods_paragraph
from essay_cohorts.backfill.report.report_figures import MOST_EVALUATIONS, report_figures
from essay_cohorts.backfill.summaries import count_totals
from essay_cohorts.backfill.summarise import score_rows
from essay_cohorts.calling.spending import settle_from_store
from essay_cohorts.domain import RunRef, ScoreRow
from essay_cohorts.figures.cohort_figures import CohortScores
from essay_cohorts.files.clock import now
from essay_cohorts.ledger.ledger import Ledger
from essay_cohorts.planning.planned_run import PlannedRun
from essay_cohorts.planning.slice_rows import evaluation_rows
from essay_cohorts.provenance import MADE_UP_BANNER
from essay_cohorts.settings import Settings
from essay_cohorts.statistics.all_statistics import statistics_of
from essay_cohorts.statistics.frame import cohort_frame
from essay_cohorts.statistics.groups import group_statistics
from essay_cohorts.statistics.mixed import find_mixed_figures_of_rows
from essay_cohorts.store.cohort_folder import CohortFolder
from essay_cohorts.store.gens_data_layer import GensDataLayer
from essay_cohorts.views.account import account_of, origins_of
from essay_cohorts.views.essays.essay_titles import essay_groups, essay_titles

log = logging.getLogger(__name__)


def write_report(settings: Settings, planned: PlannedRun, run: RunRef) -> None:
    """Write the report of this run's plan; a dry run has none."""
    if planned.dry_run:
        return
    folder = CohortFolder(root=settings.data_root, cohort_id=planned.cohort_id)
    store, ledger = GensDataLayer.from_root(settings.data_root), Ledger.of(settings)
    settle_from_store(ledger, store, planned.cohort_id)  # the summary may not have done it yet
    rows = score_rows(store, evaluation_rows(settings, planned), planned, ledger.holders())
    spent = ledger.spendings(folder.cohort_id, None, run)
    scores = _scores(store, rows) if len(rows) <= MOST_EVALUATIONS else None
    report = ReportInputs(
        cohort_id=folder.cohort_id,
        written_at=now(),
        replicates=planned.replicates,
        totals=count_totals(rows, planned=planned.planned),
        rows=tuple(rows),
        titles=essay_titles(store, (row.member.parent_gen_id for row in rows)),
        account=account_of(folder.cohort_id, origins_of(rows), *spent),
        banner=MADE_UP_BANNER if store.made_up_counts else "",
        statistics=scores.statistics if scores else None,
        figures=report_figures(scores) if scores else (),
        methods=methods_paragraph(rows, planned.replicates, with_statistics=scores is not None),
    )
    folder.write_report(render_report(report))
    log.info("Report: %s", folder.report_html)


def _scores(store: GensDataLayer, rows: Sequence[ScoreRow]) -> CohortScores:
    frame = cohort_frame(rows)
    groups = essay_groups(store, (row.member.parent_gen_id for row in rows))
    return CohortScores(
        rows=rows,
        statistics=statistics_of(frame, find_mixed_figures_of_rows(rows)),
        groups=group_statistics(frame, groups) if groups else None,
        people=(),
        titles=lambda essays: essay_titles(store, essays),
    )
