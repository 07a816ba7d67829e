"""Lists the essays of a data root with their titles, lengths, groups and scores."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from essay_cohorts.domain import Progress, Stage, is_human, is_id
from essay_cohorts.files.parallel_map import parallel_map
from essay_cohorts.store.gens_data_layer import GensDataLayer
from essay_cohorts.views.essay_titles import describe_essay


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedEssay:
    """An essay: `scored` of its `evaluations` by judges have a score, and people have rated it `ratings` times.

    `words` counts what spaces separate.
    """

    essay_id: str
    title: str
    words: int
    group: str
    scored: int
    evaluations: int
    ratings: int


def list_essays(root: Path) -> list[ListedEssay]:
    """Return all essays of a data root, sorted by id."""
    store = GensDataLayer.from_root(root)
    essay_ids = sorted(name for name in store.folder_names(Stage.ESSAY) if is_id(name))
    scored, evaluations, ratings = Counter[str](), Counter[str](), Counter[str]()
    for stored in store.scan_evaluations(set(essay_ids)).evaluations:
        if is_human(stored.cell.model_id):
            ratings[stored.cell.essay_id] += 1
            continue
        evaluations[stored.cell.essay_id] += 1
        scored[stored.cell.essay_id] += stored.progress is Progress.PARSED

    def read(essay_id: str) -> ListedEssay:
        essay = describe_essay(store, essay_id)
        return ListedEssay(
            essay_id=essay_id,
            title=essay.title,
            words=len(essay.text.split()),
            group=essay.group,
            scored=scored[essay_id],
            evaluations=evaluations[essay_id],
            ratings=ratings[essay_id],
        )

    return [found for _, found in parallel_map(read, essay_ids)]
