"""What can be chosen on the plan page: templates, judges, and essays by a search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from essay_cohorts.amounts import counted, dollars
from essay_cohorts.calls import DEFAULT_CONNECTION, JudgeModel
from essay_cohorts.catalog.catalog import Catalog
from essay_cohorts.catalog.models import MODELS
from essay_cohorts.catalog.templates import TEMPLATES
from essay_cohorts.domain import Template
from essay_cohorts.settings import read_settings
from essay_cohorts.views.coverage import paginate
from essay_cohorts.views.essays.essay_list import ListedEssay
from essay_cohorts_airflow.pages import forms, shown_cohorts

ESSAYS_A_PAGE = 50

router = APIRouter()


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """A template or a judge that may be chosen, and what a person must know to choose; "" when nothing is known."""

    id: str
    note: str


@router.get("/plan/essays")
def essays(request: Request) -> Response:
    """Return a page of the essays that have every word of the query's `text` in their id, title or group, as JSON."""
    query = request.query_params
    words = query.get("text", "")[:200].casefold().split()
    listed = shown_cohorts.essays.get(read_settings().data_root).values()
    found = [essay for essay in listed if all(word in _searched(essay) for word in words)]
    page, pages, shown = paginate(found, ESSAYS_A_PAGE, forms.page_number(query))
    return JSONResponse(
        {"found": len(found), "page": page, "pages": pages, "essays": [asdict(each) for each in shown]}
    )


def template_choices(catalog: Catalog) -> list[Choice]:
    """Return the templates that a run may use, each with its scale and criteria."""
    known = catalog.template_rows().value
    return [Choice(id=name, note=_about_template(known.get(name))) for name in catalog.choices(TEMPLATES)]


def judge_choices(catalog: Catalog) -> list[Choice]:
    """Return the judges that a run may use, each with its model, prices and connection."""
    ids = catalog.choices(MODELS)
    known: Mapping[str, JudgeModel] = {judge.id: judge for judge in catalog.models(ids).value}
    return [Choice(id=name, note=_about_judge(known.get(name))) for name in ids]


def _about_template(template: Template | None) -> str:
    if template is None:
        return ""
    criteria = len(template.rubric.criteria)
    also = f", {counted(criteria, 'criterion', 'criteria')}" if criteria else ""
    return f"{template.rubric.scale}{also}"


def _about_judge(judge: JudgeModel | None) -> str:
    if judge is None:
        return ""
    prices = judge.input_usd_per_mtok, judge.output_usd_per_mtok
    known = [_price(price, side) for price, side in zip(prices, ("in", "out"), strict=True) if price is not None]
    price = f"{' and '.join(known)} per million tokens" if known else "no price"
    return ", ".join([judge.model, price, *([judge.connection] if judge.connection != DEFAULT_CONNECTION else [])])


def _price(usd: float, side: str) -> str:
    return f"${usd:,.2f} {side}" if round(usd, 2) == usd else f"{dollars(usd)} {side}"


def _searched(essay: ListedEssay) -> str:
    return " ".join((essay.essay_id, essay.title, essay.group)).casefold()
