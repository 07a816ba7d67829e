"""One function per page: it reads the request, asks `essay_cohorts` and renders. No page writes anything."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import FileResponse, Response

from essay_cohorts.domain import Cell, is_id
from essay_cohorts.errors import BadInput, CohortError, Problem
from essay_cohorts.settings import Settings, read_settings
from essay_cohorts.store.gens_data_layer import GensDataLayer
from essay_cohorts.views.cohort_list import CohortEntry, list_cohorts
from essay_cohorts.views.comparison import compare
from essay_cohorts.views.coverage import Sort, columns_of, matrix, paginate
from essay_cohorts.views.essay_titles import essay_titles
from essay_cohorts.views.evaluation_history import read_evaluation
from essay_cohorts.views.snapshot import CohortSnapshot
from essay_cohorts_airflow.pages import forms, plan_page, progress_panel, scores_page, shown_cohorts
from essay_cohorts_airflow.pages.forms import checked_id, distinct
from essay_cohorts_airflow.pages.links import MEDIA_TYPES, STATIC_FOLDER
from essay_cohorts_airflow.pages.rendering import as_bar, render

COHORTS_A_PAGE = ESSAYS_A_PAGE = DIFFERENCES_SHOWN = 50
_YEAR_S = 365 * 24 * 3600

log = logging.getLogger(__name__)
router = APIRouter()
router.include_router(plan_page.router)
router.include_router(progress_panel.router)
router.include_router(scores_page.router)


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedCohort:
    """A row of the list: the cohort's manifest entry, and its snapshot or why the store cannot be read."""

    entry: CohortEntry
    snapshot: CohortSnapshot | None
    problem: str = ""


_SORTS: dict[str, Callable[[CohortSnapshot], float]] = {
    "members": lambda snapshot: len(snapshot.rows),
    "score": lambda snapshot: snapshot.with_score,
    "missing": lambda snapshot: snapshot.missing,
    "cost": lambda snapshot: snapshot.spending.settled_usd,
}


@router.get("/")
def cohorts(request: Request) -> Response:
    """Show the list of cohorts; reads the snapshots of the shown cohorts only, unless the list is sorted by them."""
    settings, query = read_settings(), request.query_params
    text, sort, descending = query.get("text", "")[:100], query.get("sort", "created"), query.get("order") != "asc"
    entries: Sequence[CohortEntry] = list_cohorts(settings.data_root, text)
    if sort in _SORTS:
        values = {entry: _sort_value(_listed(settings, entry), _SORTS[sort]) for entry in entries}
        entries = sorted(entries, key=values.__getitem__, reverse=descending)
    else:
        field = attrgetter("cohort_id" if sort == "name" else "created_at")
        entries = sorted(entries, key=field, reverse=descending)
    page, pages, shown = paginate(entries, COHORTS_A_PAGE, forms.page_number(query))
    return render(
        request,
        "cohorts",
        cohorts=[_listed(settings, entry) for entry in shown],
        found=len(entries),
        text=text,
        sort=sort,
        descending=descending,
        page=page,
        pages=pages,
        as_bar=as_bar,
    )


@router.get("/c/{cohort_id}")
def cohort(request: Request, cohort_id: str) -> Response:
    """Show a cohort's totals and its coverage matrix."""
    settings = read_settings()
    snapshot = shown_cohorts.snapshots.get(settings, checked_id(cohort_id))
    query, store = forms.matrix_query(request.query_params), GensDataLayer.from_root(settings.data_root)
    essays, columns = (each.cell.essay_id for each in snapshot.cells), columns_of(snapshot.cells)
    titles = essay_titles(store, essays) if query.text.strip() else {}
    page = matrix(snapshot.cells, query, titles)
    return render(
        request,
        "cohort",
        **progress_panel.shown_values(settings, snapshot),
        query=query,
        fields=forms.matrix_fields(query),
        matrix=page,
        titles=titles or essay_titles(store, (row.essay_id for row in page.rows)),
        templates=distinct(template for template, _ in columns),
        models=distinct(model for _, model in columns),
        Sort=Sort,
    )


