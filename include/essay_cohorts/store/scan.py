"""Which evaluations judge some essays: one pass over `gens/evaluation`, with an index or without."""

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
# New folders are read each time until there are so many; then the index is rewritten.
_WORTH_SAVING = 1_000
# With so many of its buckets out of date an index saves nothing.
_TOO_MANY_BUCKETS = BUCKETS // 4


@dataclass(kw_only=True, slots=True)
class FoundFolders:
    """The sum of the `names` of all folders; those `selected` judge one of the essays, the `unusable` are in no cell.

    `by_index` is true when an index told which they are, and not the metadata.json of every folder.
    """

    by_index: bool = False
    names: int = 0
    selected: list[str] = field(default_factory=list)
    unusable: list[str] = field(default_factory=list)

    def take(self, name: str, essay: str | None, essay_ids: Collection[str]) -> str | None:
        """Take a folder to where it belongs; returns its essay."""
        if essay is None:
            self.unusable.append(name)
        elif essay in essay_ids:
            self.selected.append(name)
        return essay


def find_folders(folder: Path, essay_ids: Collection[str], index_file: Path | None = None) -> FoundFolders:
    """Find the evaluations of these essays. With `index_file` only the metadata.json of new folders is read.

    The index is kept up here: made when it is missing, damaged or old, rewritten when there are many new folders.
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
        essay = found.take(name, _essay_of(folder, name), essay_ids)
        if writer is not None and essay is not None:
            writer.add(Entry(bucket_of(name), name, essay))
    if writer is not None:
        writer.finish()
    found.names = sums.total
    return found


def _read_new(folder: Path, essay_ids: Collection[str], index: EvaluationIndex) -> FoundFolders | None:
    """Return None when reading all is as good."""
    sums = NameSums.of(folder)
    stale = sums.differing(index.sums)
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
    """Take in what the stale buckets hold; when much has changed it is written into the index."""
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
        if found.take(name, essay, essay_ids) is not None:
            current.append(Entry(bucket, name, str(essay)))
    if new + len(known) >= _WORTH_SAVING:
        writer = IndexWriter.after(index, stale)
        for entry in current:
            writer.add(entry)
        writer.finish()


def _essay_of(folder: Path, name: str) -> str | None:
    """Return the essay that a folder's metadata.json names.

    None when it is missing or puts the evaluation in no cell.
    """
    if not is_id(name):
        return None
    metadata = read_json(f"{folder}{os.sep}{name}{os.sep}{METADATA}")
    if metadata is None or replicate_of(metadata) is None:
        return None
    cell = cell_of(metadata)
    return cell.essay_id if cell else None
