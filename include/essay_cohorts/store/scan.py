"""Finds the evaluations of some essays in one pass over `gens/evaluation`, with or without an index."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from essay_cohorts.domain import is_id
from essay_cohorts.files.json_files import read_json
from essay_cohorts.records import cell_of, replicate_of

METADATA = "metadata.json"


@dataclass(kw_only=True, slots=True)
class IndexChanges:
    """What an index did not know: the essays of evaluations (gen_id -> essay_id), and evaluations that are gone."""

    essays: dict[str, str] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)

    def add(self, gen_id: str, essay_id: str | None) -> None:
        """Add an evaluation of an essay, or with None one that must leave the index."""
        # What is no id cannot be selected, and a database may refuse it.
        if essay_id is not None and is_id(essay_id):
            self.essays[gen_id] = essay_id
        else:
            self.gone.add(gen_id)


@dataclass(kw_only=True, slots=True)
class FoundFolders:
    """The folders found: the `selected` ones judge one of the essays; the `unusable` ones have no usable metadata.

    - `names` is a sum of all folder names, see `sum_of_names`.
    - `by_index` is true when the essay of at least one evaluation came from the index.
    - `changes` brings the index up to date.
    """

    by_index: bool = False
    names: int = 0
    selected: list[str] = field(default_factory=list)
    unusable: list[str] = field(default_factory=list)
    changes: IndexChanges = field(default_factory=IndexChanges)


def find_folders(
    folder: Path,
    essay_ids: Collection[str] = (),
    index: Mapping[str, str] | None = None,
    *,
    by_index: bool = False,
    progress: Callable[[Collection[str]], Iterable[str]] = iter,
) -> FoundFolders:
    """Find the evaluations of these essays; `progress` sees the name of each folder whose metadata.json is read.

    With `by_index`, these are the folders that `index` (gen_id -> essay_id) does not know, unless these are most
    folders; else all. The index must be older than the call: what it knows and the store has no more is gone.
    """
    known = index or {}
    names = set(folder_names(folder))
    found = FoundFolders(names=sum_of_names(names))
    found.changes.gone.update(known.keys() - names)
    unknown = names - known.keys()
    # If most folders must be read, reading all of them saves the caller from doubting the result.
    if by_index := by_index and 2 * len(unknown) <= len(names):
        found.by_index = bool(names)
        found.selected = [name for name, essay in known.items() if essay in essay_ids and name in names]
    for name in progress(unknown if by_index else names):
        essay = _essay_of(folder, name)
        if essay is None:
            found.unusable.append(name)
        elif essay in essay_ids:
            found.selected.append(name)
        if essay != known.get(name):
            found.changes.add(name, essay)
    return found


def folder_names(folder: Path, *, temporary: bool = False) -> list[str]:
    """Return the names of a stage's folders, in any order; with `temporary`, of the folders of unfinished writes."""
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if (entry.name[0] == ".") is temporary and entry.is_dir()]
    except FileNotFoundError:
        return []


def sum_of_names(names: Iterable[str]) -> int:
    """Return a number that changes when a folder is added or removed; only one process can compare it."""
    return sum(map(hash, names))


def _essay_of(folder: Path, name: str) -> str | None:
    """Return the essay that a folder's metadata.json names; None when metadata.json is missing or unusable."""
    if not is_id(name):
        return None
    metadata = read_json(f"{folder}{os.sep}{name}{os.sep}{METADATA}")
    if metadata is None or replicate_of(metadata) is None:
        return None
    cell = cell_of(metadata)
    return cell.essay_id if cell else None
