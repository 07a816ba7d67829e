"""The figures of a cohort: what a page shows of them, and the images and downloads themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from threading import Condition
from typing import TYPE_CHECKING

from cachetools import LRUCache, cached
from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response
from slugify import slugify
from starlette.datastructures import QueryParams

from essay_cohorts.settings import Settings, read_settings
from essay_cohorts.store.gens_data_layer import GensDataLayer
from essay_cohorts.views.essays.essay_titles import essay_titles
from essay_cohorts.views.snapshot import CohortSnapshot
from essay_cohorts_airflow.pages import shown_cohorts
from essay_cohorts_airflow.pages.forms import checked_id
from essay_cohorts_airflow.pages.scores.statistics_cache import (
    group_statistics_of,
    groups_of,
    people_of,
    read_of,
    statistics_of_rows,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from essay_cohorts.domain import ScoreRow
    from essay_cohorts.figures.cohort_figures import Chosen, CohortScores, FigureName
    from essay_cohorts.figures.figure import Figure, Width
    from essay_cohorts.figures.sheet import Theme

# About 40 kB each.
_KEPT_IMAGES = 200
_KEPT_FIGURES = 50
_KEPT_COHORTS = 4
_MEDIA_TYPES = {"svg": "image/svg+xml", "png": "image/png"}

# Matplotlib writes inline styles, which an image that is opened alone needs. It can load and run nothing.
_IMAGE_HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}

router = APIRouter()


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownFigure:
    """A figure as a page shows it: its words, its sizes in pixels, and the parts of its address."""

    figure: Figure
    cohort_id: str
    kind: str
    fields: Mapping[str, str]
    wide: tuple[int, int]
    narrow: tuple[int, int]

    def path(self, form: str) -> tuple[str, ...]:
        """Return the path of the figure as "svg" or "png"."""
        return "c", self.cohort_id, "figures", f"{self.kind}.{form}"


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownScores:
    """What a page shows of a cohort's scores: the overall scores, or those of `criterion`."""

    snapshot: CohortSnapshot
    criterion: str
    scores: CohortScores

    def notes(self, query: QueryParams) -> list[str]:
        """Return what is shown instead of a template or a criterion that was asked for."""
        asked, criterion = query.get("template", ""), query.get("criterion", "")
        found = []
        if criterion and not self.criterion:
            found.append(f"There is no criterion {criterion}: the overall scores are shown.")
        if asked and asked not in {row.member.template_id for row in self.scores.rows}:
            what = f"criterion {self.criterion}" if self.criterion else "evaluation in this cohort"
            found.append(f"{asked} has no {what}: another template is shown.")
        return found

    def figure(self, name: FigureName, chosen: Chosen) -> ShownFigure | None:
        """Return a figure for a page; None if the cohort has no scores for it. Nothing is drawn yet."""
        from essay_cohorts.figures.figure import Width
        from essay_cohorts.figures.rendering import size_of

        figure = figure_of(self, name, chosen)
        if figure is None:
            return None
        fields = {
            "criterion": self.criterion,
            "template": chosen.template_id,
            "first": chosen.first,
            "second": chosen.second,
        }
        return ShownFigure(
            figure=figure,
            cohort_id=self.snapshot.cohort_id,
            kind=name.value,
            fields={key: value for key, value in fields.items() if value},
            wide=size_of(figure, Width.WIDE),
            narrow=size_of(figure, Width.NARROW),
        )


def read_scores(cohort_id: str, query: QueryParams) -> ShownScores:
    """Return the scores of a cohort that a request asks for; an unknown criterion gives the overall scores."""
    settings = read_settings()
    snapshot = shown_cohorts.snapshots.get(settings, checked_id(cohort_id))
    criterion = query.get("criterion", "") if query.get("criterion") in snapshot.criteria else ""
    return ShownScores(snapshot=snapshot, criterion=criterion, scores=_scores_of(settings, snapshot, criterion))


