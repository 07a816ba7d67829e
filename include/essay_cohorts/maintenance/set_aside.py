"""Moves made-up evaluations out of the store when the data root accepts only real scores; deletes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

from essay_cohorts.domain import Stage, is_id
from essay_cohorts.errors import BadInput, Problem
from essay_cohorts.files.atomic import check_inside, make_folder, storing, sync_path
from essay_cohorts.ledger.ledger import Ledger
from essay_cohorts.provenance import OFFLINE_OK
from essay_cohorts.settings import Settings
from essay_cohorts.store.gens_data_layer import GensDataLayer

# Below the data root. Only this module reads or writes in this folder.
SET_ASIDE = f"set_aside/{Stage.EVALUATION}"


def find_made_up(store: GensDataLayer) -> list[str]:
    """Return the sorted gen_ids of made-up evaluations; an empty list if made-up scores count in this store."""
    if store.made_up_counts:
        return []
    return [
        name
        for name in sorted(store.folder_names(Stage.EVALUATION))
        if is_id(name) and not store.evaluation(name).counts()
    ]


def check_real_only(store: GensDataLayer) -> None:
    """Raise BadInput if made-up scores count in this store, because then there is nothing to set aside."""
    if store.made_up_counts:
        finding = "this file exists, so made-up scores count in this data root."
        next_step = "Delete the file, then set the made-up evaluations aside."
        raise BadInput([Problem(place=OFFLINE_OK, finding=finding, next_step=next_step)])


def set_aside(settings: Settings, gen_ids: Sequence[str]) -> Iterator[str]:
    """Move made-up evaluations from gens/evaluation to set_aside/evaluation; yield the gen_id of each one moved.

    An evaluation stays if it has a real reply now, or if a task is calling the judge for it. StoreError if the disk
    refuses.
    """
    root = settings.data_root
    store = GensDataLayer.from_root(root)
    source, target = root / "gens" / Stage.EVALUATION, make_folder(root, root / SET_ASIDE)
    check_inside(root, source)
    # The lock keeps a folder from vanishing while a run plans with it.
    ledger = Ledger.of(settings)
    with ledger.planning_turn("cohorts set-aside"), storing(target):
        callers = ledger.holders()
        for gen_id in gen_ids:
            evaluation = store.evaluation(gen_id)
            if evaluation.counts() or gen_id in callers:
                continue
            (source / gen_id).rename(_free_path(target, gen_id))
            yield gen_id
        for folder in (target, source):
            sync_path(folder)


def _free_path(folder: Path, gen_id: str) -> Path:
    """Return a path that does not exist yet; a number is added if the same gen_id was set aside before."""
    paths = (folder / (gen_id if number == 1 else f"{gen_id}.{number}") for number in count(1))
    return next(path for path in paths if not path.exists())
