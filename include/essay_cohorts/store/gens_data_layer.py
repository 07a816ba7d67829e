"""The gens store: `gens/<stage>/<gen_id>/` holds the drafts, essays and evaluations of one data root.

`evaluation(gen_id)` returns the files of one evaluation. Here drafts and essays are read, and all folders searched.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Container, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from essay_cohorts.domain import ID_RULE, Generation, Progress, Stage, StoredEvaluation, is_id
from essay_cohorts.errors import StoreError
from essay_cohorts.files.atomic import is_staging_name, storing
from essay_cohorts.files.flush import flush_file_system
from essay_cohorts.files.json_files import read_bytes, read_json, read_text
from essay_cohorts.provenance import OFFLINE_OK
from essay_cohorts.records import EvaluationMetadata, ReplyRecord, replicate_of, text_of
from essay_cohorts.store.evaluation import EvaluationFolder, parsed_at
from essay_cohorts.store.evaluation_state import read_state
from essay_cohorts.store.reply_files import PARSED
from essay_cohorts.store.scan import METADATA, IndexChanges, find_folders, folder_names, sum_of_names


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationScan:
    """The stored evaluations of some essays, and one warning for each folder that could not be read.

    `names` is the sum of all folder names (see `names_seen`); `by_index` is true when the index was trusted.
    `changes` brings the index up to date.
    """

    evaluations: tuple[StoredEvaluation, ...]
    warnings: tuple[str, ...]
    names: int
    by_index: bool
    changes: IndexChanges


@dataclass(frozen=True, kw_only=True, slots=True)
class GensDataLayer:
    """The generations below one data root."""

    root: Path
    gens: Path
    made_up_counts: bool

    @classmethod
    def from_root(cls, root: Path) -> GensDataLayer:
        """Return the layer of the data root `root`; made-up scores count when its OFFLINE_OK exists now."""
        return cls(root=root, gens=root / "gens", made_up_counts=(root / OFFLINE_OK).exists())

    def evaluation(self, gen_id: str) -> EvaluationFolder:
        """Return the files of one evaluation, existing or not. StoreError when `gen_id` is not a valid id."""
        _check_id(Stage.EVALUATION, gen_id)
        return EvaluationFolder(root=self.root, gen_id=gen_id, made_up_counts=self.made_up_counts)

    def parsed_at(self, gen_id: str) -> int | None:
        """Return the `parsed_at` of an evaluation, for readers of a hundred thousand of them."""
        return parsed_at(self._file(Stage.EVALUATION, gen_id, ""))

    def exists(self, stage: Stage, gen_id: str) -> bool:
        """Return True when the generation has a folder, even an empty one."""
        return os.path.isdir(self._file(stage, gen_id, ""))  # noqa: PTH112  (called for each evaluation)

    def is_empty(self, stage: Stage, gen_id: str) -> bool:
        """Return True when the generation has no folder, or no file in it."""
        try:
            return not os.listdir(self._file(stage, gen_id, ""))  # noqa: PTH208  (called for each evaluation)
        except (FileNotFoundError, NotADirectoryError):
            return True

    def generation(self, stage: Stage, gen_id: str) -> Generation | None:
        """Return the metadata of a draft or essay; None when it is missing or unreadable."""
        metadata = self.metadata(stage, gen_id)
        if metadata is None:
            return None
        return Generation(
            gen_id=gen_id,
            parent_gen_id=text_of(metadata, "parent_gen_id"),
            combo_id=text_of(metadata, "combo_id"),
            template_id=text_of(metadata, "template_id") or text_of(metadata, f"{stage}_template"),
            llm_model_id=text_of(metadata, "llm_model_id"),
            replicate=replicate_of(metadata) or 1,
        )

    def metadata(self, stage: Stage, gen_id: str) -> dict[str, Any] | None:
        """Return metadata.json unchanged; None when it is missing or not a JSON object."""
        return read_json(self._file(stage, gen_id, METADATA))

    def parsed_text(self, stage: Stage, gen_id: str) -> str | None:
        """Return parsed.txt, the text of an essay or the score of an evaluation; None when it is missing."""
        return read_text(self._file(stage, gen_id, PARSED))

    def essay_text(self, gen_id: str) -> str | None:
        """Return the parsed.txt of an essay; None when it is missing.

        UnicodeDecodeError when it is not UTF-8: a judge must not be paid for reading replacement characters.
        """
        try:
            return read_bytes(self._file(Stage.ESSAY, gen_id, PARSED)).decode("utf-8")
        except (FileNotFoundError, IsADirectoryError):
            return None

    def record_of_call(self, gen_id: str, call: str) -> ReplyRecord | None:
        """Return the record of the reply to a request; None when there is none or `gen_id` is not a valid id."""
        return self.evaluation(gen_id).record_of_call(call) if is_id(gen_id) else None

    def scan_evaluations(
        self, essay_ids: Collection[str], index: Mapping[str, str] | None = None, *, by_index: bool = False
    ) -> EvaluationScan:
        """Find the evaluations of these essays in one pass over `gens/evaluation`.

        Without `by_index`, the metadata.json of every folder is read; with it, only that of folders that the index
        (gen_id -> essay_id) does not know.
        """
        found = find_folders(self.gens / Stage.EVALUATION, essay_ids, index, by_index=by_index)
        evaluations: list[StoredEvaluation] = []
        warnings = [_unusable(name) for name in found.unusable]
        for name in found.selected:
            metadata = self.evaluation(name).metadata() or EvaluationMetadata()
            cell, replicate = metadata.cell, metadata.replicate
            if cell is None or replicate is None:
                warnings.append(_unusable(name))
            elif cell.essay_id in essay_ids:
                stored = StoredEvaluation(
                    gen_id=name, cell=cell, replicate=replicate, origin_cohort_id=metadata.origin_cohort_id
                )
                evaluations.append(self._with_progress(stored, warnings))
        return EvaluationScan(
            evaluations=tuple(evaluations),
            warnings=tuple(sorted(warnings)),
            names=found.names,
            by_index=found.by_index,
            changes=found.changes,
        )

    def _with_progress(self, stored: StoredEvaluation, warnings: list[str]) -> StoredEvaluation:
        evaluation = self.evaluation(stored.gen_id)
        if evaluation.is_parsed():  # as read_state decides, but without reading the score
            return replace(stored, progress=Progress.PARSED)
        state = read_state(evaluation)
        if state.parsed_is_empty:
            warnings.append(f"gens/evaluation/{stored.gen_id}: its parsed.txt is empty; treated as missing.")
        return replace(
            stored,
            progress=state.progress,
            refused_by=state.verdict.parser if state.is_refused else None,
            refusal=state.verdict.reason if state.is_refused else "",
            reply_run=state.reply.run if state.progress is Progress.REPLIED and not state.is_pending else None,
        )

    def folder_names(self, stage: Stage, *, temporary: bool = False) -> list[str]:
        """Return the names of a stage's folders in any order; with `temporary` only those that a crash left."""
        return folder_names(self.gens / stage, temporary=temporary)

    def names_seen(self) -> int:
        """Return a sum that changes when an evaluation's folder is added or removed; takes one listing."""
        return sum_of_names(folder_names(self.gens / Stage.EVALUATION))

    def occupied(self) -> Container[str]:
        """Return a container of the taken ids: `gen_id in ...` is true when anything has that name."""
        return _Occupied(self)

    def drop_unfinished_seeds(self) -> None:
        """Remove what a planner that died in `seed` left behind; the caller must hold the planning lock."""
        folder = self.gens / Stage.EVALUATION
        for name in folder_names(folder, temporary=True):
            unfinished = folder / name
            if is_staging_name(name) and not unfinished.is_symlink():
                with suppress(OSError):
                    if set(os.listdir(unfinished)) <= {METADATA}:  # noqa: PTH208
                        (unfinished / METADATA).unlink(missing_ok=True)
                        unfinished.rmdir()

    def flush(self) -> None:
        """Wait until everything that was written to evaluations is on their disk."""
        folder = self.gens / Stage.EVALUATION  # may be on another disk than the data root
        with storing(self.gens):
            flush_file_system(folder if folder.is_dir() else self.root)

    def _file(self, stage: Stage, gen_id: str, name: str) -> str:
        _check_id(stage, gen_id)
        return f"{self.gens}{os.sep}{stage}{os.sep}{gen_id}{os.sep}{name}"


def _check_id(stage: Stage, gen_id: str) -> None:
    if not is_id(gen_id):
        msg = f"{gen_id!r} is not a valid {stage} id. {ID_RULE}"
        raise StoreError(msg)


def _unusable(name: str) -> str:
    return f"gens/evaluation/{name}: metadata.json is missing or unusable, so the evaluation belongs to no cell."


@dataclass(frozen=True, slots=True)
class _Occupied:
    layer: GensDataLayer

    def __contains__(self, gen_id: object) -> bool:
        return os.path.lexists(self.layer.evaluation(str(gen_id)).path)
