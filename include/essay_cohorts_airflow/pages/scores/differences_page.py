"""The page that sets two judges, a judge and a person, or two templates of a cohort side by side, essay by essay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.datastructures import QueryParams

from essay_cohorts.domain import ScoreRow, person_or_judge
from essay_cohorts.views.coverage import paginate
from essay_cohorts_airflow.pages import forms
from essay_cohorts_airflow.pages.forms import distinct
from essay_cohorts_airflow.pages.rendering import render
from essay_cohorts_airflow.pages.scores import figures

if TYPE_CHECKING:
    from essay_cohorts.figures.cohort_figures import Chosen
    from essay_cohorts.statistics.differences import EssayPair

ESSAYS_A_PAGE = 50

router = APIRouter()

_ORDERS: dict[str, Callable[[EssayPair], float]] = {
    "size": lambda each: -abs(each.difference),
    "losses": lambda each: each.difference,
    "gains": lambda each: -each.difference,
}


@router.get("/c/{cohort_id}/differences")
def differences(request: Request, cohort_id: str) -> Response:
    """Show the mean difference of two sides, a scatter, and each essay's difference; the largest first."""
    from essay_cohorts.figures.cohort_figures import FigureName, side_by_side
    from essay_cohorts.statistics.all_statistics import method_in_words

    query = request.query_params
    read = figures.read_scores(cohort_id, query)
    found = read.scores
    templates = distinct(row.member.template_id for row in found.rows)
    judges = distinct(row.member.llm_model_id for row in [*found.rows, *found.people])
    by_template = query.get("by") == "template" and len(templates) > 1
    chosen = _chosen(query, templates, judges, by_template=by_template)
    sides = side_by_side(found, chosen)
    order = query.get("order", "")
    order = order if order in _ORDERS else "size"
    essays = sorted(sides.essays, key=_ORDERS[order])
    page, pages, shown = paginate(essays, ESSAYS_A_PAGE, forms.page_number(query))
    return render(
        request,
        "differences",
        snapshot=read.snapshot,
        criterion=read.criterion,
        by_template=by_template,
        templates=templates,
        judges=judges,
        chosen=chosen,
        sides=sides,
        figure=read.figure(FigureName.SCATTER, chosen),
        mixed=found.statistics.mixed,
        method=method_in_words(),
        order=order,
        essays=shown,
        titles=found.titles(each.essay_id for each in shown),
        page=page,
        pages=pages,
        person=person_or_judge,
        without_score=_without_score([*found.rows, *found.people], chosen),
        notes=[*read.notes(query), *_notes(query, chosen)],
    )


def _chosen(query: QueryParams, templates: Sequence[str], judges: Sequence[str], *, by_template: bool) -> Chosen:
    """Return what to compare; the first two templates or judges unless the request names others."""
    from essay_cohorts.figures.cohort_figures import Chosen

    known = templates if by_template else judges
    first = query.get("first", "") if query.get("first") in known else "".join(known[:1])
    others = [each for each in known if each != first]
    second = query.get("second", "") if query.get("second") in others else "".join(others[:1])
    template = query.get("template", "") if query.get("template") in templates else "".join(templates[:1])
    return Chosen(template_id="" if by_template else template, first=first, second=second)


def _notes(query: QueryParams, chosen: Chosen) -> list[str]:
    """Return what is shown instead of a side that was asked for."""
    asked = [(query.get(name, ""), shown) for name, shown in (("first", chosen.first), ("second", chosen.second))]
    if asked[0][0] and asked[0][0] == asked[1][0]:
        first, second = person_or_judge(chosen.first), person_or_judge(chosen.second)
        return [f"Two different sides are needed: {first} and {second} are shown."]
    asked = [(person_or_judge(name), person_or_judge(shown)) for name, shown in asked]
    return [f"{name} has no score here: {shown} is shown." for name, shown in asked if name and name != shown]


def _without_score(rows: Sequence[ScoreRow], chosen: Chosen) -> list[str]:
    """Return for each judge or person without a score under the chosen template where their scores are."""
    said = []
    for side in filter(None, (chosen.first, chosen.second)) if chosen.template_id else ():
        scored = {row.member.template_id for row in rows if row.member.llm_model_id == side and row.score is not None}
        if scored and chosen.template_id not in scored:
            said.append(f"{person_or_judge(side)} has scores only under {', '.join(sorted(scored))}")
    return said
