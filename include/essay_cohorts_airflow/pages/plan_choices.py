"""What can be chosen on the plan page: templates, judges, and essays by a search."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock, Thread

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from essay_cohorts.amounts import dollars
from essay_cohorts.calls import DEFAULT_CONNECTION, JudgeModel
from essay_cohorts.catalog.catalog import Catalog
from essay_cohorts.catalog.models import MODELS
from essay_cohorts.catalog.templates import TEMPLATES
from essay_cohorts.domain import Template
from essay_cohorts.settings import read_settings
from essay_cohorts.views.coverage import paginate
from essay_cohorts.views.essay_list import ListedEssay, list_essays
from essay_cohorts_airflow.pages import forms

ESSAYS_A_PAGE = 50
_TTL_FACTOR = 10.0
_MIN_TTL_S, _MAX_TTL_S = 2.0, 60.0
_QUICK_S = 0.5

router = APIRouter()


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """A template or a judge that may be chosen, and what a person must know to choose; "" when nothing is known."""

    id: str
    note: str


@dataclass(frozen=True, kw_only=True, slots=True)
class _ReadEssays:
    """All essays, each with the text that a search looks through; when they were read, and how long that took."""

    root: Path
    essays: tuple[tuple[str, ListedEssay], ...]
    took_s: float
    read_at: float

    def is_stale(self) -> bool:
        ttl_s = min(max(self.took_s * _TTL_FACTOR, _MIN_TTL_S), _MAX_TTL_S)
        return time.monotonic() > self.read_at + ttl_s


@router.get("/plan/essays")
def essays(request: Request) -> Response:
    """Return a page of the essays that have every word of the query's `text` in their id, title or group, as JSON."""
    query = request.query_params
    words = query.get("text", "")[:200].casefold().split()
    listed = essay_cache.get(read_settings().data_root).essays
    found = [essay for text, essay in listed if all(word in text for word in words)]
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
    noun = "criterion" if criteria == 1 else "criteria"
    return f"{template.rubric.scale}{f', {criteria} {noun}' if criteria else ''}"


def _about_judge(judge: JudgeModel | None) -> str:
    if judge is None:
        return ""
    prices = judge.input_usd_per_mtok, judge.output_usd_per_mtok
    known = [_price(price, side) for price, side in zip(prices, ("in", "out"), strict=True) if price is not None]
    price = f"{' and '.join(known)} per million tokens" if known else "no price"
    return ", ".join([judge.model, price, *([judge.connection] if judge.connection != DEFAULT_CONNECTION else [])])


def _price(usd: float, side: str) -> str:
    return f"${usd:,.2f} {side}" if round(usd, 2) == usd else f"{dollars(usd)} {side}"


class _EssayCache:
    """The essays of the data root that was asked for last; a thread-safe cache.

    A list is used again for ten times as long as reading it took, so that reading takes at most a tenth of the time.
    Then it is read again: at once if that is quick, otherwise in the background, so that nobody who types waits.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._read: _ReadEssays | None = None
        self._refreshing = False

    def get(self, root: Path) -> _ReadEssays:
        """Return the essays; of several requests at once, one reads and the others wait for the result."""
        with self._lock:
            read = self._read
            if read is None or read.root != root or (read.is_stale() and read.took_s < _QUICK_S):
                read = self._read = _read_essays(root)
            elif read.is_stale() and not self._refreshing:
                self._refreshing = True
                Thread(target=self._refresh, args=[root], name="essays of the plan page", daemon=True).start()
            return read

    def clear(self) -> None:
        """Forget what was read."""
        self._read = None

    def _refresh(self, root: Path) -> None:
        try:
            self._read = _read_essays(root)
        finally:
            self._refreshing = False


essay_cache = _EssayCache()


def _read_essays(root: Path) -> _ReadEssays:
    began = time.monotonic()
    essays = tuple((_searched(each), each) for each in list_essays(root))
    ended = time.monotonic()
    return _ReadEssays(root=root, essays=essays, took_s=ended - began, read_at=ended)


def _searched(essay: ListedEssay) -> str:
    return " ".join((essay.essay_id, essay.title, essay.group)).casefold()
