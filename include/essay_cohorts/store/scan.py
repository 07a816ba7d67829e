"""Finds the evaluations of some essays in one pass over `gens/evaluation`, with or without the index."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from essay_cohorts.domain import is_id
from essay_cohorts.files.json_files import read_json
from essay_cohorts.records import cell_of, replicate_of
from essay_cohorts.store.index import (
    BUCKETS,
    Entry,
    EvaluationIndex,
    IndexWriter,
    NameSums,
    bucket_of,
    folder_names,
)

log = logging.getLogger(__name__)

METADATA = "metadata.json"
# With fewer new folders, reading them again each time is quicker than rewriting the index.
_WORTH_SAVING = 1_000
# With more stale buckets than this, reading all folders is as quick as using the index.
_TOO_MANY_BUCKETS = BUCKETS // 4


@dataclass(kw_only=True, slots=True)
class FoundFolders:
    """The folders found: the `selected` ones judge one of the essays; the `unusable` ones have no usable metadata.

    `names` is the sum of all folder names (see NameSums). `by_index` is true when the index was used, and false when
    the metadata.json of every folder was read.
    """

    by_index: bool = False
    names: int = 0
    selected: list[str] = field(default_factory=list)
    unusable: list[str] = field(default_factory=list)

    def add(self, name: str, essay: str | None, essay_ids: Collection[str]) -> str | None:
        """Add a folder to `selected`, to `unusable` or to neither; return its essay."""
        if essay is None:
            self.unusable.append(name)
        elif essay in essay_ids:
            self.selected.append(name)
        return essay


def find_folders(folder: Path, essay_ids: Collection[str], index_file: Path | None = None) -> FoundFolders:
    """Find the evaluations of these essays. With `index_file`, only the metadata.json of new folders is read.

    The index is also maintained here: built when missing, damaged or old, and rewritten after many new folders.
    """
    if index_file is None:
        return _read_all(folder, essay_ids, None)
    try:
        with EvaluationIndex.opened(index_file) as index:
            found = None if index is None else _read_new(folder, essay_ids, index)
    except sqlite3.Error as error:
        log.info("%s is rebuilt: %s", index_file, error)
        found = None
    return found or _read_all(folder, essay_ids, IndexWriter(index_file))


def _read_all(folder: Path, essay_ids: Collection[str], writer: IndexWriter | None) -> FoundFolders:
    found, sums = FoundFolders(), NameSums()
    for name in folder_names(folder):
        sums.add(name)
        essay = found.add(name, _essay_of(folder, name), essay_ids)
        if writer is not None and essay is not None:
            writer.add(Entry(bucket_of(name), name, essay))
    if writer is not None:
        writer.finish()
    found.names = sums.total
    return found


def _read_new(folder: Path, essay_ids: Collection[str], index: EvaluationIndex) -> FoundFolders | None:
    """Return what the index and the new folders say; None when reading all folders is as quick."""
    sums = NameSums.of_folder(folder)
    stale = sums.differing_buckets(index.sums)
    if len(stale) > _TOO_MANY_BUCKETS:
        return None
    found = FoundFolders(by_index=True, names=sums.total)
    found.selected = [entry.name for entry in index.entries_of(essay_ids) if entry.bucket not in stale]
    if stale:
        _read_buckets(folder, essay_ids, index, stale, found)
    return found


def _read_buckets(
    folder: Path, essay_ids: Collection[str], index: EvaluationIndex, stale: set[int], found: FoundFolders
) -> None:
    """Add the folders in the stale buckets to `found`; after many changes, rewrite the index too."""
    known = {entry.name: entry.essay for entry in index.entries_in(stale)}
    current: list[Entry] = []
    new = 0
    for name in folder_names(folder):
        bucket = bucket_of(name)
        if bucket not in stale:
            continue
        essay = known.pop(name, None)
        if essay is None:
            essay, new = _essay_of(folder, name), new + 1
        if found.add(name, essay, essay_ids) is not None:
            current.append(Entry(bucket, name, str(essay)))
    if new + len(known) >= _WORTH_SAVING:
        writer = IndexWriter.based_on(index, stale)
        for entry in current:
            writer.add(entry)
        writer.finish()


def _essay_of(folder: Path, name: str) -> str | None:
    """Return the essay that a folder's metadata.json names; None when metadata.json is missing or unusable."""
    if not is_id(name):
        return None
    metadata = read_json(f"{folder}{os.sep}{name}{os.sep}{METADATA}")
    if metadata is None or replicate_of(metadata) is None:
        return None
    cell = cell_of(metadata)
    return cell.essay_id if cell else None
