"""Writes the sheet that people fill in: essays to rate, without anything that judges said about them.

The filled sheet is a file that `cohorts import scores` reads as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

from essay_cohorts.catalog.catalog import Catalog
from essay_cohorts.catalog.templates import TEMPLATES
from essay_cohorts.domain import Stage
from essay_cohorts.errors import BadInput, Problem, choose_from, raise_if_any
from essay_cohorts.files.csv_text import csv_text, escape_formula
from essay_cohorts.rubric import Rubric
from essay_cohorts.selecting.rater_sample import candidates, choose_for_raters
from essay_cohorts.settings import Settings
from essay_cohorts.store.gens_data_layer import GensDataLayer
from essay_cohorts.views.essays.essay_titles import describe_essay
from essay_cohorts.views.scores_with_people import scores_with_people

COLUMNS = ("essay", "title", "text", "template", "rater", "score", "criterion", "note")


@dataclass(frozen=True, kw_only=True, slots=True)
class RaterSheet:
    """The text of a sheet, the essays in it, how many of them people have rated before, and the rubric to rate by."""

    text: str
    essay_ids: tuple[str, ...]
    rated_before: int
    rubric: Rubric


def rater_sheet(settings: Settings, template_id: str, *, cohort_id: str | None = None, size: int) -> RaterSheet:
    """Return a sheet of at most `size` essays that judges have scored under a template, of a cohort or of the store.

    The sheet has a row for each score to give: the overall score unless the template computes it, and each criterion.
    BadInput if the template does not exist or no judge has scored an essay by it.
    """
    catalog = Catalog(root=settings.data_root)
    templates = catalog.template_rows()
    raise_if_any(templates.problems)
    template = templates.value.get(template_id)
    if template is None:
        finding, next_step = f'"{template_id}" is not in {TEMPLATES}.', choose_from(template_id, templates.value)
        raise BadInput([Problem(place="--template", finding=finding, next_step=next_step)])
    store = GensDataLayer.from_root(settings.data_root)
    rows = scores_with_people(settings, cohort_id, template_id=template_id)
    found = [each for each in candidates(rows, template_id) if store.parsed_text(Stage.ESSAY, each.essay_id)]
    if not found:
        finding = f'no judge has scored an essay by the template "{template_id}".'
        raise BadInput([Problem(place="--template", finding=finding, next_step="Run a cohort with it first.")])
    essay_ids = choose_for_raters(found, size)
    rated = {each.essay_id for each in found if each.raters}
    parts = _parts(template.rubric)
    lines = []
    for essay_id in essay_ids:
        essay = describe_essay(store, essay_id)
        for criterion in parts:
            cells = (essay_id, essay.title, essay.text, template_id, "", "", criterion, "")
            lines.append([escape_formula(cell) for cell in cells])
    return RaterSheet(
        text=csv_text(COLUMNS, lines),
        essay_ids=essay_ids,
        rated_before=len(rated.intersection(essay_ids)),
        rubric=template.rubric,
    )


def _parts(rubric: Rubric) -> tuple[str, ...]:
    """Return what a person rates: "" for the overall score, and the criteria."""
    return rubric.criteria if rubric.overall == "mean" else ("", *rubric.criteria)
