"""One evaluation of the store: the files of `gens/evaluation/<gen_id>/`, read and written.

| file | holds |
|---|---|
| `metadata.json` | the cell, the replicate, the cohort; written once, together with the folder |
| `prompt.txt`, `system_prompt.txt`, `response_format.json` | what the judge is asked (see prompt_files) |
| `raw.txt`, `raw_metadata.json`, `reasoning.txt` | the reply (see reply_files) |
| `parsed_metadata.json`, `parsed.txt` | the verdict and the score (see verdict_files) |
| `failure.json` | why the last call brought no reply |

Stores that other programs wrote are read too: there the prompt may be called `input.txt`, the template
`evaluation_template`, and a missing `replicate` means 1.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from essay_cohorts.calls import Prompt
from essay_cohorts.domain import RunRef
from essay_cohorts.errors import StoreError
from essay_cohorts.files.atomic import (
    check_inside,
    json_text,
    make_folder,
    place_folder,
    stage_folder,
    write_text,
)
from essay_cohorts.files.json_files import read_json, read_text
from essay_cohorts.records import EvaluationMetadata, FailureRecord, ReplyRecord, VerdictRecord, run_of
from essay_cohorts.store import prompt_files, reply_files, verdict_files
from essay_cohorts.store.prompt_files import PROMPT_FILES
from essay_cohorts.store.reply_files import FAILURE, PARSED, PARSED_METADATA, RAW, RAW_METADATA, REASONING
from essay_cohorts.store.scan import METADATA

# A claim of version 0.1.0, which a crash may have left behind; today the ledger holds the claims.
_FORMER_CLAIM = "call.json"
BEFORE_A_CALL = PROMPT_FILES | {METADATA, _FORMER_CLAIM}
_AFTER_A_CALL = BEFORE_A_CALL | {RAW, RAW_METADATA, REASONING}


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredReply:
    """A reply in the store, the judge's finish reason, and the reasoning that the server returned separately."""

    text: str
    finish_reason: str = ""
    reasoning: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationFolder:
    """The files of one evaluation. Every write is atomic; nothing that was paid for is overwritten.

    `root` is the data root. With `made_up_counts` false, the method `counts` returns False for made-up replies.
    """

    root: Path
    gen_id: str
    made_up_counts: bool

    @property
    def path(self) -> Path:
        """The folder `gens/evaluation/<gen_id>`."""
        return Path(self._file(""))

    def exists(self) -> bool:
        """Return True when the folder exists, even an empty one."""
        return os.path.isdir(self._file(""))  # noqa: PTH112  (called for each evaluation)

    def file_names(self) -> frozenset[str]:
        """Return the names of all files, temporary ones too; an empty set when the folder is missing."""
        try:
            return frozenset(os.listdir(self._file("")))  # noqa: PTH208  (called for each evaluation)
        except (FileNotFoundError, NotADirectoryError):
            return frozenset()

    def is_parsed(self) -> bool:
        """Return True when parsed.txt exists and is not empty: an older program could leave an empty file."""
        return self.parsed_at() is not None

    def parsed_at(self) -> int | None:
        """Return when the score or its verdict was last changed or put in place; None unless `is_parsed`.

        The time is in ns since 1970. The verdict tells the scale of the score and the scores of its criteria.
        """
        return parsed_at(self._file(""))

    def has_reply(self) -> bool:
        """Return True when raw.txt exists."""
        return Path(self._file(RAW)).exists()

    def is_clean_reply(self) -> bool:
        """Return True when the folder holds a reply, no verdict, and no temporary file of a crashed process."""
        return RAW in (names := self.file_names()) and names <= _AFTER_A_CALL

    def is_untouched(self) -> bool:
        """Return True when no judge was asked for this evaluation yet."""
        names = self.file_names()
        return bool(names) and names <= BEFORE_A_CALL

    def is_only_seeded(self) -> bool:
        """Return True when the evaluation is untouched and has its metadata.json."""
        names = self.file_names()
        return METADATA in names and names <= BEFORE_A_CALL

    def has_pending_reply(self) -> bool:
        """Return True when the folder has a pending reply (see reply_files); `complete_reply` renames its files."""
        return reply_files.is_pending(self.path)

    def reply_matches_record(self) -> bool:
        """Return True when raw.txt has the hash in raw_metadata.json, or when no hash is recorded."""
        return reply_files.matches_recorded_hash(self.path)

    def metadata(self) -> EvaluationMetadata | None:
        """Return metadata.json; None when it is missing or not a JSON object."""
        found = read_json(self._file(METADATA))
        return None if found is None else EvaluationMetadata(found)

    def reply_record(self) -> ReplyRecord:
        """Return raw_metadata.json; an empty record when it is missing or damaged."""
        return ReplyRecord(read_json(self._file(RAW_METADATA)) or {})

    def verdict_record(self) -> VerdictRecord:
        """Return parsed_metadata.json; an empty record when it is missing or damaged."""
        return VerdictRecord(read_json(self._file(PARSED_METADATA)) or {})

    def failure_record(self) -> FailureRecord:
        """Return failure.json; an empty record when it is missing or damaged."""
        return FailureRecord(read_json(self._file(FAILURE)) or {})

    def counts(self, record: ReplyRecord | None = None) -> bool:
        """Return False for a made-up reply where only real replies count; `record` saves reading the record."""
        return self.made_up_counts or not (self.reply_record() if record is None else record).is_made_up

    def parsed_text(self) -> str | None:
        """Return the content of parsed.txt, the score; None when the file is missing."""
        return read_text(self._file(PARSED))

    def whole_prompt(self) -> Prompt | None:
        """Return what the judge is sent; None when the prompt is missing."""
        return prompt_files.read(self._file(""))

    def reply(self) -> StoredReply | None:
        """Return the stored reply; None when there is none."""
        text = read_text(self._file(RAW))
        if text is None:
            return None
        # The reasoning matters only for an empty reply, so the file is not read for the others.
        reasoning = "" if text.strip() else self.reasoning() or ""
        return StoredReply(text=text, finish_reason=self.reply_record().finish_reason, reasoning=reasoning)

    def reasoning(self) -> str | None:
        """Return what the judge returned apart from its answer; None when it returned nothing."""
        return read_text(self._file(REASONING))

    def reply_runs(self) -> frozenset[RunRef]:
        """Return the DagRuns that paid for the reply and for the former replies."""
        return frozenset(run_of(record) for record in reply_files.records(self.path))

    def record_of_call(self, call: str) -> ReplyRecord | None:
        """Return the record of the reply to this request, among the current, former and pending replies."""
        records = (ReplyRecord(fields) for fields in reply_files.records(self.path, pending=True))
        return next((record for record in records if record.call == call), None)

    def former_text(self, name: str) -> str | None:
        """Return the content of a former file named in `file_names`; None when it is missing."""
        if Path(name).name != name:
            msg = f"{name!r} is not a file of {self.gen_id}."
            raise StoreError(msg)
        return read_text(self._file(name))

    def verdict_of(self, parsed: str) -> VerdictRecord:
        """Return the record that belongs to the content of parsed.txt.

        It is not parsed_metadata.json when a crash left the replacement of a verdict half done.
        """
        record = self.verdict_record()
        try:
            is_of_score = record.score == float(parsed)
        except ValueError:
            is_of_score = False
        return record if is_of_score else self.half_replaced() or record

    def half_replaced(self) -> VerdictRecord | None:
        """Return the record that belongs to parsed.txt when a crash left the replacement of a verdict half done.

        None when no replacement is half done.
        """
        found = verdict_files.half_replaced(self.path)
        return None if found is None else VerdictRecord(found)

    def stage_seed(self, metadata: Mapping[str, Any]) -> Path:
        """Write the folder and its metadata.json under a temporary name, without waiting for the disk."""
        folder = self.writable()
        if not os.path.isdir(folder.parent):  # noqa: PTH112  (called for each seed)
            make_folder(self.root, folder.parent)
        return stage_folder(folder, {METADATA: json_text(metadata)}, durable=False)

    def place_seed(self, staged: Path, metadata: Mapping[str, Any], *, shared: bool = True) -> None:
        """Give a staged seed its name. A second, equal seed changes nothing.

        StoreError when the folder holds another evaluation or, unless `shared`, an evaluation of another cohort.
        """
        if place_folder(staged, self.path):
            return
        found = self.metadata()
        present = found.fields if found else {}
        same = ["parent_gen_id", "template_id", "llm_model_id", "replicate"] + ["origin_cohort_id"] * (not shared)
        if [present.get(key) for key in same] != [metadata[key] for key in same]:
            msg = (
                f"gens/evaluation/{self.gen_id} was taken by another evaluation while this cohort was planned. "
                "Nothing was overwritten; trigger the run again."
            )
            raise StoreError(msg)

    def write_prompt(self, prompt: Prompt) -> None:
        """Write the prompt unless the files hold the same one already; the prompt of a stored reply is kept."""
        if self.whole_prompt() != prompt:
            prompt_files.write(self.writable(), prompt, keep_former=self.has_reply())

    def drop_prompt(self) -> None:
        """Remove the prompt, so that no call sends it."""
        prompt_files.drop(self.writable())

    def store_reply(self, text: str, metadata: Mapping[str, Any], reasoning: str = "") -> None:
        """Store a reply as raw_metadata.json and raw.txt, and remove failure.json. A former reply is kept.

        Reasoning that the server returned apart from the reply goes into reasoning.txt.
        """
        reply_files.store(self.writable(), text, metadata, reasoning)

    def complete_reply(self) -> bool:
        """Give a pending reply (see reply_files) its final file names; return False when there is none."""
        return reply_files.complete(self.writable())

    def drop_stale_failure(self) -> None:
        """Remove a failure.json that is older than the reply."""
        reply_files.drop_stale_failure(self.writable())

    def write_verdict(self, metadata: Mapping[str, Any]) -> None:
        """Write parsed_metadata.json, without waiting for the disk, unless there is a score."""
        if not self.is_parsed():
            verdict_files.write_record(self.writable(), metadata)

    def write_score(self, score: str, metadata: Mapping[str, Any]) -> None:
        """Write parsed.txt, without waiting for the disk, unless there is a score or another verdict by now."""
        if not self.is_parsed() and verdict_files.is_recorded(self.path, metadata):
            verdict_files.write_score(self.writable(), score)

    def replace_verdict(self, metadata: Mapping[str, Any], score: str | None, *, result_changes: bool) -> None:
        """Replace the verdict and keep the former one: see verdict_files."""
        verdict_files.replace(self.writable(), metadata, score, result_changes=result_changes)

    def write_failure(self, failure: Mapping[str, Any]) -> None:
        """Write failure.json; a former failure.json is replaced."""
        write_text(self.writable() / FAILURE, json_text(failure))

    def writable(self) -> Path:
        """Return the folder for writing. StoreError when the path leads out of the data root."""
        folder = self.path
        check_inside(self.root, folder)
        return folder

    def _file(self, name: str) -> str:
        """Return the path of a file as text: pathlib would take a second for 10,000 evaluations."""
        return f"{self.root}{os.sep}gens{os.sep}evaluation{os.sep}{self.gen_id}{os.sep}{name}"


def parsed_at(folder: str) -> int | None:
    """Return the `parsed_at` of the evaluation in this folder, whose path ends with a separator."""
    times = []
    for name in (PARSED, PARSED_METADATA):
        try:
            found = os.stat(folder + name)  # noqa: PTH116  (called for each evaluation)
        except (FileNotFoundError, NotADirectoryError):
            found = None
        if name == PARSED and not (found and found.st_size):
            return None
        # A copy may keep the old time of the content (mtime); the time of the change (ctime) cannot be set.
        times.append(max(found.st_mtime_ns, found.st_ctime_ns) if found else 0)
    return max(times)
