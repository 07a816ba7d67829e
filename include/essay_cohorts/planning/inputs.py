"""Reads and checks the inputs of a run: the conf, the selection, the catalog and the selected essays."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from essay_cohorts import ids
from essay_cohorts.calls import DEFAULT_CONNECTION, JudgeModel
from essay_cohorts.catalog.catalog import Catalog
from essay_cohorts.catalog.models import MODELS
from essay_cohorts.catalog.templates import TEMPLATES
from essay_cohorts.domain import Essay, ParserRef, Stage, Template, is_id
from essay_cohorts.errors import Checked, Problem, choose_from, raise_if_any
from essay_cohorts.judging.parsers import PARSERS, template_parser
from essay_cohorts.judging.prompts import check_template
from essay_cohorts.planning.request import CohortRequest, parse_request
from essay_cohorts.planning.selection_file import (
    EVALUATION_ONLY,
    INCLUDE_EXISTING,
    SelectedId,
    Selection,
    parse_selection,
    selection_text,
)
from essay_cohorts.settings import Settings
from essay_cohorts.store.gens_data_layer import GensDataLayer


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """The checked inputs of a run: the request, the selection, the essays, and the chosen part of the catalog."""

    request: CohortRequest
    cohort_id: str
    selection: Selection
    essays: tuple[Essay, ...]
    templates: tuple[Template, ...]
    models: tuple[JudgeModel, ...]
    replicates: int

    @property
    def parsers(self) -> dict[str, ParserRef]:
        """The parser of each template, by template id."""
        return {template.template_id: template_parser(template).ref for template in self.templates}

    @property
    def connections(self) -> dict[str, str]:
        """The connection of each judge, by judge id; empty when every judge has the default connection."""
        named = {model.id: model.connection for model in self.models}
        return named if set(named.values()) - {DEFAULT_CONNECTION} else {}


_NO_SELECTION = Selection(place="", text="", mode=None, include_existing=False, ids=())


def read_inputs(settings: Settings, conf: Mapping[str, Any]) -> Inputs:
    """Read the conf, the catalog, the selection and the selected essays.

    Raises BadInput with the problems of all of them together.
    """
    catalog = Catalog(root=settings.data_root)
    request = parse_request(conf)
    ids_are_invalid = conf.get("essay_ids") is not None and request.value.essay_ids is None
    selection = Checked(value=_NO_SELECTION) if ids_are_invalid else _read_selection(catalog, request.value)
    templates = _narrow_templates(catalog, request.value)
    models = _narrow_models(catalog, request.value)
    replicates = Checked(value=request.value.replicates) if request.value.replicates else catalog.replicates()
    essays = _read_essays(GensDataLayer.from_root(settings.data_root), selection.value)
    problems: list[Problem] = []
    for checked in (request, selection, templates, models, replicates, essays):
        problems += checked.problems
    raise_if_any(problems)
    inputs = Inputs(
        request=request.value,
        cohort_id="",
        selection=selection.value,
        essays=essays.value,
        templates=templates.value,
        models=models.value,
        replicates=replicates.value or 1,
    )
    given_id = request.value.cohort_id or settings.cohort_id
    return replace(inputs, cohort_id=given_id or ids.cohort_id(describe(inputs)))


def describe(inputs: Inputs) -> dict[str, Any]:
    """Return the inputs that identify a cohort.

    Their hash is the cohort's id when neither the conf nor the settings name the cohort.
    """
    return {
        "mode": inputs.selection.mode,
        "directives": [INCLUDE_EXISTING] if inputs.selection.include_existing else [],
        "essays": [essay.gen_id for essay in inputs.essays],
        "templates": [template.template_id for template in inputs.templates],
        "models": [model.id for model in inputs.models],
        "replicates": inputs.replicates,
    }


def _read_selection(catalog: Catalog, request: CohortRequest) -> Checked[Selection]:
    if request.essay_ids is not None:
        include = request.include_existing_evaluations is not False
        ids = tuple(SelectedId(gen_id=gen_id, line=n) for n, gen_id in enumerate(request.essay_ids, start=1))
        text = selection_text(request.essay_ids, include_existing=include)
        place = "conf: essay_ids, entry "
        return Checked(
            value=Selection(place=place, text=text, mode=EVALUATION_ONLY, include_existing=include, ids=ids)
        )
    file = catalog.selection()
    if file.value is None or file.problems:
        return Checked(value=_NO_SELECTION, problems=file.problems)
    parsed = parse_selection(file.value.text, file.value.place)
    include_conf = request.include_existing_evaluations
    selection = Selection(
        place=f"{file.value.place}:",
        text=file.value.text,
        mode=request.mode or parsed.value.mode,
        include_existing=parsed.value.include_existing if include_conf is None else include_conf,
        ids=parsed.value.ids,
    )
    problems = parsed.problems
    if selection.mode is None and not parsed.value.mode_is_wrong:
        finding = "no mode is given, neither in this file nor in the conf."
        next_step = f"Add the line: # mode: {EVALUATION_ONLY}"
        problems = (*problems, Problem(place=file.value.place, finding=finding, next_step=next_step))
    return Checked(value=selection, problems=problems)


def _narrow_templates(catalog: Catalog, request: CohortRequest) -> Checked[tuple[Template, ...]]:
    active = catalog.templates(request.templates)
    known = [template.template_id for template in active.value]
    chosen = tuple(t for t in active.value if t.template_id in (request.templates or known))
    problems = list(active.problems)
    if not active.problems:
        problems += _unknown_names("templates", request.templates, known, catalog, TEMPLATES)
    for template in chosen:
        problems += check_template(template)
        problems += check_parser(template)
    return Checked(value=chosen, problems=tuple(problems))


def _narrow_models(catalog: Catalog, request: CohortRequest) -> Checked[tuple[JudgeModel, ...]]:
    judges = catalog.models(request.models)
    known = [model.id for model in judges.value]
    chosen = tuple(model for model in judges.value if model.id in (request.models or known))
    unknown = () if judges.problems else _unknown_names("models", request.models, known, catalog, MODELS)
    return Checked(value=chosen, problems=(*judges.problems, *unknown))


def _unknown_names(
    key: str, wanted: tuple[str, ...] | None, known: Sequence[str], catalog: Catalog, source: str
) -> Iterator[Problem]:
    for position, name in enumerate(wanted or (), start=1):
        if name not in known:
            yield Problem(
                place=f"conf: {key}, entry {position}",
                finding=f'"{name}" is not active in {source}.',
                next_step=choose_from(name, catalog.choices(source)),
            )


def check_parser(template: Template, parsers: Collection[str] = PARSERS.keys()) -> Iterator[Problem]:
    """Yield a problem when the template's row names a parser that does not exist."""
    if template.parser and template.parser not in parsers:
        yield Problem(
            place=f"{template.row_place}, column parser",
            finding=f'there is no parser "{template.parser}".',
            next_step=choose_from(template.parser, parsers),
        )


