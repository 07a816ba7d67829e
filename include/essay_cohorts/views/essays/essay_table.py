"""Builds the list of essays that a page shows: of the whole data root or of a cohort, searched, sorted, in pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from essay_cohorts.views.coverage import paginate
from essay_cohorts.views.essays.essay_list import ListedEssay
from essay_cohorts.views.essays.essay_scores import Disagreement, EssayScores

ESSAYS_PER_PAGE = 50


class EssaySort(StrEnum):
    """What the rows are sorted by."""

    TITLE = "title"
    WORDS = "words"
    GROUP = "group"
    COVERAGE = "coverage"
    MEAN = "mean"
    DISAGREEMENT = "disagreement"


@dataclass(frozen=True, kw_only=True, slots=True)
class EssayRow:
    """An essay in the list: `scored` of its `planned` evaluations by judges have a score.

    `scores` is None in the list of the whole data root, which has no means.
    """

    essay: ListedEssay
    scored: int
    planned: int
    scores: EssayScores | None = None

    @property
    def disagreement(self) -> Disagreement | None:
        """The widest disagreement between judges; None if there is none to know of."""
        return self.scores.disagreement if self.scores else None


@dataclass(frozen=True, kw_only=True, slots=True)
class EssayQuery:
    """The part of the list to show. An empty text or group means no filter; the first page is 1."""

    text: str = ""
    group: str = ""
    sort: EssaySort = EssaySort.TITLE
    descending: bool = False
    page: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class EssayTable:
    """A page of the list. `essays` is the number of rows that match, `groups` all groups of the list."""

    rows: tuple[EssayRow, ...]
    essays: int
    groups: tuple[str, ...]
    page: int
    pages: int


_VALUES: dict[EssaySort, Callable[[EssayRow], str | float | None]] = {
    EssaySort.TITLE: lambda row: row.essay.title.casefold() or row.essay.essay_id.casefold(),
    EssaySort.WORDS: lambda row: row.essay.words,
    EssaySort.GROUP: lambda row: row.essay.group.casefold() or None,
    EssaySort.COVERAGE: lambda row: row.scored / row.planned if row.planned else None,
    EssaySort.MEAN: lambda row: row.scores.position if row.scores else None,
    EssaySort.DISAGREEMENT: lambda row: row.disagreement.part_of_scale if row.disagreement else None,
}


def rows_of_root(essays: Iterable[ListedEssay]) -> list[EssayRow]:
    """Return the rows of all essays of a data root."""
    return [EssayRow(essay=essay, scored=essay.scored, planned=essay.evaluations) for essay in essays]


def rows_of_cohort(essays: Mapping[str, ListedEssay], scores: Mapping[str, EssayScores]) -> list[EssayRow]:
    """Return the rows of a cohort's essays; an essay that was deleted keeps its scores."""
    return [
        EssayRow(
            essay=essays.get(essay_id) or _deleted(essay_id),
            scored=found.scored,
            planned=found.members,
            scores=found,
        )
        for essay_id, found in scores.items()
    ]


def essay_table(rows: Sequence[EssayRow], query: EssayQuery) -> EssayTable:
    """Return the page of the list that `query` asks for. Rows without a value come last in either direction."""
    matching = [row for row in rows if _matches(row, query)]
    value = _VALUES[query.sort]
    known = [(found, row) for row in matching if (found := value(row)) is not None]
    known.sort(key=lambda pair: pair[0], reverse=query.descending)
    unknown = [row for row in matching if value(row) is None]
    ordered = [row for _, row in known] + unknown
    page, pages, shown = paginate(ordered, ESSAYS_PER_PAGE, query.page)
    groups = sorted({row.essay.group for row in rows} - {""})
    return EssayTable(rows=tuple(shown), essays=len(matching), groups=tuple(groups), page=page, pages=pages)


def _matches(row: EssayRow, query: EssayQuery) -> bool:
    if query.group and row.essay.group != query.group:
        return False
    text = query.text.strip().casefold()
    return not text or text in row.essay.title.casefold() or text in row.essay.essay_id.casefold()


def _deleted(essay_id: str) -> ListedEssay:
    return ListedEssay(essay_id=essay_id, title="", words=0, group="", scored=0, evaluations=0, ratings=0)
