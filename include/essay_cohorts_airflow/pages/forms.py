"""Converts the query fields of a page's request to values of `essay_cohorts`, and back.

A field of the matrix with an invalid value gets its default. Fields of the plan are checked by `essay_cohorts`.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from starlette.datastructures import QueryParams

from essay_cohorts.domain import ID_RULE, is_id
from essay_cohorts.errors import BadInput, Problem
from essay_cohorts.planning.selection_file import INCLUDE_EXISTING
from essay_cohorts.records import count_of, texts_of
from essay_cohorts.settings import airflow_command
from essay_cohorts.views.coverage import CellState
from essay_cohorts.views.matrix import Colour, MatrixQuery, Sort

_YES_NO = {"yes": True, "no": False}


def page_number(query: QueryParams) -> int:
    """Return the field `page`; 1 when the field is not a number from 1 upward with at most seven digits."""
    text = query.get("page", "")
    return max(1, int(text)) if text.isascii() and text.isdigit() and 0 < len(text) < 8 else 1


def matrix_query(query: QueryParams) -> MatrixQuery:
    """Return the part of the matrix that the request asks for."""
    column = query.get("column", "")
    sort = Sort(query.get("sort", "")) if query.get("sort") in list(Sort) else Sort.SELECTED
    return MatrixQuery(
        templates=frozenset(filter(None, query.getlist("template"))),
        models=frozenset(filter(None, query.getlist("model"))),
        states=frozenset(CellState(state) for state in query.getlist("state") if state in list(CellState)),
        text=query.get("text", "")[:200],
        sort=sort,
        descending=query.get("order") == "desc" or (sort.begins_with_most and query.get("order") != "asc"),
        column=int(column) if column.isascii() and column.isdigit() and len(column) < 4 else None,
        page=page_number(query),
        colour=Colour.SCORE if query.get("colour") == Colour.SCORE else Colour.COVERAGE,
    )


def matrix_fields(query: MatrixQuery) -> dict[str, Any]:
    """Return the query fields for a part of the matrix, without the page number. Inverse of `matrix_query`."""
    return {
        "template": sorted(query.templates),
        "model": sorted(query.models),
        "state": sorted(query.states),
        "text": query.text,
        "sort": None if query.sort is Sort.SELECTED else query.sort.value,
        "order": None if query.descending == query.sort.begins_with_most else "desc" if query.descending else "asc",
        "column": query.column,
        "colour": None if query.colour is Colour.COVERAGE else query.colour.value,
    }


def plan_conf(query: QueryParams) -> dict[str, Any]:
    """Return the conf that was entered in the form of the plan page; `essay_cohorts` checks it like any conf."""
    conf: dict[str, Any] = {}
    if cohort_id := query.get("cohort_id", "").strip():
        conf["cohort_id"] = cohort_id
    if essay_ids := re.findall(r"[^\s,]+", query.get("essay_ids", "")):
        conf["essay_ids"] = essay_ids
    if query.get("existing") in _YES_NO:
        conf["include_existing_evaluations"] = _YES_NO[query["existing"]]
    for field in ("templates", "models"):
        if chosen := [each for each in query.getlist(field) if each]:
            conf[field] = chosen
    for field in ("replicates", "max_concurrency", "max_llm_calls", "max_cost_usd"):
        if entered := query.get(field, "").strip():
            conf[field] = _number(entered, decimals=field == "max_cost_usd")
    if query.get("retry_unscored"):
        conf["retry_unscored"] = True
    return conf


def _number(text: str, *, decimals: bool) -> int | float | str:
    """Return the number that was entered; a text that is not a number stays as it is, for the check of the conf."""
    if re.fullmatch(r"[0-9]{1,15}", text):
        return int(text)
    return float(text) if decimals and re.fullmatch(r"[0-9]{0,15}\.[0-9]{1,15}", text) else text


def conf_of_cohort(cohort_id: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the conf that plans a cohort again with the same inputs; BadInput when its manifest lacks an input."""
    lists = {key: texts_of(manifest, key) for key in ("essays", "templates", "models")}
    replicates = count_of(manifest, "replicates")
    if not (all(lists.values()) and replicates):
        finding = "it lacks the essays, templates, models or replicates of the cohort's plan."
        place = f"cohorts/{cohort_id}/manifest.json"
        raise BadInput([Problem(place=place, finding=finding, next_step="Fill in the form instead.")])
    return {
        "cohort_id": cohort_id,
        "essay_ids": lists["essays"],
        "include_existing_evaluations": INCLUDE_EXISTING in texts_of(manifest, "directives"),
        "templates": lists["templates"],
        "models": lists["models"],
        "replicates": replicates,
    }


def trigger_command(dag_id: str, conf: Mapping[str, Any]) -> str:
    """Return the command that triggers the DAG with this conf."""
    return f"{airflow_command()} dags trigger {dag_id} --conf {shlex.quote(json.dumps(conf))}"


def distinct(names: Iterable[str]) -> list[str]:
    """Return the names in their order, each once."""
    return list(dict.fromkeys(names))


def checked_id(cohort_id: str) -> str:
    """Return `cohort_id` if it is a valid id, and therefore safe as part of a path; else raise BadInput."""
    if not is_id(cohort_id):
        raise BadInput([Problem(place="cohort", finding=f"{cohort_id!r} is not a valid id.", next_step=ID_RULE)])
    return cohort_id
