"""A verdict on disk: `parsed_metadata.json` is written first, then `parsed.txt` with the score.

A verdict that is replaced stays as `parsed_metadata.<n>.json` and `parsed.<n>.txt`, both with the same number. These
former files are hard links, made before anything is replaced. After a crash, a parsed.txt that is still the same file
as its former copy therefore tells that the replacement did not reach parsed.txt. A parsed.txt that a person corrected
is a different file.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from essay_cohorts.encoding import encoded
from essay_cohorts.files.atomic import (
    copy_former,
    former_name,
    json_text,
    keep_former,
    kept_number,
    storing,
    sync_path,
    write_text,
)
from essay_cohorts.files.json_files import json_object, read_json, read_text
from essay_cohorts.store.reply_files import PARSED, PARSED_METADATA, free_number


def write_record(folder: Path, metadata: Mapping[str, Any]) -> None:
    """Write the metadata of a verdict where there is no score, without waiting for the disk."""
    if not is_recorded(folder, metadata):
        with storing(folder / PARSED_METADATA):
            keep_former(folder / PARSED_METADATA, free_number(folder, (PARSED_METADATA,)))
        write_text(folder / PARSED_METADATA, json_text(metadata), durable=False)
    sys.audit("essay_cohorts.between_parsed_renames")


def is_recorded(folder: Path, metadata: Mapping[str, Any]) -> bool:
    """Return True when parsed_metadata.json has this content; text that UTF-8 cannot store is compared as stored."""
    return read_json(folder / PARSED_METADATA) == json_object(encoded(json_text(metadata)))


def write_score(folder: Path, score: str) -> None:
    """Write the score, without waiting for the disk. The metadata of its verdict must be durable before."""
    write_text(folder / PARSED, score, durable=False)
    sys.audit("essay_cohorts.after_parsed_renames")


def replace(folder: Path, metadata: Mapping[str, Any], score: str | None, *, result_changes: bool) -> None:
    """Replace a verdict and keep the former one; remove parsed.txt when `score` is None.

    Unless `result_changes`, parsed.txt stays unchanged. After a crash, a second call reaches the same state.
    """
    parsed = folder / PARSED
    with storing(parsed):
        is_kept = kept_number(parsed) is not None
        renewed = read_json(folder / PARSED_METADATA) != metadata
        result_changes = result_changes and read_text(parsed) != score
        _keep(folder, metadata=renewed, parsed=result_changes and not is_kept)
        if renewed:
            write_text(folder / PARSED_METADATA, json_text(metadata), folder_later=True)
        sys.audit("essay_cohorts.between_verdict_renames")
        if score is None:
            parsed.unlink(missing_ok=True)
        elif result_changes or is_kept:
            write_text(parsed, score, folder_later=True)
        sync_path(folder)
        sys.audit("essay_cohorts.after_verdict_renames")


def half_replaced(folder: Path) -> dict[str, Any] | None:
    """Return the metadata that belongs to parsed.txt when a crash left a replacement half done.

    None when no replacement is half done.
    """
    number = kept_number(folder / PARSED)
    return None if number is None else read_json(former_name(folder / PARSED_METADATA, number)) or {}


def _keep(folder: Path, *, metadata: bool, parsed: bool) -> None:
    number = free_number(folder, (PARSED_METADATA, PARSED))
    if metadata:
        copy_former(folder / PARSED_METADATA, number)
    sys.audit("essay_cohorts.between_former_links")
    if parsed and (folder / PARSED).exists() and (folder / PARSED).stat().st_size:
        copy_former(folder / PARSED, number)
    sys.audit("essay_cohorts.after_former_links")
