"""A paid-for reply on disk: `raw.txt` and `raw_metadata.json`, never lost and never overwritten.

Reasoning that a server returned apart from the reply is `reasoning.txt`, put in place before the two.

The temporary files are fsynced before either is renamed, and the metadata holds the reply's hash. So after a crash
at any point a whole temporary reply can be told from a torn one, and `complete` finishes what was begun.

A number of former files stands for one replacement, of a reply or of a verdict: `free_number` gives it to both.
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
    """A temporary reply that was written to its end, and the metadata that vouches for it.

    `reasoning` is a temporary file too; there need not be one.
    """

    raw: Path
    metadata: Path
    reasoning: Path


def store(folder: Path, text: str, metadata: Mapping[str, Any], reasoning: str = "") -> None:
    """Store a reply in `folder`. A former reply and its verdict are kept as `raw.<n>.txt` and so on.

    StoreError when the disk refuses; then no temporary file stays behind unless the reply is whole.
    """
    token, place = new_token(), folder / RAW
    record = {**metadata, "reply_sha256": _hash(encoded(text))}
    thoughts = temporary_name(folder / REASONING, token)
    with storing(place):
        try:
            # The reasoning first: a reply that is whole has all that belongs to it.
            if reasoning:
                stage_text(folder / REASONING, reasoning, token)
            raw = stage_text(place, text, token)
            staged = stage_text(folder / RAW_METADATA, json_text(record), token)
        except OSError:
            for left in (temporary_name(place, token), thoughts):
                left.unlink(missing_ok=True)
            raise
        sync_path(folder)
        _put_in_place(folder, _WholeReply(raw=raw, metadata=staged, reasoning=thoughts))


def is_pending(folder: Path, names: Collection[str] | None = None) -> bool:
    """Return True when a whole reply is in temporary files: it was paid for and must not be bought again.

    `names`: those of the folder's files, when they were listed already.
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
    """Return the metadata of the reply and of its former ones; with `pending` of one that is not yet in place too."""
    found = [(read_json(path) or {}) for path in sorted(folder.glob("raw_metadata*.json"))]
    whole = _find_whole(folder) if pending else None
    return found if whole is None else [*found, read_json(whole.metadata) or {}]


def is_as_recorded(folder: Path) -> bool:
    """Return False when raw.txt differs from the reply whose hash its metadata holds."""
    record = read_json(folder / RAW_METADATA) or {}
    return "reply_sha256" not in record or _vouches_for(folder / RAW_METADATA, folder / RAW)


def free_number(folder: Path, replaced: Collection[str]) -> int:
    """Return the smallest free number; files that a crash left while the `replaced` ones were kept do not count."""
    number = 1
    while any(_is_taken(folder / name, number, is_replaced=name in replaced) for name in _NUMBERED):
        number += 1
    return number


def _is_taken(path: Path, number: int, *, is_replaced: bool) -> bool:
    kept = former_name(path, number)
    return kept.exists() and not (is_replaced and path.exists() and kept.samefile(path))


def _put_in_place(folder: Path, whole: _WholeReply) -> None:
    present = set(os.listdir(folder))  # noqa: PTH208  (of each reply; pathlib would look at each name)
    if PARSED in present and _is_scored(folder):
        _keep_beside(folder, whole)
        return
    if whole.raw.name not in present:
        return  # another process put this very reply in place
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
    """Keep a reply that came after the evaluation was scored: raw.txt stays the one that the score was read from."""
    number = free_number(folder, ())
    # The reply first: after a crash between the two it is kept, and only its record is still a temporary file.
    whole.raw.replace(former_name(folder / RAW, number))
    if whole.reasoning.exists():
        whole.reasoning.replace(former_name(folder / REASONING, number))
    if whole.metadata.name != RAW_METADATA:
        whole.metadata.replace(former_name(folder / RAW_METADATA, number))
    sync_path(folder)


def _keep_former_reply(folder: Path) -> None:
    there = [name for name in (RAW, RAW_METADATA, REASONING, PARSED_METADATA) if (folder / name).exists()]
    if not there:
        return  # another process has moved them meanwhile
    # The first is linked first and goes last: a second try after a crash reads the number of the others from it.
    number = kept_number(folder / there[0]) or free_number(folder, there)
    copy_former(folder / there[0], number)
    for name in reversed(there):
        keep_former(folder / name, number)


def drop_stale_failure(folder: Path) -> None:
    """Remove a failure.json that is older than the reply: a crash came between the reply and its removal."""
    failure, raw = folder / FAILURE, folder / RAW
    with storing(failure):
        if failure.exists() and raw.exists() and failure.stat().st_mtime_ns <= raw.stat().st_mtime_ns:
            failure.unlink(missing_ok=True)


def _find_whole(folder: Path) -> _WholeReply | None:
    try:
        present = os.listdir(folder)  # noqa: PTH208  (asked of each evaluation)
    except (FileNotFoundError, NotADirectoryError):
        return None
    for name in sorted(name for name in present if name.startswith(_RAW_BEGINS) and name.endswith(".tmp")):
        raw, token = folder / name, name.removeprefix(_RAW_BEGINS).removesuffix(".tmp")
        for metadata in (temporary_name(folder / RAW_METADATA, token), folder / RAW_METADATA):
            if _vouches_for(metadata, raw):
                reasoning = temporary_name(folder / REASONING, token)
                return _WholeReply(raw=raw, metadata=metadata, reasoning=reasoning)
    return None


def _vouches_for(metadata: Path, raw: Path) -> bool:
    try:
        return (read_json(metadata) or {}).get("reply_sha256") == _hash(raw.read_bytes())
    except FileNotFoundError:
        return False


def _hash(content: bytes) -> str:
    return sha256(content).hexdigest()
