"""From values to HTML: the templates, their filters and their global names."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from essay_cohorts.amounts import counted, dollars, figure, with_minus_sign
from essay_cohorts.catalog.catalog import Catalog
from essay_cohorts.domain import Action, Outcome
from essay_cohorts.encoding import storable
from essay_cohorts.progress.counts import rate_in_words, time_in_words
from essay_cohorts.provenance import MADE_UP_BANNER
from essay_cohorts.settings import read_settings
from essay_cohorts.statistics.mixed import MARK
from essay_cohorts.views.coverage import CellState
from essay_cohorts.views.snapshot import CohortSnapshot
from essay_cohorts_airflow.pages.essays.prose import is_prose, prose
from essay_cohorts_airflow.pages.links import Links

_TEMPLATES = Path(__file__).parent / "templates"
_LONGEST_TEXT = 200_000
# Each state has a shape of its own, for people who cannot distinguish its colour.
SHAPES = {
    CellState.COMPLETE: "●",
    CellState.REPLIED: "◇",
    CellState.PARTLY: "◑",
    CellState.MISSING: "○",
    CellState.UNSCORED: "⊘",
    CellState.FAILED: "✕",
    CellState.IN_FLIGHT: "▶",
}
_OUTCOME_SHAPES = {
    Outcome.REUSED: SHAPES[CellState.COMPLETE],
    Outcome.SCORED: SHAPES[CellState.COMPLETE],
    Outcome.UNSCORED: SHAPES[CellState.UNSCORED],
    Outcome.FAILED: SHAPES[CellState.FAILED],
    Outcome.IN_FLIGHT_ELSEWHERE: SHAPES[CellState.IN_FLIGHT],
    Outcome.DEFERRED: SHAPES[CellState.MISSING],
    Outcome.NOT_RUN: SHAPES[CellState.MISSING],
}

# The parts of a cohort's bar: scores by where they were made, then the outcomes without a score.
BAR_PARTS = (
    ("made_elsewhere", "made elsewhere"),
    ("made_here", "made here"),
    ("replied", "replied"),
    (Outcome.IN_FLIGHT_ELSEWHERE, "in flight"),
    (Outcome.UNSCORED, "unscored"),
    (Outcome.FAILED, "failed"),
    (Outcome.DEFERRED, "deferred"),
    (Outcome.NOT_RUN, "not run"),
)


def render(request: Request, name: str, *, status_code: int = 200, **values: Any) -> HTMLResponse:
    """Render the page of a template with these values."""
    links = Links(request.scope.get("root_path", ""))
    template = _environment().get_template(f"{name}.html.j2")
    # A lone surrogate, which JSON can carry into a name, cannot be sent; `storable` replaces it.
    return HTMLResponse(storable(template.render(links=links, banner=_banner(), **values)), status_code=status_code)


def _banner() -> str:
    """Return the banner of every page while made-up scores count."""
    allowed = Catalog(root=read_settings().data_root).offline_replies_allowed()
    return MADE_UP_BANNER if allowed else ""


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        longest_text=_LONGEST_TEXT,
        shapes=SHAPES,
        outcome_shapes=_OUTCOME_SHAPES,
        Outcome=Outcome,
        CellState=CellState,
        Action=Action,
        mark=MARK,
        bar_parts=BAR_PARTS,
    )
    environment.filters.update(
        usd=_usd,
        when=_when,
        score=_score,
        seconds=_seconds,
        cut=_shorten,
        as_json=_as_json,
        signed=_signed,
        signed_end=signed_end,
        count=_count,
        words=_words,
        counted=counted,
        prose=prose,
        is_prose=is_prose,
        rate=rate_in_words,
        time_left=_time_left,
    )
    return environment


def _usd(amount: float | None) -> str:
    return "unknown" if amount is None else dollars(amount)


def _when(moment: str) -> str:
    """Return an ISO 8601 time in UTC to the minute; a text that is not a time is returned unchanged."""
    try:
        time = datetime.fromisoformat(moment)
    except ValueError:
        return moment or "unknown"
    return (time.astimezone(UTC) if time.tzinfo else time).strftime("%Y-%m-%d %H:%M")


def _seconds(value: object) -> str:
    """Return a duration in seconds; a dash for a value that is not a duration."""
    return f"{value:,.1f} s" if isinstance(value, float | int) and 0 <= value < 1e9 else "–"


def _shorten(text: str) -> str:
    """Return at most the first _LONGEST_TEXT characters, which a browser shows without delay, and how many follow."""
    left = len(text) - _LONGEST_TEXT
    return text if left <= 0 else f"{text[:_LONGEST_TEXT]}\n… {left:,} more characters are in the file."


def _as_json(value: Any) -> str:
    try:
        return json.dumps(value, indent=2, ensure_ascii=False)
    except RecursionError:
        return "This record is nested too deeply to be shown."


def _score(value: float | None) -> str:
    return "–" if value is None else figure(value)


def _signed(value: float) -> str:
    return with_minus_sign(figure(value, signed=True))


def signed_end(value: float) -> str:
    """Return an end of an interval; near 0 with as many decimals as show on which side of 0 the end is."""
    decimals = next((each for each in (2, 3, 4, 6) if round(abs(value), each)), 2)
    return _signed(value) if decimals == 2 else with_minus_sign(f"{value:+.{decimals}f}")


def _count(number: int) -> str:
    return f"{number:,}"


def _time_left(seconds: float | None) -> str:
    """Return a time left in words; a dash for a time that is not known or over."""
    return time_in_words(seconds) if seconds else "–"


def _words(value: Any) -> str:
    return str(value).replace("_", " ")


def as_bar(snapshot: CohortSnapshot) -> list[dict[str, Any]]:
    """Return the parts of a bar of width 100 in the order of BAR_PARTS; a part without a width is left out."""
    account, counts = snapshot.account, snapshot.counts
    numbers = {"made_here": account.made_here, "made_elsewhere": account.made_elsewhere}
    numbers |= {str(outcome): count for outcome, count in counts.items()}
    numbers |= {"replied": len(snapshot.replied), "not_run": counts[Outcome.NOT_RUN] - len(snapshot.replied)}
    total = len(snapshot.rows) or 1
    parts, start = [], 0.0
    for name, words in BAR_PARTS:
        width = 100 * numbers.get(name, 0) / total
        if width:
            parts.append({"name": name, "words": words, "x": start, "width": width, "count": numbers[name]})
        start += width
    return parts