@router.get("/c/{cohort_id}/cell")
def cell(request: Request, cohort_id: str, essay: str = "", template: str = "", model: str = "") -> Response:
    """Show the replicates of one cell."""
    settings = read_settings()
    snapshot = shown_cohorts.snapshots.get(settings, checked_id(cohort_id))
    wanted = Cell(essay, template, model)
    rows = [row for row in snapshot.rows if row.member.cell == wanted]
    if not rows:
        finding = f"cohort {cohort_id} has no cell of essay {essay!r}, template {template!r}, model {model!r}."
        raise BadInput([Problem(place="cell", finding=finding, next_step="Choose one in the cohort's matrix.")])
    store = GensDataLayer.from_root(settings.data_root)
    stored = [row for row in rows if not store.is_empty(row.member.stage, row.member.gen_id)]
    return render(
        request,
        "cell",
        snapshot=snapshot,
        cell=wanted,
        coverage=next(each for each in snapshot.cells if each.cell == wanted),
        mixes=snapshot.mixed.cell(wanted),
        title=essay_titles(store, [essay])[essay],
        rows=[(row, read_evaluation(store, row.member.gen_id)) for row in stored],
        deleted=[row for row in rows if row not in stored],
    )


@router.get("/evaluation/{gen_id}")
def evaluation(request: Request, gen_id: str, cohort: str = "") -> Response:
    """Show one evaluation: prompt, reply, score, metadata, history; of a person's, the rater and the remarks."""
    record = read_evaluation(GensDataLayer.from_root(read_settings().data_root), gen_id)
    return render(
        request,
        "evaluation",
        record=record,
        cohort_id=cohort if is_id(cohort) else record.home_cohort_id,
    )


@router.get("/compare")
def comparison(request: Request, first: str = "", second: str = "") -> Response:
    """Show two cohorts side by side, or the form that chooses two."""
    settings = read_settings()
    known = [entry.cohort_id for entry in list_cohorts(settings.data_root)]
    if not (first and second):
        return render(request, "compare", known=known, first=first, second=second, result=None)
    from essay_cohorts.statistics.all_statistics import method_in_words
    from essay_cohorts.statistics.differences import between_cohorts
    from essay_cohorts.statistics.frame import cohort_frame

    here, there = (shown_cohorts.snapshots.get(settings, checked_id(each)) for each in (first, second))
    result = compare(here.rows, there.rows)
    shown = [each.essay_id for each in result.essays[:DIFFERENCES_SHOWN]]
    shown += [each.cell.essay_id for each in result.cells[:DIFFERENCES_SHOWN]]
    titles = essay_titles(GensDataLayer.from_root(settings.data_root), shown)
    return render(
        request,
        "compare",
        known=known,
        first=first,
        second=second,
        result=result,
        differences=between_cohorts(first, second, cohort_frame(here.rows), cohort_frame(there.rows)),
        method=method_in_words(),
        mixed=(here.mixed, there.mixed),
        titles=titles,
        shown=DIFFERENCES_SHOWN,
    )


@router.get("/static/{name}")
def static(name: str) -> Response:
    """Send a style sheet, a script or an icon."""
    if name not in MEDIA_TYPES:
        raise HTTPException(404, f"There is no file {name}.")
    headers = {"Cache-Control": f"private, max-age={_YEAR_S}, immutable"}
    return FileResponse(STATIC_FOLDER / name, media_type=MEDIA_TYPES[name], headers=headers)


@router.get("/{rest:path}")
def unknown(rest: str) -> Response:
    """Answer 404 for any other address, after the login like every page."""
    raise HTTPException(404, f"There is no page {rest!r}.")


def _listed(settings: Settings, entry: CohortEntry) -> ListedCohort:
    try:
        return ListedCohort(entry=entry, snapshot=shown_cohorts.snapshots.get(settings, entry.cohort_id))
    except CohortError as error:
        return ListedCohort(entry=entry, snapshot=None, problem=str(error))
    except Exception:  # an error in one cohort must not hide the others
        log.exception("cohort %s cannot be listed", entry.cohort_id)
        return ListedCohort(
            entry=entry, snapshot=None, problem="This cohort cannot be read; the API server's log says why."
        )


def _sort_value(listed: ListedCohort, value_of: Callable[[CohortSnapshot], float]) -> float:
    """Return what a cohort is sorted by; the caller keeps no snapshot, because all together may be too large."""
    return value_of(listed.snapshot) if listed.snapshot else -1.0
