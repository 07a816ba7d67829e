"""Made-up evaluations, moved out of the way where only real ones count; nothing is deleted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

from essay_cohorts.domain import Stage, is_id
from essay_cohorts.errors import BadInput, Problem
from essay_cohorts.files.atomic import check_inside, make_folder, storing, sync_path
from essay_cohorts.leases.evaluation_lease import holder_of
from essay_cohorts.leases.planning_lock import planning_lock
from essay_cohorts.provenance import OFFLINE_OK
from essay_cohorts.store.gens_data_layer import GensDataLayer

# Below the data root; nothing but this module reads or writes there.
SET_ASIDE = f"set_aside/{Stage.EVALUATION}"


def find_made_up(store: GensDataLayer) -> list[str]:
    """Return the gen_ids of made-up evaluations, sorted; none where such scores count."""
    if store.made_up_counts:
        return []
    return [
        name
        for name in sorted(store.folder_names(Stage.EVALUATION))
        if is_id(name) and not store.evaluation(name).counts()
    ]


def check_real_only(store: GensDataLayer) -> None:
    """BadInput where made-up scores count: there is nothing to set aside."""
    if store.made_up_counts:
        finding = "it is there, so made-up scores count in this data root."
        next_step = "Delete the file, then set them aside."
        raise BadInput([Problem(place=OFFLINE_OK, finding=finding, next_step=next_step)])


def set_aside(root: Path, gen_ids: Sequence[str]) -> Iterator[str]:
    """Move made-up evaluations from gens/evaluation to set_aside/evaluation; yields the gen_id of each moved one.

    One that is real by now, or that somebody is calling for, stays. StoreError when the disk refuses.
    """
    store = GensDataLayer.from_root(root)
    here, there = root / "gens" / Stage.EVALUATION, make_folder(root, root / SET_ASIDE)
    check_inside(root, here)
    # No planning may find a folder and then not.
    with planning_lock(root), storing(there):
        for gen_id in gen_ids:
            evaluation = store.evaluation(gen_id)
            if evaluation.counts() or holder_of(root, evaluation.claim) is not None:
                continue
            (here / gen_id).rename(_free_name(there, gen_id))
            yield gen_id
        for folder in (there, here):
            sync_path(folder)


def _free_name(folder: Path, gen_id: str) -> Path:
    """Return where nothing stands yet: the same gen_id may have been made up and set aside before."""
    names = (folder / (gen_id if number == 1 else f"{gen_id}.{number}") for number in count(1))
    return next(path for path in names if not path.exists())
