"""Knows which evaluations each essay has, for a process that asks again and again.

The metadata.json of an evaluation never changes, so each is read once. Each answer lists the folders anew: an
evaluation that was added or deleted since the last answer is noticed. Nothing is written, so a process that may only
read the data root can use this; planning has an index on disk instead.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from pathlib import Path
from sys import intern

from cachetools import LRUCache

from essay_cohorts.domain import Cell, Stage, is_id
from essay_cohorts.files.parallel_map import parallel_map
from essay_cohorts.store.gens_data_layer import GensDataLayer

# A process of the pages serves one data root; tests serve several.
_ROOTS = 4

# The gen_id of each evaluation with its cell; None for a folder without usable metadata.
_Known = dict[str, Cell | None]


class EvaluationDirectory:
    """The evaluations of the essays of a data root; thread-safe."""

    def __init__(self) -> None:
        self._known: LRUCache[Path, _Known] = LRUCache(_ROOTS)
        self._lock = threading.Lock()

    def by_essay(self, store: GensDataLayer, essay_ids: Collection[str] | None = None) -> dict[str, dict[str, Cell]]:
        """Return essay id -> gen_id -> cell, for these essays or for all, sorted by gen_id."""
        found: dict[str, dict[str, Cell]] = {}
        for gen_id, cell in self._cells(store).items():
            if cell is not None and (essay_ids is None or cell.essay_id in essay_ids):
                found.setdefault(cell.essay_id, {})[gen_id] = cell
        return found

    def _cells(self, store: GensDataLayer) -> _Known:
        with self._lock:
            known = self._known.get(store.gens, {})
            names = sorted(name for name in store.folder_names(Stage.EVALUATION) if is_id(name))
            new = dict(parallel_map(lambda name: _cell(store, name), [name for name in names if name not in known]))
            cells = {name: known[name] if name in known else new[name] for name in names}
            # A folder without metadata.json may be one that is being made, so the next answer looks again.
            self._known[store.gens] = {name: cell for name, cell in cells.items() if cell is not None}
            return cells


def _cell(store: GensDataLayer, gen_id: str) -> Cell | None:
    metadata = store.evaluation(gen_id).metadata()
    cell = metadata.cell if metadata and metadata.replicate else None
    # A hundred thousand cells name few essays, templates and judges.
    return None if cell is None else Cell(*map(intern, cell))
