"""The lists of essays, of the data root and of a cohort, and the page of one essay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.datastructures import QueryParams

from essay_cohorts.domain import is_id
from essay_cohorts.ledger.ledger import Ledger
from essay_cohorts.settings import read_settings
from essay_cohorts.store.gens_data_layer import GensDataLayer
from essay_cohorts.views.essays.essay_page import read_essay
from essay_cohorts.views.essays.essay_scores import sum_up_essays
from essay_cohorts.views.essays.essay_table import (
    EssayQuery,
    EssayRow,
    EssaySort,
    essay_table,
    rows_of_cohort,
    rows_of_root,
)
from essay_cohorts_airflow.pages import forms, shown_cohorts
from essay_cohorts_airflow.pages.forms import checked_id
from essay_cohorts_airflow.pages.rendering import render

router = APIRouter()


@router.get("/essays")
def essays(request: Request) -> Response:
    """Show all essays of the data root."""
    listed = shown_cohorts.essays.get(read_settings().data_root)
    return _list(request, rows_of_root(listed.values()), snapshot=None)


@router.get("/c/{cohort_id}/essays")
def essays_of_cohort(request: Request, cohort_id: str) -> Response:
    """Show the essays of a cohort with their means and disagreements."""
    settings = read_settings()
    snapshot = shown_cohorts.snapshots.get(settings, checked_id(cohort_id))
    template = request.query_params.get("template", "")
    cells = [each for each in snapshot.cells if template in ("", each.cell.template_id)]
    rows = rows_of_cohort(shown_cohorts.essays.get(settings.data_root), sum_up_essays(cells or snapshot.cells))
    templates = forms.distinct(each.cell.template_id for each in snapshot.cells)
    return _list(request, rows, snapshot=snapshot, templates=templates, template=template if cells else "")


@router.get("/essay/{essay_id}")
def essay(request: Request, essay_id: str, cohort: str = "", template: str = "") -> Response:
    """Show an essay's text and, beside it, everybody's replies and scores; those under `template` first."""
    settings = read_settings()
    store = GensDataLayer.from_root(settings.data_root)
    found = shown_cohorts.evaluations.by_essay(store, {essay_id}).get(essay_id, {})
    page = read_essay(store, essay_id, found, Ledger.for_reading(settings).holders())
    templates = sorted(page.templates, key=lambda each: each.template_id != template)
    return render(request, "essay", page=page, templates=templates, cohort_id=cohort if is_id(cohort) else "")


def _list(request: Request, rows: Sequence[EssayRow], **values: Any) -> Response:
    query = _query(request.query_params)
    return render(request, "essays", table=essay_table(rows, query), query=query, Sort=EssaySort, **values)


def _query(query: QueryParams) -> EssayQuery:
    sort = query.get("sort", "")
    return EssayQuery(
        text=query.get("text", "")[:200],
        group=query.get("group", ""),
        sort=EssaySort(sort) if sort in list(EssaySort) else EssaySort.TITLE,
        descending=query.get("order") == "desc",
        page=forms.page_number(query),
    )
