"""The page that shows what a run would do now, and offers to start it.

The page itself writes and starts nothing: its script asks Airflow's API for the run, with the viewer's rights.
"""

from __future__ import annotations

import json
from threading import Lock
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from essay_cohorts.catalog.catalog import Catalog
from essay_cohorts.errors import BadInput, CohortError, Problem
from essay_cohorts.ledger.ledger import left_below_caps
from essay_cohorts.planning.preview import PlanPreview, preview_plan
from essay_cohorts.settings import Settings, read_settings
from essay_cohorts.store.cohort_folder import CohortFolder
from essay_cohorts.store.gens_data_layer import GensDataLayer
from essay_cohorts.views.essays.essay_titles import essay_titles
from essay_cohorts_airflow.pages import DAG_ID, forms
from essay_cohorts_airflow.pages.forms import checked_id
from essay_cohorts_airflow.pages.plan import choices
from essay_cohorts_airflow.pages.plan.run_offer import offer_run
from essay_cohorts_airflow.pages.rendering import render

# The titles of so many chosen essays are read; the ids of all are in the form.
TITLES_SHOWN = 100

router = APIRouter()
router.include_router(choices.router)
# Only one plan is made at a time, because a plan reads the store and renders every prompt.
_planning = Lock()


@router.get("/plan")
def plan(request: Request, cohort: str = "") -> Response:
    """Show what a run would do now: a dry run that writes nothing."""
    settings, query = read_settings(), request.query_params
    conf, preview, problems = forms.plan_conf(query), None, []
    try:
        if cohort and not query.get("show"):
            manifest = CohortFolder(root=settings.data_root, cohort_id=checked_id(cohort)).manifest()
            conf = forms.conf_of_cohort(cohort, manifest)
        if cohort or query.get("show"):
            preview = _preview(settings, conf)
    except CohortError as error:
        problems = str(error).splitlines()
    catalog = Catalog(root=settings.data_root)
    return render(
        request,
        "plan",
        dag_id=DAG_ID,
        conf=conf,
        conf_json=json.dumps(conf, indent=2),
        command=forms.trigger_command(DAG_ID, conf),
        preview=preview,
        caps=list(left_below_caps(settings)),
        offer=offer_run(conf, preview) if preview else None,
        problems=problems,
        templates=choices.template_choices(catalog),
        judges=choices.judge_choices(catalog),
        titles=essay_titles(GensDataLayer.from_root(settings.data_root), conf.get("essay_ids", [])[:TITLES_SHOWN]),
    )


def _preview(settings: Settings, conf: dict[str, Any]) -> PlanPreview:
    """Make the plan; BadInput while another plan is being made, because waiting would hold a thread of Airflow's."""
    if not _planning.acquire(blocking=False):
        finding = "another plan is being made right now."
        raise BadInput([Problem(place="plan", finding=finding, next_step="Show it again in a moment.")])
    try:
        return preview_plan(settings, conf)
    finally:
        _planning.release()
