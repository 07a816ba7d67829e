"""Decide what a scheduled backfill judges, without reading or changing selection files of people."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from essay_cohorts.amounts import counted
from essay_cohorts.errors import raise_if_any
from essay_cohorts.planning.selection_file import parse_selection
from essay_cohorts.selecting.ranking_table import choice_text
from essay_cohorts.selecting.scheduled_request import ScheduledRequest, parse_scheduled_request
from essay_cohorts.selecting.selection_writer import Ranking, conf_models, missing_essays
from essay_cohorts.settings import Settings
from essay_cohorts.store.cohort_folder import CohortFolder
from essay_cohorts.store.gens_data_layer import GensDataLayer
from essay_cohorts.views.essays.essay_titles import essay_titles

log = logging.getLogger(__name__)


def select_missing(settings: Settings, conf: Mapping[str, Any], moment: datetime) -> dict[str, Any]:
    """Return the conf for a run of `evaluation_backfill`, {} when nothing is missing; BadInput as `missing_essays`.

    When the cohort of this moment has a selection.txt, its selection is kept, because the run was cleared and a part
    of the selection may be judged already.
    """
    request = parse_scheduled_request(conf)
    raise_if_any(request.problems)
    cohort_id = request.value.cohort_id(moment)
    essay_ids = _selected_before(settings.data_root, cohort_id) or _missing(settings.data_root, request.value)
    if not essay_ids:
        log.info("Nothing is missing, so nothing is triggered and nothing is called.")
        return {}
    log.info("Cohort %s: %s, template %s", cohort_id, counted(len(essay_ids), "essay"), request.value.target_template)
    models = conf_models(settings.data_root, request.value.average_models or ())
    return {**request.value.conf(cohort_id, essay_ids), **models}


def _selected_before(root: Path, cohort_id: str) -> list[str]:
    text = CohortFolder(root=root, cohort_id=cohort_id).selection()
    if text is None:
        return []
    selection = parse_selection(text, f"cohorts/{cohort_id}/selection.txt")
    raise_if_any(selection.problems)
    log.info("Cohort %s has a selection.txt already, so its selection is kept.", cohort_id)
    return [selected.gen_id for selected in selection.value.ids]


def _missing(root: Path, request: ScheduledRequest) -> list[str]:
    choice = missing_essays(
        root,
        Ranking(template_id=request.baseline_template, models=request.average_models or ()),
        target=request.target_template,
        top_n=request.top_n,
        any_model=request.any_model,
        retry_unscored=request.retry_unscored,
    )
    shown = [essay.essay_id for essay, _ in (*choice.missing, *choice.needs_decision)]
    titles = essay_titles(GensDataLayer.from_root(root), shown)
    log.info("%s", choice_text(choice, request.target_template, titles))
    return [essay.essay_id for essay, _ in choice.missing]
