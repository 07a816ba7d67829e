"""The page of a cohort's scores, and the downloads of its scores."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from essay_cohorts.domain import person_or_judge, rater_of
from essay_cohorts.settings import read_settings
from essay_cohorts.store.criteria_csv import criteria_text
from essay_cohorts.store.scores_csv import pivot_text, score_values, scores_text
from essay_cohorts.views.coverage import paginate, summarise_cells
from essay_cohorts.views.essays.essay_scores import sum_up_essays
from essay_cohorts_airflow.pages import forms, shown_cohorts
from essay_cohorts_airflow.pages.forms import checked_id, distinct
from essay_cohorts_airflow.pages.rendering import render
from essay_cohorts_airflow.pages.scores import figures
from essay_cohorts_airflow.pages.scores.statistics_cache import agreement_with_people

if TYPE_CHECKING:
    from essay_cohorts.figures.cohort_figures import CohortScores

ESSAYS_A_PAGE = 50

router = APIRouter()


@router.get("/c/{cohort_id}/scores")
def scores(request: Request, cohort_id: str) -> Response:
    """Show means, groups, distributions, agreement and one template's ranking, with figures and intervals."""
    # These load pandas and scipy, which only this page and the comparisons need.
    from essay_cohorts.figures.cohort_figures import Chosen, FigureName
    from essay_cohorts.figures.judge_scores import summarise_judges
    from essay_cohorts.statistics.all_statistics import method_in_words
    from essay_cohorts.statistics.spread import widest_pairs

    query = request.query_params
    shown = figures.read_scores(cohort_id, query)
    found = shown.scores
    judges, statistics = summarise_judges(found.rows), found.statistics
    templates = distinct(judge.template_id for judge in judges)
    template = query.get("template", "") if query.get("template") in templates else "".join(templates[:1])
    chosen = Chosen(template_id=template)
    return render(
        request,
        "scores",
        snapshot=shown.snapshot,
        criterion=shown.criterion,
        judges={(judge.template_id, judge.model_id): judge for judge in judges},
        statistics=statistics,
        groups=found.groups,
        widest=widest_pairs(statistics.pairs),
        person=person_or_judge,
        notes=shown.notes(query),
        figures={name.name: shown.figure(name, chosen) for name in FigureName if name is not FigureName.SCATTER},
        spreads={(each.template_id, each.model_id): each for each in statistics.replicates},
        method=method_in_words(),
        templates=templates,
        template=template,
        **_with_people(found, query.get("rater", "")),
        **_ranking_page(found, template, forms.page_number(query)),
    )


def _with_people(found: CohortScores, asked: str) -> dict[str, Any]:
    """Return the agreement of the judges with the person who was asked for, or with all people."""
    raters = sorted({rater_of(row.member.llm_model_id) for row in found.people})
    rater = asked if asked in raters else ""
    people = [row for row in found.people if rater in ("", rater_of(row.member.llm_model_id))]
    return {
        "with_people": agreement_with_people([*found.rows, *people]) if people else (),
        "raters": raters,
        "rater": rater,
        "people_in_words": rater or (raters[0] if len(raters) == 1 else "people"),
    }


def _ranking_page(found: CohortScores, template_id: str, number: int) -> dict[str, Any]:
    """Return a page of a template's ranking with the titles of its essays."""
    of_template = [each for each in found.statistics.ranking if each.template_id == template_id]
    page, pages, shown = paginate(of_template, ESSAYS_A_PAGE, number)
    ranks = Counter(each.rank for each in of_template)
    essays = {each.essay_id for each in shown}
    rows = [row for row in found.of_template(template_id) if row.member.parent_gen_id in essays]
    return {
        "ranking": shown,
        "apart": {essay: scores.disagreement for essay, scores in sum_up_essays(summarise_cells(rows)).items()},
        "tied": {rank for rank, essays in ranks.items() if essays > 1},
        "titles": found.titles(each.essay_id for each in shown),
        "page": page,
        "pages": pages,
    }


@router.get("/c/{cohort_id}/scores.csv")
def scores_csv(cohort_id: str) -> Response:
    """Download the current scores, in the form of scores.csv."""
    rows = shown_cohorts.snapshots.get(read_settings(), checked_id(cohort_id)).rows
    return _download(scores_text(rows), "text/csv", f"{cohort_id}-scores.csv")


@router.get("/c/{cohort_id}/score_pivot.csv")
def score_pivot_csv(cohort_id: str) -> Response:
    """Download the current scores as a table of essays by template and model."""
    from essay_cohorts.statistics.frame import cohort_frame
    from essay_cohorts.statistics.pivot import pivot_scores

    pivot = pivot_scores(cohort_frame(shown_cohorts.snapshots.get(read_settings(), checked_id(cohort_id)).rows))
    return _download(pivot_text(pivot.columns, pivot.rows), "text/csv", f"{cohort_id}-score-pivot.csv")


@router.get("/c/{cohort_id}/scores.jsonl")
def scores_jsonl(cohort_id: str) -> Response:
    """Download the current scores, one JSON object per line."""
    rows = shown_cohorts.snapshots.get(read_settings(), checked_id(cohort_id)).rows
    lines = (json.dumps(score_values(row)) for row in rows)
    return _download("".join(f"{line}\n" for line in lines), "application/x-ndjson", f"{cohort_id}-scores.jsonl")


@router.get("/c/{cohort_id}/criteria.csv")
def criteria_csv(cohort_id: str) -> Response:
    """Download the current scores of the criteria, in the form of criteria.csv."""
    rows = shown_cohorts.snapshots.get(read_settings(), checked_id(cohort_id)).rows
    return _download(criteria_text(rows), "text/csv", f"{cohort_id}-criteria.csv")


def _download(text: str, media_type: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(text, media_type=f"{media_type}; charset=utf-8", headers=headers)
