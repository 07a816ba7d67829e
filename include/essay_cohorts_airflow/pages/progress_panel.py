"""The upper part of a cohort's page: the totals, and the progress of a run that is under way.

An open page asks for this part every few seconds. The progress is read anew each time, from small files of the run.
The totals are those of the cohort's snapshot, which is read again only now and then.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from essay_cohorts.domain import Outcome
from essay_cohorts.progress.counts import progress_in_words
from essay_cohorts.settings import Settings, read_settings
from essay_cohorts.views.progress import RunProgress, progress_of
from essay_cohorts.views.snapshot import CohortSnapshot
from essay_cohorts_airflow.pages import shown_cohorts
from essay_cohorts_airflow.pages.forms import checked_id
from essay_cohorts_airflow.pages.rendering import as_bar, render

# A screen reader announces the progress when one more of this many equal parts of the calls is done.
_ANNOUNCED_PARTS = 10

router = APIRouter()


@router.get("/c/{cohort_id}/progress")
def progress(request: Request, cohort_id: str, watched: str = "") -> Response:
    """Return the totals of a cohort and the progress of its run as HTML; an open cohort page polls this address.

    `watched` is the run whose progress the page shows; it stays after the run's end, so that nothing below moves.
    """
    settings = read_settings()
    snapshot = shown_cohorts.snapshots.get(settings, checked_id(cohort_id))
    return render(request, "progress", **shown_values(settings, snapshot, watched))


def shown_values(settings: Settings, snapshot: CohortSnapshot, watched: str = "") -> dict[str, Any]:
    """Return the values that the template `progress` shows."""
    run = progress_of(settings, snapshot.cohort_id, watched)
    return {
        "snapshot": snapshot,
        "bar": as_bar(snapshot),
        "counts": _counts(snapshot),
        "run": run,
        "announcement": _announcement(run),
        "milestone": _milestone(run),
    }


def _counts(snapshot: CohortSnapshot) -> dict[str, Any]:
    """Return the counts that a page shows; the page is outdated when one of them differs."""
    return {
        "members": len(snapshot.rows),
        **{outcome.value: snapshot.counts[outcome] for outcome in Outcome},
        "replied": len(snapshot.replied),
        "calls": snapshot.spending.calls,
        "settled_usd": round(snapshot.spending.settled_usd, 6),
        "run_id": snapshot.last_run.run_id if snapshot.last_run else "",
    }


def _announcement(run: RunProgress | None) -> str:
    """Return the sentence that a screen reader says."""
    return f"{run.phase.words} {progress_in_words(run.total, run.seconds_left)}." if run else ""


def _milestone(run: RunProgress | None) -> str:
    """Return a text that changes when there is something new to announce."""
    if run is None:
        return ""
    parts = _ANNOUNCED_PARTS * run.total.done // max(1, run.total.calls)
    return f"{run.phase} {parts}"
