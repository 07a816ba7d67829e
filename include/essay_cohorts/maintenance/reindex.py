"""Makes the index of evaluations again from the store, which alone decides what exists."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from essay_cohorts.domain import Stage
from essay_cohorts.ledger.ledger import Ledger
from essay_cohorts.settings import Settings
from essay_cohorts.store.gens_data_layer import GensDataLayer
from essay_cohorts.store.scan import find_folders


@dataclass(frozen=True, kw_only=True, slots=True)
class Reindexed:
    """The size of the index now, what had to change, and the folders that no index can have.

    `unusable` counts the folders whose metadata.json is missing or does not say which evaluation it is.
    """

    indexed: int
    added: int
    corrected: int
    removed: int
    unusable: int


def reindex(settings: Settings, progress: Callable[[Collection[str]], Iterable[str]] = iter) -> Reindexed:
    """Read the metadata.json of every evaluation and bring the index up to date; `progress` sees every folder name.

    OSError if a file exists and cannot be read, StoreError if the ledger cannot be written.
    """
    gens = GensDataLayer.from_root(settings.data_root).gens
    index = Ledger.of(settings).index
    known = index.essays()
    found = find_folders(gens / Stage.EVALUATION, index=known, progress=progress)
    changes = found.changes
    index.update(changes.essays, changes.gone)
    added = len(changes.essays.keys() - known)
    removed = len(known.keys() & changes.gone)
    return Reindexed(
        indexed=len(known) + added - removed,
        added=added,
        corrected=len(changes.essays) - added,
        removed=removed,
        unusable=len(found.unusable),
    )
