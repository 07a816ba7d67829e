"""Lists the essays of a data root with their titles, lengths, groups and scores."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from essay_cohorts.domain import Stage, is_human, is_id
from essay_cohorts.files.parallel_map import parallel_map
from essay_cohorts.store.gens_data_layer import GensDataLayer
from essay_cohorts.views.essays.essay_titles import describe_essay
from essay_cohorts.views.essays.evaluation_directory import EvaluationDirectory


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


def list_essays(root: Path, directory: EvaluationDirectory | None = None) -> list[ListedEssay]:
    """Return all essays of a data root, sorted by id. A `directory` that is kept makes the next list quicker."""
    store = GensDataLayer.from_root(root)
    essay_ids = sorted(name for name in store.folder_names(Stage.ESSAY) if is_id(name))
    by_essay = (directory or EvaluationDirectory()).by_essay(store)
    scored, evaluations, ratings = Counter[str](), Counter[str](), Counter[str]()
    for essay_id, found in by_essay.items():
        by_judges = [gen_id for gen_id, cell in found.items() if not is_human(cell.model_id)]
        ratings[essay_id] = len(found) - len(by_judges)
        evaluations[essay_id] = len(by_judges)
        scored[essay_id] = sum(_has_score(store, gen_id) for gen_id in by_judges)

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


def _has_score(store: GensDataLayer, gen_id: str) -> bool:
    """Return True if the evaluation has a score that counts here; the record is read only where not all count."""
    evaluation = store.evaluation(gen_id)
    return evaluation.is_parsed() and (store.made_up_counts or evaluation.counts())


class EssayLists:
    """Keeps the list of essays for all readers of the pages; thread-safe.

    A list stays valid for ten times as long as its making took, so that making lists takes at most a tenth of the
    time; for 1 s at least, and 60 s at most.
    """

    def __init__(self, directory: EvaluationDirectory, clock: Callable[[], float] = time.monotonic) -> None:
        self._directory, self._clock = directory, clock
        self._lists: dict[Path, tuple[float, dict[str, ListedEssay]]] = {}
        self._lock = threading.Lock()

    def get(self, root: Path) -> dict[str, ListedEssay]:
        """Return essay id -> essay, sorted by id."""
        with self._lock:
            until, found = self._lists.get(root, (0.0, {}))
            began = self._clock()
            if began >= until:
                found = {essay.essay_id: essay for essay in list_essays(root, self._directory)}
                took = self._clock() - began
                self._lists = {root: (self._clock() + min(max(10 * took, 1.0), 60.0), found)}
            return found
