"""A paid-for reply on disk: `raw.txt` and `raw_metadata.json`, never lost and never overwritten.

`store` writes all files of a reply under temporary names, flushes them to the disk, and then renames them: first
`reasoning.txt` (if the server returned reasoning apart from the reply), then `raw_metadata.json`, and last `raw.txt`.
The metadata holds the hash of the reply. After a crash, a temporary reply with the hash in the metadata is complete;
any other temporary reply is torn and ignored. A complete reply whose files are not all renamed yet is called pending.
`complete` renames the files of a pending reply, so that nobody pays for this reply again.

A new reply never overwrites a former one: the files of the former reply become `raw.<n>.txt`, `raw_metadata.<n>.json`
and so on. A former verdict becomes `parsed_metadata.<n>.json` and `parsed.<n>.txt`. Files with the same number belong
together: `free_number` chooses a number that no file uses yet. If the evaluation has a score, the reply that gave the
score keeps its names, and the new reply gets the number.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from essay_cohorts.encoding import encoded
from essay_cohorts.files.atomic import (
    copy_former,
    former_name,
    json_text,
    keep_former,
    kept_number,
    new_token,
    stage_text,
    storing,
    sync_path,
    temporary_name,
)
from essay_cohorts.files.json_files import read_json

RAW = "raw.txt"
RAW_METADATA = "raw_metadata.json"
REASONING = "reasoning.txt"
PARSED = "parsed.txt"
PARSED_METADATA = "parsed_metadata.json"
FAILURE = "failure.json"
_RAW_BEGINS = f".{RAW}."
_NUMBERED = (RAW, RAW_METADATA, REASONING, PARSED, PARSED_METADATA)


@dataclass(frozen=True, kw_only=True, slots=True)
class _PendingReply:
    """The paths of a pending reply.

    `raw` is a temporary file. `metadata` is one too, or raw_metadata.json if a crash followed its renaming.
    `reasoning` is a temporary file, which does not exist if there is no reasoning or if it was renamed already.
    """

    raw: Path
    metadata: Path
    reasoning: Path


def store(folder: Path, text: str, metadata: Mapping[str, Any], reasoning: str = "") -> None:
    """Store a reply in `folder`. No former reply is overwritten (see above).

    StoreError if the disk refuses to write. Then temporary files stay only if they hold the complete reply.
    """
    token, place = new_token(), folder / RAW
    record = {**metadata, "reply_sha256": _hash(encoded(text))}
    temporary_reasoning = temporary_name(folder / REASONING, token)
    with storing(place):
        try:
            # The reasoning is written first, so that a pending reply is never without its reasoning.
            if reasoning:
                stage_text(folder / REASONING, reasoning, token)
            raw = stage_text(place, text, token)
            staged = stage_text(folder / RAW_METADATA, json_text(record), token)
        except OSError:
            for partial in (temporary_name(place, token), temporary_reasoning):
                partial.unlink(missing_ok=True)
            raise
        sync_path(folder)
        _rename_to_final_names(folder, _PendingReply(raw=raw, metadata=staged, reasoning=temporary_reasoning))


def is_pending(folder: Path, names: Collection[str] | None = None) -> bool:
    """Return True if the folder has a pending reply: the reply was paid for, so the judge must not be asked again.

    `names` are the names of the folder's files, if the caller has listed the folder already.
    """
    if names is not None and not any(name.startswith(_RAW_BEGINS) for name in names):
        return False
    return _find_pending(folder) is not None


def complete(folder: Path) -> bool:
    """Give the files of a pending reply their final names; return False if there is no pending reply."""
    pending = _find_pending(folder)
    with storing(folder / RAW):
        if pending is None:
            drop_stale_failure(folder)
            return False
        _rename_to_final_names(folder, pending)
        return True


def records(folder: Path, *, pending: bool = False) -> list[dict[str, Any]]:
    """Return the metadata of the reply and of the former replies; with `pending` also of a pending reply."""
    found = [(read_json(path) or {}) for path in sorted(folder.glob("raw_metadata*.json"))]
    reply = _find_pending(folder) if pending else None
    return found if reply is None else [*found, read_json(reply.metadata) or {}]


def matches_recorded_hash(folder: Path) -> bool:
    """Return True if raw.txt has the hash in raw_metadata.json, or if no hash is recorded."""
    record = read_json(folder / RAW_METADATA) or {}
    return "reply_sha256" not in record or _matches_hash_in(folder / RAW_METADATA, folder / RAW)


def free_number(folder: Path, replaced: Collection[str]) -> int:
    """Return the smallest number that no former file uses.

    A former file that is a hard link to one of the `replaced` files does not count, because an attempt at the same
    replacement crashed after it had made this link.
    """
    number = 1
    while any(_is_taken(folder / name, number, is_replaced=name in replaced) for name in _NUMBERED):
        number += 1
    return number


def _is_taken(path: Path, number: int, *, is_replaced: bool) -> bool:
    kept = former_name(path, number)
    return kept.exists() and not (is_replaced and path.exists() and kept.samefile(path))


def _rename_to_final_names(folder: Path, pending: _PendingReply) -> None:
    present = set(os.listdir(folder))  # noqa: PTH208  (called for each reply; pathlib is slower)
    if PARSED in present and _is_scored(folder):
        _keep_late_reply(folder, pending)
        return
    if pending.raw.name not in present:
        return  # another process has put the same reply in place
    if pending.metadata.name != RAW_METADATA:
        if present & {RAW, RAW_METADATA, PARSED_METADATA}:
            _keep_former_reply(folder)
        if pending.reasoning.name in present:
            pending.reasoning.replace(folder / REASONING)
        pending.metadata.replace(folder / RAW_METADATA)
        sys.audit("essay_cohorts.between_raw_renames")
    pending.raw.replace(folder / RAW)
    sys.audit("essay_cohorts.after_raw_renames")
    if FAILURE in present:
        (folder / FAILURE).unlink(missing_ok=True)
    sync_path(folder)


def _is_scored(folder: Path) -> bool:
    parsed = folder / PARSED
    return parsed.exists() and parsed.stat().st_size > 0


def _keep_late_reply(folder: Path, pending: _PendingReply) -> None:
    """Keep a late reply under a number, because the evaluation has a score and raw.txt must stay the scored reply."""
    number = free_number(folder, ())
    # The reply is renamed first. After a crash that follows, only reasoning and metadata have temporary names.
    pending.raw.replace(former_name(folder / RAW, number))
    if pending.reasoning.exists():
        pending.reasoning.replace(former_name(folder / REASONING, number))
    if pending.metadata.name != RAW_METADATA:
        pending.metadata.replace(former_name(folder / RAW_METADATA, number))
    sync_path(folder)


def _keep_former_reply(folder: Path) -> None:
    names = [name for name in (RAW, RAW_METADATA, REASONING, PARSED_METADATA) if (folder / name).exists()]
    if not names:
        return  # another process has moved the files meanwhile
    # The first file is linked first and removed last. After a crash, a second attempt therefore finds the number of
    # the first attempt, and keeps the other files under the same number.
    number = kept_number(folder / names[0]) or free_number(folder, names)
    copy_former(folder / names[0], number)
    for name in reversed(names):
        keep_former(folder / name, number)


def drop_stale_failure(folder: Path) -> None:
    """Remove a failure.json that is older than the reply. It was left by a crash that came before its removal."""
    failure, raw = folder / FAILURE, folder / RAW
    with storing(failure):
        if failure.exists() and raw.exists() and failure.stat().st_mtime_ns <= raw.stat().st_mtime_ns:
            failure.unlink(missing_ok=True)


def _find_pending(folder: Path) -> _PendingReply | None:
    try:
        present = os.listdir(folder)  # noqa: PTH208  (called for each evaluation; pathlib is slower)
    except (FileNotFoundError, NotADirectoryError):
        return None
    for name in sorted(name for name in present if name.startswith(_RAW_BEGINS) and name.endswith(".tmp")):
        raw, token = folder / name, name.removeprefix(_RAW_BEGINS).removesuffix(".tmp")
        for metadata in (temporary_name(folder / RAW_METADATA, token), folder / RAW_METADATA):
            if _matches_hash_in(metadata, raw):
                reasoning = temporary_name(folder / REASONING, token)
                return _PendingReply(raw=raw, metadata=metadata, reasoning=reasoning)
    return None


def _matches_hash_in(metadata: Path, raw: Path) -> bool:
    try:
        return (read_json(metadata) or {}).get("reply_sha256") == _hash(raw.read_bytes())
    except FileNotFoundError:
        return False


def _hash(content: bytes) -> str:
    return sha256(content).hexdigest()
