"""From values to HTML, with links that hold wherever Airflow is mounted."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from essay_cohorts.amounts import dollars, figure
from essay_cohorts.domain import Action, Outcome, RunRef, TaskRef
from essay_cohorts.encoding import storable
from essay_cohorts.provenance import MADE_UP_BANNER
from essay_cohorts.settings import read_settings
from essay_cohorts.statistics.mixed import MARK
from essay_cohorts.store.catalog import Catalog
from essay_cohorts.views.coverage import CellState
from essay_cohorts.views.snapshot import CohortSnapshot

HERE = Path(__file__).parent
_LONGEST_TEXT = 200_000
STATIC = {
    "cohorts.css": "text/css",
    "cohorts.js": "text/javascript",
    "theme.js": "text/javascript",
    "icon.svg": "image/svg+xml",
    "icon_dark.svg": "image/svg+xml",
}
# A state is told by its shape too, for those who do not tell its colour.
SHAPES = {
    CellState.COMPLETE: "●",
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

# What a cohort's bar shows: scores by where they were made, and the outcomes without one.
BAR_PARTS = (
    ("made_elsewhere", "made elsewhere"),
    ("made_here", "made here"),
    (Outcome.IN_FLIGHT_ELSEWHERE, "in flight"),
    (Outcome.UNSCORED, "unscored"),
    (Outcome.FAILED, "failed"),
    (Outcome.DEFERRED, "deferred"),
    (Outcome.NOT_RUN, "not run"),
)


class Links:
    """Addresses of one request: of the pages, and of Airflow's own."""

    def __init__(self, root_path: str, prefix: str = "/cohorts") -> None:
        self._pages = root_path
        self._airflow = root_path.removesuffix(prefix)

    def page(self, *path: str, **query: Any) -> str:
        """A page by the parts of its path; a query field that is None or empty is left out, a list repeated."""
        fields = [
            (name, each)
            for name, value in query.items()
            for each in (value if isinstance(value, list | tuple | set | frozenset) else [value])
            if each not in (None, "")
        ]
        address = "/".join([self._pages, *(quote(part, safe="") for part in path)])
        return (address if path else f"{address}/") + (f"?{urlencode(fields)}" if fields else "")

    def static(self, name: str) -> str:
        """A file of static/, by a name that changes with its content."""
        return self.page("static", name, v=_digest(name))

    def dag(self, dag_id: str) -> str:
        """The DAG's page in Airflow."""
        return f"{self._airflow}/dags/{quote(dag_id, safe='')}"

    def run(self, run: RunRef) -> str:
        """A DagRun's page in Airflow."""
        return f"{self.dag(run.dag_id)}/runs/{quote(run.run_id, safe='')}"

    def run_api(self, run: RunRef) -> str:
        """Where Airflow's REST API tells of a DagRun."""
        return f"{self._airflow}/api/v2/dags/{quote(run.dag_id, safe='')}/dagRuns/{quote(run.run_id, safe='')}"

    def log(self, task: TaskRef) -> str:
        """The log of one try of a task instance in Airflow."""
        mapped = f"/mapped/{task.map_index}" if task.map_index >= 0 else ""
        place = f"{self.run(task.run)}/tasks/{quote(task.task_id, safe='')}{mapped}"
        return f"{place}?try_number={task.try_number}"


def render(request: Request, name: str, *, status_code: int = 200, **values: Any) -> HTMLResponse:
    """The page of a template with these values."""
    links = Links(request.scope.get("root_path", ""))
    template = _environment().get_template(f"{name}.html.j2")
    # A lone surrogate, which JSON can carry into a name, would stop the sending of the page.
    return HTMLResponse(storable(template.render(links=links, banner=_banner(), **values)), status_code=status_code)


def _banner() -> str:
    """What stands above every page while made-up scores count."""
    allowed = Catalog(root=read_settings().data_root).offline_replies_allowed()
    return MADE_UP_BANNER if allowed else ""


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
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
        cut=_cut,
        as_json=_as_json,
        signed=_signed,
        count=_count,
        words=_words,
    )
    return environment


@cache
def _digest(name: str) -> str:
    return hashlib.sha256((HERE / "static" / name).read_bytes()).hexdigest()[:12]


def _usd(amount: float | None) -> str:
    return "unknown" if amount is None else dollars(amount)


def _when(moment: str) -> str:
    """An ISO 8601 time in UTC to the minute; a text that is none as it stands."""
    try:
        told = datetime.fromisoformat(moment)
    except ValueError:
        return moment or "unknown"
    return (told.astimezone(UTC) if told.tzinfo else told).strftime("%Y-%m-%d %H:%M")


def _seconds(value: object) -> str:
    """A duration; a dash for what is none."""
    return f"{value:,.1f} s" if isinstance(value, float | int) and 0 <= value < 1e9 else "–"


def _cut(text: str) -> str:
    """A text as far as a browser should be given it."""
    left = len(text) - _LONGEST_TEXT
    return text if left <= 0 else f"{text[:_LONGEST_TEXT]}\n… {left:,} more characters are in the file."


def _as_json(value: Any) -> str:
    try:
        return json.dumps(value, indent=2, ensure_ascii=False)
    except RecursionError:
        return "It is nested too deeply to be shown."


def _score(value: float | None) -> str:
    return "–" if value is None else figure(value)


def _signed(value: float) -> str:
    return figure(value, signed=True).replace("-", "−")


def _count(number: int) -> str:
    return f"{number:,}"


def _words(value: Any) -> str:
    return str(value).replace("_", " ")


def as_bar(snapshot: CohortSnapshot) -> list[dict[str, Any]]:
    """The parts of a bar of width 100, in the order of BAR_PARTS; `not run` and `deferred` are missing."""
    account, counts = snapshot.account, snapshot.counts
    numbers = {"made_here": account.made_here, "made_elsewhere": account.made_elsewhere}
    numbers |= {str(outcome): count for outcome, count in counts.items()}
    total = len(snapshot.rows) or 1
    parts, start = [], 0.0
    for name, words in BAR_PARTS:
        width = 100 * numbers.get(name, 0) / total
        if width:
            parts.append({"name": name, "words": words, "x": start, "width": width, "count": numbers[name]})
        start += width
    return parts
