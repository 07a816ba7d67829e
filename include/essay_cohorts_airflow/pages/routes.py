"""One function per page: it reads the request, asks `essay_cohorts` and renders. No page writes anything."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from operator import attrgetter
from threading import Condition

from cachetools import LRUCache, cached
from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import FileResponse, RedirectResponse, Response

from essay_cohorts.domain import Cell, Outcome, RunRef, ScoreRow, is_id
from essay_cohorts.errors import BadInput, CohortError, Problem
from essay_cohorts.ledger.ledger import Ledger
from essay_cohorts.settings import Settings, read_settings
from essay_cohorts.store.cohort_folder import CohortFolder, cohort_ids
from essay_cohorts.store.gens_data_layer import GensDataLayer
from essay_cohorts.views.cohort_list import CohortEntry, cohort_of_run, list_cohorts
from essay_cohorts.views.comparison import compare
from essay_cohorts.views.coverage import CellCoverage, columns_of, paginate, summarise_cells
from essay_cohorts.views.essays.essay_titles import essay_titles
from essay_cohorts.views.evaluation_history import read_evaluation
from essay_cohorts.views.former_prompts import cells_of_former_prompts, made_up_cells
from essay_cohorts.views.matrix import Colour, Sort, heat, heat_legend, matrix, template_means
from essay_cohorts.views.snapshot import CohortSnapshot
from essay_cohorts.views.status import evaluations_of
from essay_cohorts_airflow.pages import DAG_ID, forms, progress_panel, shown_cohorts, spend_page
from essay_cohorts_airflow.pages.essays import essays_page
from essay_cohorts_airflow.pages.essays.prose import is_prose, prose_with_mark
from essay_cohorts_airflow.pages.forms import checked_id, distinct
from essay_cohorts_airflow.pages.links import MEDIA_TYPES, STATIC_FOLDER, Links
from essay_cohorts_airflow.pages.plan import plan_page
from essay_cohorts_airflow.pages.rendering import as_bar, render
from essay_cohorts_airflow.pages.scores import differences_page, figures, scores_page

COHORTS_A_PAGE = ESSAYS_A_PAGE = DIFFERENCES_SHOWN = 50
_YEAR_S = 365 * 24 * 3600

log = logging.getLogger(__name__)
router = APIRouter()

# The page of a cohort says that the cohort is being read if that takes longer, in s.
_PATIENCE_S = 1.5
for page in (differences_page, essays_page, figures, plan_page, progress_panel, scores_page, spend_page):
    router.include_router(page.router)


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
    snapshot = shown_cohorts.snapshots.get_within(settings, checked_id(cohort_id), _PATIENCE_S)
    if snapshot is None:
        return render(request, "reading", cohort_id=cohort_id)
    query, store = forms.matrix_query(request.query_params), GensDataLayer.from_root(settings.data_root)
    criterion = request.query_params.get("criterion", "")
    cells = _cells_of_criterion(snapshot, criterion) if criterion in snapshot.criteria else snapshot.cells
    essays, columns = (each.cell.essay_id for each in cells), columns_of(cells)
    titles = essay_titles(store, essays) if query.text.strip() else {}
    page = matrix(cells, query, titles)
    shown = {row.essay_id for row in page.rows}
    rows = [row for row in snapshot.rows if row.member.parent_gen_id in shown]
    return render(
        request,
        "cohort",
        **progress_panel.shown_values(settings, snapshot),
        query=query,
        criterion=criterion if cells is not snapshot.cells else "",
        fields=forms.matrix_fields(query) | {"criterion": criterion if cells is not snapshot.cells else None},
        matrix=page,
        template_means=template_means(cells) if query.colour is Colour.SCORE else {},
        legend=heat_legend({each.scale for each in cells}) if query.colour is Colour.SCORE else (),
        former=cells_of_former_prompts(settings.data_root, rows),
        made_up=made_up_cells(rows),
        titles=titles or essay_titles(store, (row.essay_id for row in page.rows)),
        templates=distinct(template for template, _ in columns),
        models=distinct(model for _, model in columns),
        Sort=Sort,
        Colour=Colour,
        heat=heat,
    )


def _cells_of_criterion(snapshot: CohortSnapshot, criterion: str) -> Sequence[CellCoverage]:
    from essay_cohorts.statistics.frame import rows_of_criterion

    rows = rows_of_criterion(snapshot.rows, criterion)
    # The reply has a score but not this one, and no run can add it.
    stated = [replace(row, outcome=Outcome.UNSCORED) if _lacks_score(row) else row for row in rows]
    return summarise_cells(stated, snapshot.replied)


def _lacks_score(row: ScoreRow) -> bool:
    return row.score is None and row.outcome in (Outcome.SCORED, Outcome.REUSED)


@router.get("/c/{cohort_id}/cell")
def cell(request: Request, cohort_id: str, essay: str = "", template: str = "", model: str = "") -> Response:
    """Show the replicates of one cell."""
    settings = read_settings()
    snapshot = shown_cohorts.snapshots.get(settings, checked_id(cohort_id))
    wanted = Cell(essay, template, model)
    rows = sorted((row for row in snapshot.rows if row.member.cell == wanted), key=lambda row: row.member.replicate)
    if not rows:
        finding = f"cohort {cohort_id} has no cell of essay {essay!r}, template {template!r}, model {model!r}."
        raise BadInput([Problem(place="cell", finding=finding, next_step="Choose one in the cohort's matrix.")])
    store = GensDataLayer.from_root(settings.data_root)
    callers = Ledger.for_reading(settings).holders()
    stored = [row for row in rows if not store.is_empty(row.member.stage, row.member.gen_id)]
    return render(
        request,
        "cell",
        snapshot=snapshot,
        cell=wanted,
        coverage=next(each for each in snapshot.cells if each.cell == wanted),
        mixes=snapshot.mixed.cell(wanted),
        title=essay_titles(store, [essay])[essay],
        rows=[(row, read_evaluation(store, row.member.gen_id, callers)) for row in stored],
        deleted=[row for row in rows if row not in stored],
    )


@router.get("/run/{dag_id}/{run_id}")
def run(request: Request, dag_id: str, run_id: str) -> Response:
    """Redirect to the cohort of a run; Airflow's pages about runs and tasks link here, also those of other DAGs."""
    cohort_id = cohort_of_run(read_settings().data_root, RunRef(DAG_ID, run_id)) if dag_id == DAG_ID else None
    if cohort_id is not None:
        return RedirectResponse(Links(request.scope.get("root_path", "")).page("c", cohort_id))
    why = f"Only runs of the DAG {DAG_ID} have a cohort, and this is a run of {dag_id}."
    if dag_id == DAG_ID:
        why = f"The run {run_id} has no cohort here: it has not planned yet, its plan failed, it was a dry run, its "
        why += "cohort was deleted, or it belongs to another data root. The log of its task plan_cohort says which."
    return render(request, "problem", status_code=404, title="No cohort", lines=[why])


