"""A paid-for reply on disk: `raw.txt` and `raw_metadata.json`, never lost and never overwritten.

`store` writes both files under temporary names, flushes them to the disk, and renames them: the metadata first, then
the reply. Reasoning that the server returned apart from the reply is renamed to `reasoning.txt` before the two.
The metadata holds the hash of the reply. After a crash at any point the hash therefore tells a whole temporary reply
from a torn one; `complete` puts a whole one in place, and nobody pays for that reply again.

A former reply is kept as `raw.<n>.txt`, `raw_metadata.<n>.json` and so on, a former verdict as `parsed.<n>.txt`.
Files with the same number belong to the same replacement: `free_number` chooses a number that no file uses yet.
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
class _WholeReply:
    """The temporary files of a reply that was written to its end, and the metadata with the reply's hash.

    `reasoning` is the name of a temporary file too; the file is missing when the server returned no reasoning.
    """

    raw: Path
    metadata: Path
    reasoning: Path


def store(folder: Path, text: str, metadata: Mapping[str, Any], reasoning: str = "") -> None:
    """Store a reply in `folder`, and keep a former reply with its verdict as `raw.<n>.txt` and so on.

    StoreError when the disk refuses to write; temporary files then stay only when they hold the whole reply.
    """
    token, place = new_token(), folder / RAW
    record = {**metadata, "reply_sha256": _hash(encoded(text))}
    temporary_reasoning = temporary_name(folder / REASONING, token)
    with storing(place):
        try:
            # The reasoning is written first, so that a whole reply always has its reasoning.
            if reasoning:
                stage_text(folder / REASONING, reasoning, token)
            raw = stage_text(place, text, token)
            staged = stage_text(folder / RAW_METADATA, json_text(record), token)
        except OSError:
            for partial in (temporary_name(place, token), temporary_reasoning):
                partial.unlink(missing_ok=True)
            raise
        sync_path(folder)
        _put_in_place(folder, _WholeReply(raw=raw, metadata=staged, reasoning=temporary_reasoning))


def is_pending(folder: Path, names: Collection[str] | None = None) -> bool:
    """Return True when temporary files hold a whole reply: the reply was paid for and must not be bought again.

    `names` are the names of the folder's files, when the caller has listed the folder already.
    """
    if names is not None and not any(name.startswith(_RAW_BEGINS) for name in names):
        return False
    return _find_whole(folder) is not None


def complete(folder: Path) -> bool:
    """Put a pending reply in place; False when there is none."""
    whole = _find_whole(folder)
    with storing(folder / RAW):
        if whole is None:
            drop_stale_failure(folder)
            return False
        _put_in_place(folder, whole)
        return True


def records(folder: Path, *, pending: bool = False) -> list[dict[str, Any]]:
    """Return the metadata of the reply and of the former replies; with `pending` also of a temporary whole reply."""
    found = [(read_json(path) or {}) for path in sorted(folder.glob("raw_metadata*.json"))]
    whole = _find_whole(folder) if pending else None
    return found if whole is None else [*found, read_json(whole.metadata) or {}]


def is_as_recorded(folder: Path) -> bool:
    """Return False when raw.txt differs from the reply whose hash its metadata holds."""
    record = read_json(folder / RAW_METADATA) or {}
    return "reply_sha256" not in record or _has_hash_of(folder / RAW_METADATA, folder / RAW)


def free_number(folder: Path, replaced: Collection[str]) -> int:
    """Return the smallest number that no former file uses.

    A former file that is a hard link to one of the `replaced` files does not count: a crash left it there while the
    same replacement was under way.
    """
    number = 1
    while any(_is_taken(folder / name, number, is_replaced=name in replaced) for name in _NUMBERED):
        number += 1
    return number


def _is_taken(path: Path, number: int, *, is_replaced: bool) -> bool:
    kept = former_name(path, number)
    return kept.exists() and not (is_replaced and path.exists() and kept.samefile(path))


def _put_in_place(folder: Path, whole: _WholeReply) -> None:
    present = set(os.listdir(folder))  # noqa: PTH208  (called for each reply; pathlib is slower)
    if PARSED in present and _is_scored(folder):
        _keep_beside(folder, whole)
        return
    if whole.raw.name not in present:
        return  # another process has put the same reply in place
    if whole.metadata.name != RAW_METADATA:
        if present & {RAW, RAW_METADATA, PARSED_METADATA}:
            _keep_former_reply(folder)
        if whole.reasoning.name in present:
            whole.reasoning.replace(folder / REASONING)
        whole.metadata.replace(folder / RAW_METADATA)
        sys.audit("essay_cohorts.between_raw_renames")
    whole.raw.replace(folder / RAW)
    sys.audit("essay_cohorts.after_raw_renames")
    if FAILURE in present:
        (folder / FAILURE).unlink(missing_ok=True)
    sync_path(folder)


def _is_scored(folder: Path) -> bool:
    parsed = folder / PARSED
    return parsed.exists() and parsed.stat().st_size > 0


def _keep_beside(folder: Path, whole: _WholeReply) -> None:
    """Keep a reply that came after the evaluation was scored: raw.txt stays the reply that gave the score."""
    number = free_number(folder, ())
    # The reply is renamed first: a crash before the second rename leaves only the metadata in a temporary file.
    whole.raw.replace(former_name(folder / RAW, number))
    if whole.reasoning.exists():
        whole.reasoning.replace(former_name(folder / REASONING, number))
    if whole.metadata.name != RAW_METADATA:
        whole.metadata.replace(former_name(folder / RAW_METADATA, number))
    sync_path(folder)


def _keep_former_reply(folder: Path) -> None:
    names = [name for name in (RAW, RAW_METADATA, REASONING, PARSED_METADATA) if (folder / name).exists()]
    if not names:
        return  # another process has moved the files meanwhile
    # The first file is linked first and removed last, so that a second try after a crash finds its number again and
    # keeps the other files under the same number.
    number = kept_number(folder / names[0]) or free_number(folder, names)
    copy_former(folder / names[0], number)
    for name in reversed(names):
        keep_former(folder / name, number)


def drop_stale_failure(folder: Path) -> None:
    """Remove a failure.json that is older than the reply: a crash prevented its removal."""
    failure, raw = folder / FAILURE, folder / RAW
    with storing(failure):
        if failure.exists() and raw.exists() and failure.stat().st_mtime_ns <= raw.stat().st_mtime_ns:
            failure.unlink(missing_ok=True)


def _find_whole(folder: Path) -> _WholeReply | None:
    try:
        present = os.listdir(folder)  # noqa: PTH208  (called for each evaluation; pathlib is slower)
    except (FileNotFoundError, NotADirectoryError):
        return None
    for name in sorted(name for name in present if name.startswith(_RAW_BEGINS) and name.endswith(".tmp")):
        raw, token = folder / name, name.removeprefix(_RAW_BEGINS).removesuffix(".tmp")
        for metadata in (temporary_name(folder / RAW_METADATA, token), folder / RAW_METADATA):
            if _has_hash_of(metadata, raw):
                reasoning = temporary_name(folder / REASONING, token)
                return _WholeReply(raw=raw, metadata=metadata, reasoning=reasoning)
    return None


def _has_hash_of(metadata: Path, raw: Path) -> bool:
    try:
        return (read_json(metadata) or {}).get("reply_sha256") == _hash(raw.read_bytes())
    except FileNotFoundError:
        return False


def _hash(content: bytes) -> str:
    return sha256(content).hexdigest()