def _read_essays(store: GensDataLayer, selection: Selection) -> Checked[tuple[Essay, ...]]:
    essays: list[Essay] = []
    problems: list[Problem] = []
    for selected in selection.ids:
        place = f"{selection.place}{selected.line}"
        found = read_essay(store, selected.gen_id, place)
        if isinstance(found, Problem):
            problems.append(found)
        else:
            essays.append(found)
    return Checked(value=tuple(essays), problems=tuple(problems))


def read_essay(store: GensDataLayer, gen_id: str, place: str) -> Essay | Problem:
    """Return an essay, or the problem for which it cannot be judged; `place` says where it was selected."""
    if not store.exists(Stage.ESSAY, gen_id):
        if store.exists(Stage.DRAFT, gen_id):
            return Problem(place=place, finding=f"{gen_id} is a draft.", next_step="Select the essays made from it.")
        if store.exists(Stage.EVALUATION, gen_id):
            return Problem(place=place, finding=f"{gen_id} is an evaluation.", next_step="Select its essay.")
        next_step = "Correct the id or delete the line."
        return Problem(place=place, finding=f"there is no essay {gen_id} in gens/essay.", next_step=next_step)
    meta = store.generation(Stage.ESSAY, gen_id)
    if meta is None:
        finding = f"gens/essay/{gen_id}/metadata.json is missing or is not a JSON object."
        return Problem(place=place, finding=finding, next_step="Restore it, or do not select the essay.")
    try:
        text = store.essay_text(gen_id)
    except UnicodeDecodeError as error:
        finding = f"gens/essay/{gen_id}/parsed.txt is not UTF-8 (byte {error.start})."
        return Problem(place=place, finding=finding, next_step="Save it as UTF-8, or do not select the essay.")
    if text is None or not text.strip():
        finding = f"gens/essay/{gen_id}/parsed.txt, the essay's text, is {'missing' if text is None else 'empty'}."
        return Problem(place=place, finding=finding, next_step="Restore it, or do not select the essay.")
    parent = meta.parent_gen_id
    draft = store.generation(Stage.DRAFT, parent) if is_id(parent) else None
    return Essay(meta=meta, text=text, draft=draft)
