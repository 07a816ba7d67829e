"""The gens store: `gens/<stage>/<gen_id>/`. The one module that knows where a generation's files are.

Besides what this package writes it reads stores of others: a prompt called `input.txt`, `evaluation_template` for
`template_id`, no `replicate` (then 1), folder names that follow no formula.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Container, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from essay_cohorts.calls import TRUNCATED, Prompt
from essay_cohorts.domain import (
    ID_RULE,
    Cell,
    Generation,
    ParserRef,
    Progress,
    RunRef,
    Stage,
    StoredEvaluation,
    is_id,
)
from essay_cohorts.errors import StoreError
from essay_cohorts.files.atomic import (
    check_inside,
    copy_former,
    create_folder_with,
    is_staging_name,
    json_text,
    make_folder,
    storing,
    sync_path,
    write_text,
)
from essay_cohorts.files.json_fields import cell_of, read_bytes, read_json, read_text, replicate_of, run_of, text_of
from essay_cohorts.leases.evaluation_lease import CLAIM, CallLease, holder_of
from essay_cohorts.leases.task_lease import TaskLease
from essay_cohorts.provenance import OFFLINE_OK, says_made_up
from essay_cohorts.store import reply_files, verdict_files
from essay_cohorts.store.index import NameSums, folder_names
from essay_cohorts.store.reply_files import FAILURE, PARSED, PARSED_METADATA, RAW, RAW_METADATA, REASONING
from essay_cohorts.store.scan import METADATA, find_folders

# Below the data root; see evaluation_index.
INDEX = ".index/evaluations.sqlite"
PROMPT = "prompt.txt"
SYSTEM_PROMPT = "system_prompt.txt"
FORMER_PROMPT = "input.txt"
_PROMPTS = frozenset({PROMPT, SYSTEM_PROMPT, FORMER_PROMPT})
_AFTER_A_CALL = _PROMPTS | {METADATA, RAW, RAW_METADATA, REASONING}
_BEFORE_A_CALL = _PROMPTS | {METADATA, CLAIM}


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationScan:
    """The stored evaluations of some essays, and a sentence for each folder that could not be read.

    `names` is the sum of all folders' names; `by_index` is true when an index told which folders to look at.
    """

    evaluations: tuple[StoredEvaluation, ...]
    warnings: tuple[str, ...]
    names: int
    by_index: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredReply:
    """A reply in the store, how it ended, and the reasoning that came apart from it."""

    text: str
    finish_reason: str = ""
    reasoning: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class GensDataLayer:
    """Reads and writes generations below one data root. Every write is atomic; nothing paid for is overwritten."""

    gens: Path
    made_up_counts: bool

    @classmethod
    def from_root(cls, root: Path) -> GensDataLayer:
        """The layer of the data root `root`; made-up scores count when its OFFLINE_OK was there at this moment."""
        return cls(gens=root / "gens", made_up_counts=(root / OFFLINE_OK).exists())

    def exists(self, stage: Stage, gen_id: str) -> bool:
        """True when the generation has a folder, whatever is in it."""
        return self._folder(stage, gen_id).is_dir()

    def parsed_exists(self, stage: Stage, gen_id: str) -> bool:
        """True when parsed.txt exists and is not empty; an empty one is a torn write of an older program."""
        return self.parsed_at(stage, gen_id) is not None

    def parsed_at(self, stage: Stage, gen_id: str) -> int | None:
        """When parsed.txt was last changed or put there, in ns since 1970; None unless `parsed_exists`."""
        try:
            found = os.stat(self._file(stage, gen_id, PARSED))  # noqa: PTH116  (asked of each evaluation)
        except (FileNotFoundError, NotADirectoryError):
            return None
        # A copy may have kept the time of its content; nobody can set the time of the change.
        return max(found.st_mtime_ns, found.st_ctime_ns) if found.st_size else None

    def reply_exists(self, gen_id: str) -> bool:
        """True when the evaluation's raw.txt exists."""
        return Path(self._file(Stage.EVALUATION, gen_id, RAW)).exists()

    def is_clean_reply(self, gen_id: str) -> bool:
        """True when a reply waits to be scored for the first time and nothing else was left beside it."""
        return RAW in (names := self.file_names(Stage.EVALUATION, gen_id)) and names <= _AFTER_A_CALL

    def generation(self, stage: Stage, gen_id: str) -> Generation | None:
        """A draft's or essay's metadata, None when it is missing or unreadable."""
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
        """metadata.json as it stands, None when it is missing or no JSON object."""
        return read_json(self._file(stage, gen_id, METADATA))

    def parsed_text(self, stage: Stage, gen_id: str) -> str | None:
        """parsed.txt: an essay's text, an evaluation's score. None when it is missing."""
        return read_text(self._file(stage, gen_id, PARSED))

    def prompt(self, gen_id: str) -> str | None:
        """An evaluation's prompt, None when it is missing."""
        folder = self._folder(Stage.EVALUATION, gen_id)
        text = read_text(folder / PROMPT)
        return text if text is not None else read_text(folder / FORMER_PROMPT)

    def whole_prompt(self, gen_id: str) -> Prompt | None:
        """What the judge is sent for an evaluation, None when its prompt is missing."""
        text = self.prompt(gen_id)
        return None if text is None else Prompt(text=text, system=self.system_prompt(gen_id))

    def system_prompt(self, gen_id: str) -> str:
        """An evaluation's system message, "" when it has none."""
        return read_text(self._file(Stage.EVALUATION, gen_id, SYSTEM_PROMPT)) or ""

    def essay_text(self, gen_id: str) -> str | None:
        """An essay's parsed.txt, None when it is missing.

        UnicodeDecodeError when it is not UTF-8: a judge must not be paid for reading replacement characters.
        """
        try:
            return read_bytes(self._file(Stage.ESSAY, gen_id, PARSED)).decode("utf-8")
        except (FileNotFoundError, IsADirectoryError):
            return None

    def reply(self, gen_id: str) -> StoredReply | None:
        """An evaluation's raw reply, None when it has none."""
        text = read_text(self._file(Stage.EVALUATION, gen_id, RAW))
        if text is None:
            return None
        record = self.reply_record(gen_id)
        finish_reason = TRUNCATED if record.get("truncated") else text_of(record, "finish_reason")
        # Looked for only where it can matter: most judges return none.
        reasoning = "" if text.strip() else read_text(self._file(Stage.EVALUATION, gen_id, REASONING)) or ""
        return StoredReply(text=text, finish_reason=finish_reason, reasoning=reasoning)

    def reasoning(self, gen_id: str) -> str | None:
        """What a judge returned apart from its answer, None when it returned none."""
        return read_text(self._file(Stage.EVALUATION, gen_id, REASONING))

    def reply_record(self, gen_id: str) -> dict[str, Any]:
        """raw_metadata.json, empty when it is missing or unreadable."""
        return read_json(self._file(Stage.EVALUATION, gen_id, RAW_METADATA)) or {}

    def counts(self, gen_id: str, record: Mapping[str, Any] | None = None) -> bool:
        """False for an evaluation with a made-up reply, where only real ones count. `record` spares a reading."""
        if self.made_up_counts:
            return True
        return not says_made_up(text_of(self.reply_record(gen_id) if record is None else record, "response_model"))

    def reply_runs(self, gen_id: str) -> frozenset[RunRef]:
        """The DagRuns that bought this evaluation's reply and its former ones."""
        return frozenset(run_of(record) for record in reply_files.records(self._folder(Stage.EVALUATION, gen_id)))

    def record_of_call(self, gen_id: str, call: str) -> dict[str, Any] | None:
        """The metadata of the reply, a former one or one not yet in place, that answers this request."""
        records = reply_files.records(self._folder(Stage.EVALUATION, gen_id), pending=True) if is_id(gen_id) else []
        return next((record for record in records if record.get("call") == call), None)

    def call_lease(self, gen_id: str, card: TaskLease) -> CallLease:
        """The right to call for this evaluation and to put its reply in place."""
        return CallLease(self._writable(gen_id), card)

    def has_lease(self, gen_id: str) -> bool:
        """True when somebody calls for this evaluation, or died while doing so."""
        return Path(self._file(Stage.EVALUATION, gen_id, CLAIM)).exists()

    def caller(self, gen_id: str) -> str | None:
        """Who is calling for this evaluation right now, in words; None when nobody is."""
        return holder_of(self.gens.parent, self._folder(Stage.EVALUATION, gen_id))

    def verdict_record(self, gen_id: str) -> dict[str, Any]:
        """parsed_metadata.json, empty when it is missing or unreadable."""
        return read_json(self._file(Stage.EVALUATION, gen_id, PARSED_METADATA)) or {}

    def former_text(self, gen_id: str, name: str) -> str | None:
        """A former file of an evaluation, by one of its `file_names`; None when it is missing."""
        if Path(name).name != name:
            raise StoreError(f"{name!r} cannot be a file of {gen_id}.")
        return read_text(self._file(Stage.EVALUATION, gen_id, name))

    def failure_record(self, gen_id: str) -> dict[str, Any]:
        """failure.json, empty when it is missing or unreadable."""
        return read_json(self._file(Stage.EVALUATION, gen_id, FAILURE)) or {}

    def seed(self, gen_id: str, metadata: Mapping[str, Any], *, shared: bool = True) -> None:
        """Creates the folder with its metadata.json, both at once. The same seed twice is fine.

        StoreError when the folder holds another generation, or unless `shared` that of another cohort: it is never
        rewritten.
        """
        folder = self._writable(gen_id)
        if not os.path.isdir(folder.parent):  # noqa: PTH112  (asked for each seed)
            make_folder(self.gens.parent, folder.parent)
        if create_folder_with(folder, METADATA, json_text(metadata)):
            return
        present = self.metadata(Stage.EVALUATION, gen_id) or {}
        same = ["parent_gen_id", "template_id", "llm_model_id", "replicate"] + ["origin_cohort_id"] * (not shared)
        if [present.get(key) for key in same] != [metadata[key] for key in same]:
            raise StoreError(
                f"gens/evaluation/{gen_id} was taken by another evaluation while this cohort was planned. "
                "Nothing was overwritten; trigger the run again."
            )

    def drop_unfinished_seeds(self) -> None:
        """Removes what a planner that died in `seed` left; nobody but the one whose turn it is may be seeding."""
        folder = self.gens / Stage.EVALUATION
        for name in folder_names(folder, temporary=True):
            left = folder / name
            if is_staging_name(name) and not left.is_symlink():
                with suppress(OSError):
                    if set(os.listdir(left)) <= {METADATA}:  # noqa: PTH208
                        (left / METADATA).unlink(missing_ok=True)
                        left.rmdir()

    def sync(self) -> None:
        """Makes the folders created by `seed` durable."""
        folder = self.gens / Stage.EVALUATION
        if folder.is_dir():
            sync_path(folder)

    def write_prompt(self, gen_id: str, prompt: str, system: str = "") -> None:
        """Writes prompt.txt unless it holds this very prompt already. That of a stored reply is kept beside it.

        system_prompt.txt goes with it; while it changes there is no prompt.txt, so that no call mixes two prompts.
        """
        former = self.whole_prompt(gen_id)
        if former == Prompt(text=prompt, system=system):
            return
        path = self._writable(gen_id) / PROMPT
        if self.reply_exists(gen_id):
            with storing(path):
                copy_former(path)
                copy_former(path.with_name(SYSTEM_PROMPT))
        if (former.system if former else self.system_prompt(gen_id)) != system:
            self.drop_prompt(gen_id)
            if system:
                write_text(path.with_name(SYSTEM_PROMPT), system, folder_later=True)
        # The folder is made durable with the reply; without one a lost prompt is written again.
        write_text(path, prompt, folder_later=True)

    def drop_prompt(self, gen_id: str) -> None:
        """Removes the prompt of an evaluation that must not be asked with it."""
        path = self._writable(gen_id) / PROMPT
        with storing(path):
            path.unlink(missing_ok=True)
            path.with_name(SYSTEM_PROMPT).unlink(missing_ok=True)

    def store_reply(self, gen_id: str, text: str, metadata: Mapping[str, Any], reasoning: str = "") -> None:
        """Stores a reply as raw_metadata.json and raw.txt, and removes failure.json. A former reply is kept.

        Reasoning that came apart from it goes into reasoning.txt.
        """
        reply_files.store(self._writable(gen_id), text, metadata, reasoning)

    def complete_reply(self, gen_id: str) -> bool:
        """Finishes the storing of a whole reply that a crash left in temporary files; False when there is none."""
        return reply_files.complete(self._writable(gen_id))

    def drop_stale_failure(self, gen_id: str) -> None:
        """Removes a failure.json that is older than the reply beside it."""
        reply_files.drop_stale_failure(self._writable(gen_id))

    def write_verdict(self, gen_id: str, metadata: Mapping[str, Any], score: str | None) -> None:
        """Writes parsed_metadata.json, then parsed.txt when there is a score. A score that exists stays."""
        if not self.parsed_exists(Stage.EVALUATION, gen_id):
            verdict_files.write_first(self._writable(gen_id), metadata, score)

    def replace_verdict(
        self, gen_id: str, metadata: Mapping[str, Any], score: str | None, *, result_changes: bool
    ) -> None:
        """Puts a verdict in the place of the one that stands there, and keeps that: see verdict_files."""
        verdict_files.replace(self._writable(gen_id), metadata, score, result_changes=result_changes)

    def half_replaced(self, gen_id: str) -> dict[str, Any] | None:
        """The metadata that parsed.txt came with, when the replacing of a verdict died before it; else None."""
        return verdict_files.half_replaced(self._folder(Stage.EVALUATION, gen_id))

    def write_failure(self, gen_id: str, failure: Mapping[str, Any]) -> None:
        """Writes failure.json, in place of a former one."""
        write_text(self._writable(gen_id) / FAILURE, json_text(failure))

    def scan_evaluations(self, essay_ids: Collection[str], *, by_index: bool = False) -> EvaluationScan:
        """Finds the evaluations of these essays in one pass over `gens/evaluation`; reads one file of the others.

        With `by_index` the others are not read but for new ones; without it nothing but the store is relied on.
        """
        index = self.gens.parent / INDEX if by_index else None
        found = find_folders(self.gens / Stage.EVALUATION, essay_ids, index)
        evaluations: list[StoredEvaluation] = []
        warnings = [_unusable(name) for name in found.unusable]
        for name in found.selected:
            metadata = self.metadata(Stage.EVALUATION, name) or {}
            cell, replicate = cell_of(metadata), replicate_of(metadata)
            if cell is None or replicate is None:
                warnings.append(_unusable(name))
            elif cell.essay_id in essay_ids:
                stored = self._inspect(name, cell, replicate, text_of(metadata, "origin_cohort_id"))
                evaluations.append(stored)
                if (
                    stored.progress is not Progress.PARSED
                    and (self._folder(Stage.EVALUATION, name) / PARSED).exists()
                ):
                    warnings.append(f"gens/evaluation/{name}: its parsed.txt is empty; treated as missing.")
        return EvaluationScan(
            evaluations=tuple(evaluations),
            warnings=tuple(sorted(warnings)),
            names=found.names,
            by_index=found.by_index,
        )

    def folder_names(self, stage: Stage, *, temporary: bool = False) -> list[str]:
        """The names of a stage's folders, in no order; with `temporary` those that a crash left unfinished."""
        return list(folder_names(self.gens / stage, temporary=temporary))

    def names_seen(self) -> int:
        """A sum that differs once an evaluation's folder was added or removed; a look at all names."""
        return NameSums.of(self.gens / Stage.EVALUATION).total

    def file_names(self, stage: Stage, gen_id: str) -> frozenset[str]:
        """The names of a generation's files, temporary ones included; none without its folder."""
        try:
            return frozenset(os.listdir(self._file(stage, gen_id, "")))  # noqa: PTH208  (asked of each evaluation)
        except (FileNotFoundError, NotADirectoryError):
            return frozenset()

    def is_untouched(self, gen_id: str) -> bool:
        """True when nobody was asked for this evaluation yet: one look at its folder that spares many."""
        names = self.file_names(Stage.EVALUATION, gen_id)
        return bool(names) and names <= _BEFORE_A_CALL

    def is_only_seeded(self, gen_id: str) -> bool:
        """True when it is untouched, with its metadata.json, and nobody is about to call for it."""
        names = self.file_names(Stage.EVALUATION, gen_id)
        return METADATA in names and names <= _BEFORE_A_CALL and CLAIM not in names

    def has_pending_reply(self, gen_id: str) -> bool:
        """True when a whole reply waits in temporary files; `complete_reply` puts it in place."""
        return reply_files.is_pending(self._folder(Stage.EVALUATION, gen_id))

    def reply_is_as_recorded(self, gen_id: str) -> bool:
        """False when raw.txt is not the reply whose hash raw_metadata.json holds (older records hold none)."""
        return reply_files.is_as_recorded(self._folder(Stage.EVALUATION, gen_id))

    def occupied(self) -> Container[str]:
        """Answers `gen_id in ...`: does it name a folder, or anything else, among the evaluations?"""
        return _Occupied(self)

    def _inspect(self, gen_id: str, cell: Cell, replicate: int, origin: str) -> StoredEvaluation:
        progress, refused_by, refusal, reply_run = Progress.NO_REPLY, None, "", None
        if self.parsed_exists(Stage.EVALUATION, gen_id):
            progress = Progress.PARSED
        elif self.has_pending_reply(gen_id):
            progress = Progress.REPLIED
        elif self.reply_exists(gen_id):
            progress = Progress.REPLIED
            verdict, reply = self.verdict_record(gen_id), self.reply_record(gen_id)
            if verdict.get("success") is False:
                refused_by = ParserRef(text_of(verdict, "parser_name"), text_of(verdict, "parser_version"))
                refusal = text_of(verdict, "reason")
            reply_run = run_of(reply)
        return StoredEvaluation(
            gen_id=gen_id,
            cell=cell,
            replicate=replicate,
            origin_cohort_id=origin,
            progress=progress,
            refused_by=refused_by,
            refusal=refusal,
            reply_run=reply_run,
        )

    def _folder(self, stage: Stage, gen_id: str) -> Path:
        _check_id(stage, gen_id)
        return self.gens / stage / gen_id

    def _writable(self, gen_id: str) -> Path:
        """An evaluation's folder, once it is sure that what is written there stays in the data root."""
        folder = self._folder(Stage.EVALUATION, gen_id)
        check_inside(self.gens.parent, folder)
        return folder

    def _file(self, stage: Stage, gen_id: str, name: str) -> str:
        """Where a file is that is read: as a text, since of 10,000 evaluations pathlib alone costs a second."""
        _check_id(stage, gen_id)
        return f"{self.gens}{os.sep}{stage}{os.sep}{gen_id}{os.sep}{name}"


def _check_id(stage: Stage, gen_id: str) -> None:
    if not is_id(gen_id):
        raise StoreError(f"{gen_id!r} cannot be a {stage} id. {ID_RULE}")


def _unusable(name: str) -> str:
    return f"gens/evaluation/{name}: its metadata.json is missing or unusable; it is in no cell."


@dataclass(frozen=True, slots=True)
class _Occupied:
    layer: GensDataLayer

    def __contains__(self, gen_id: object) -> bool:
        return os.path.lexists(self.layer._folder(Stage.EVALUATION, str(gen_id)))