@router.get("/evaluation/{gen_id}")
def evaluation(request: Request, gen_id: str, cohort: str = "") -> Response:
    """Show one evaluation: prompt, reply, score, metadata, history; of a person's, the rater and the remarks."""
    settings = read_settings()
    store = GensDataLayer.from_root(settings.data_root)
    record = read_evaluation(store, gen_id, Ledger.for_reading(settings).holders())
    cohort_id = cohort if is_id(cohort) else record.home_cohort_id
    essay_id = record.cell.essay_id if record.cell else ""
    before, after = _neighbours(gen_id, _order(settings, store, essay_id, cohort_id, gen_id))
    shows_prose = record.reply is not None and is_prose(record.reply)
    return render(
        request,
        "evaluation",
        record=record,
        cohort_id=cohort_id,
        title=essay_titles(store, [essay_id])[essay_id],
        before=before,
        after=after,
        reply_prose=prose_with_mark(record.reply_lines, record.deciding_line) if shows_prose else None,
    )


def _order(settings: Settings, store: GensDataLayer, essay_id: str, cohort_id: str, gen_id: str) -> list[str]:
    """Return the evaluations among which a page leads on: the cohort's, or else all of the essay."""
    if cohort_id in cohort_ids(settings.data_root):
        # Only the membership is read: a damaged cohort must not hide a sound evaluation.
        folder = CohortFolder(root=settings.data_root, cohort_id=cohort_id)
        with suppress(CohortError):
            members = _members(settings, cohort_id, folder.membership_stamp())
            if gen_id in members:
                return members
    return list(shown_cohorts.evaluations.by_essay(store, {essay_id}).get(essay_id, {}))


@cached(LRUCache(maxsize=4), key=lambda settings, *key: (settings.data_root, *key), condition=Condition())
def _members(settings: Settings, cohort_id: str, _stamp: object) -> list[str]:
    """Return the ids of a cohort's evaluations, read once for each version of its membership."""
    return [member.gen_id for member in evaluations_of(settings, cohort_id)]


def _neighbours(gen_id: str, order: Sequence[str]) -> tuple[str, str]:
    """Return the ids before and after this id; "" where there is none."""
    if gen_id not in order:
        return "", ""
    place = order.index(gen_id)
    return order[place - 1] if place else "", order[place + 1] if place + 1 < len(order) else ""


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