# A page and each of its figures ask for the same scores, which take seconds of a large cohort.
@cached(
    LRUCache(maxsize=_KEPT_COHORTS),
    key=lambda settings, snapshot, criterion: (read_of(settings, snapshot), criterion),
    condition=Condition(),
)
def _scores_of(settings: Settings, snapshot: CohortSnapshot, criterion: str) -> CohortScores:
    from essay_cohorts.figures.cohort_figures import CohortScores
    from essay_cohorts.statistics.frame import rows_of_criterion

    rows: Sequence[ScoreRow] = snapshot.rows
    people: Sequence[ScoreRow] = people_of(settings, snapshot)
    if criterion:
        rows, people = rows_of_criterion(rows, criterion), rows_of_criterion(people, criterion)
    store = GensDataLayer.from_root(settings.data_root)
    return CohortScores(
        rows=rows,
        statistics=statistics_of_rows(rows),
        groups=group_statistics_of(rows, groups_of(settings, snapshot)),
        people=people,
        titles=lambda essays: essay_titles(store, essays),
        criterion=criterion,
        source=f"Cohort {snapshot.cohort_id}, as of {snapshot.seen_at[:10]}.",
    )


@cached(
    LRUCache(maxsize=_KEPT_FIGURES),
    key=lambda shown, name, chosen: (read_of(read_settings(), shown.snapshot), shown.criterion, name, chosen),
    condition=Condition(),
)
def figure_of(shown: ShownScores, name: FigureName, chosen: Chosen) -> Figure | None:
    """Return a figure of a cohort's scores, not drawn yet; None if there are no scores for it."""
    from essay_cohorts.figures.cohort_figures import draw

    return draw(name, shown.scores, chosen)


@router.get("/c/{cohort_id}/figures/{name}.{form}")
def figure(request: Request, cohort_id: str, name: str, form: str) -> Response:
    """Send a figure: with `on=page` as an image for a page, and else as a file with its title, n and caption."""
    from essay_cohorts.figures.cohort_figures import Chosen, FigureName
    from essay_cohorts.figures.figure import Width
    from essay_cohorts.figures.sheet import Theme

    query = request.query_params
    if form not in _MEDIA_TYPES or name not in list(FigureName):
        raise HTTPException(404, f"There is no figure {name}.{form}.")
    chosen = Chosen(
        template_id=query.get("template", ""), first=query.get("first", ""), second=query.get("second", "")
    )
    drawn = figure_of(read_scores(cohort_id, query), FigureName(name), chosen)
    if drawn is None:
        raise HTTPException(404, f"Cohort {cohort_id} has no scores for the figure {name}.")
    if query.get("on") == "page":
        width = Width.NARROW if query.get("width") == Width.NARROW else Width.WIDE
        theme = Theme.DARK if query.get("theme") == Theme.DARK else Theme.LIGHT
        return Response(_image(drawn, width, theme), media_type=_MEDIA_TYPES["svg"], headers=_IMAGE_HEADERS)
    name_of_file = f"{cohort_id}-{slugify(drawn.name, lowercase=False) or name}.{form}"
    headers = {**_IMAGE_HEADERS, "Content-Disposition": f'attachment; filename="{name_of_file}"'}
    return Response(_file(drawn, form), media_type=_MEDIA_TYPES[form], headers=headers)


@cached(
    LRUCache(maxsize=_KEPT_IMAGES),
    key=lambda drawn, width, theme: (hash(repr(drawn)), width, theme),
    condition=Condition(),
)
def _image(drawn: Figure, width: Width, theme: Theme) -> str:
    from essay_cohorts.figures.rendering import to_svg

    return to_svg(drawn, width, theme)


def _file(drawn: Figure, form: str) -> bytes:
    from essay_cohorts.figures.rendering import to_printable_png, to_printable_svg

    return to_printable_png(drawn) if form == "png" else to_printable_svg(drawn).encode()
