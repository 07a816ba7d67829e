"""Imports essays into a data root: decides what is new, what is known and what conflicts, then writes.

Nothing is written while there is a problem. Each essay is one folder that appears with all its files at once, so that
an import that was killed is completed by running the command again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from math import isfinite
from pathlib import Path
from typing import Any

from essay_cohorts.domain import Stage
from essay_cohorts.errors import Checked, Problem, StoreError
from essay_cohorts.files.atomic import create_folder_with, json_text, make_folder, sync_path, write_text
from essay_cohorts.files.parallel_map import parallel_map
from essay_cohorts.importing.essay_ids import renewed_id
from essay_cohorts.importing.essay_sources import SourceEssay
from essay_cohorts.store.gens_data_layer import GensDataLayer
from essay_cohorts.store.reply_files import PARSED
from essay_cohorts.store.scan import METADATA

# The mode of an essay that a person brought, in its metadata.json.
IMPORTED = "imported"


class _Kind(Enum):
    NEW = auto()
    UPDATED = auto()
    KNOWN = auto()
    OTHER_TEXT = auto()


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportPlan:
    """What an import does: `new` essays are created, `updated` ones get a new title, group or columns.

    `known` essays are in the data root already, and nothing about them changes.
    """

    new: tuple[SourceEssay, ...]
    updated: tuple[SourceEssay, ...]
    known: tuple[SourceEssay, ...]

    @property
    def essay_ids(self) -> list[str]:
        """The ids of all essays of the source."""
        return sorted(essay.essay_id for essay in (*self.new, *self.updated, *self.known))


def plan_import(root: Path, essays: Sequence[SourceEssay], *, as_new: bool = False) -> Checked[ImportPlan]:
    """Compare essays with those of the data root.

    A known id with another text is a problem, because its evaluations judged the former text. With `as_new` such an
    essay gets a new id. An id that differs from a known one only by case is a problem too, because the gen_ids of
    both essays' evaluations would be the same.
    """
    store = GensDataLayer.from_root(root)
    if as_new:
        essays = [each for _, each in parallel_map(lambda each: _renewed(store, each), essays)]
    by_case = {name.lower(): name for name in store.folder_names(Stage.ESSAY)}
    found: dict[_Kind, list[SourceEssay]] = {kind: [] for kind in _Kind}
    problems: list[Problem] = []
    for essay, kind in parallel_map(lambda each: _kind_of(store, each), essays):
        found[kind].append(essay)
        known = by_case.get(essay.essay_id.lower(), essay.essay_id)
        if kind is _Kind.OTHER_TEXT:
            problems.append(_other_text(essay))
        elif known != essay.essay_id:
            problems.append(_other_case(essay, known))
    plan = ImportPlan(
        new=tuple(found[_Kind.NEW]), updated=tuple(found[_Kind.UPDATED]), known=tuple(found[_Kind.KNOWN])
    )
    return Checked(value=plan, problems=tuple(problems))


def write_essays(root: Path, plan: ImportPlan) -> Iterator[SourceEssay]:
    """Write the new essays and the new descriptions; yield each one that is done. StoreError if the disk refuses."""
    store, folder = GensDataLayer.from_root(root), make_folder(root, root / "gens" / Stage.ESSAY)

    def write(essay: SourceEssay) -> None:
        path = folder / essay.essay_id
        files = {METADATA: json_text(_metadata(essay)), PARSED: essay.text}
        if not create_folder_with(path, files) and store.parsed_text(Stage.ESSAY, essay.essay_id) != essay.text:
            msg = f"Another process created gens/essay/{essay.essay_id} with another text. Run the import again."
            raise StoreError(msg)

    for essay, _ in parallel_map(write, plan.new):
        yield essay
    for essay in plan.updated:
        metadata = {**(store.metadata(Stage.ESSAY, essay.essay_id) or {}), **_stated(essay)}
        write_text(folder / essay.essay_id / METADATA, json_text(metadata))
        yield essay
    sync_path(folder)


def _renewed(store: GensDataLayer, essay: SourceEssay) -> SourceEssay:
    if _kind_of(store, essay) is not _Kind.OTHER_TEXT:
        return essay
    return replace(essay, essay_id=renewed_id(essay.essay_id, essay.text))


def _kind_of(store: GensDataLayer, essay: SourceEssay) -> _Kind:
    if not store.exists(Stage.ESSAY, essay.essay_id):
        return _Kind.NEW
    if store.parsed_text(Stage.ESSAY, essay.essay_id) != essay.text:
        return _Kind.OTHER_TEXT
    metadata = store.metadata(Stage.ESSAY, essay.essay_id) or {}
    is_same = metadata.get("mode") != IMPORTED or metadata == {**metadata, **_stated(essay)}
    return _Kind.KNOWN if is_same else _Kind.UPDATED


def _other_text(essay: SourceEssay) -> Problem:
    finding = f"the essay {essay.essay_id} has another text in this data root, and its evaluations judged that text."
    next_step = "Give the changed essay its own id, or import with --as-new, which makes a new id for each."
    return Problem(place=essay.place, finding=finding, next_step=next_step)


def _other_case(essay: SourceEssay, known: str) -> Problem:
    finding = f"the ids {essay.essay_id} and {known}, which this data root has, differ only by case."
    return Problem(place=essay.place, finding=finding, next_step="Give the essay another id.")


def _metadata(essay: SourceEssay) -> dict[str, Any]:
    return {
        "stage": Stage.ESSAY.value,
        "gen_id": essay.essay_id,
        "origin_cohort_id": "",
        "mode": IMPORTED,
        "parent_gen_id": "",
        "replicate": 1,
        **_description(essay),
    }


def _description(essay: SourceEssay) -> Mapping[str, Any]:
    return {"title": essay.title, "group": essay.group, "columns": _plain(dict(essay.columns))}


def _stated(essay: SourceEssay) -> Mapping[str, Any]:
    """Return what the source states of the essay; what it does not state keeps its former value."""
    return {name: value for name, value in _description(essay).items() if name in essay.stated}


def _plain(value: Any) -> Any:
    """Return a value as JSON can hold it: dates and other types of Parquet become text."""
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return value if isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)
