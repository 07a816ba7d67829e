"""Reading metadata files that this program or another one wrote: what a field means, and what an odd one becomes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from essay_cohorts.domain import HIGHEST_SCORE, LOWEST_SCORE, Cell, RunRef, one_form
from essay_cohorts.files.atomic import storable
from essay_cohorts.provenance import Provenance

_READ_BYTES = 1 << 16
# What of a request is sent beside the prompt.
_SETTINGS = ("model", "temperature", "max_tokens", "request")
# No amount of money is as high.
HIGHEST_USD = 1e12


def cell_of(metadata: Mapping[str, Any]) -> Cell | None:
    """The cell that an evaluation's metadata names; None when a part is missing."""
    cell = Cell(
        text_of(metadata, "parent_gen_id"),
        one_form(text_of(metadata, "template_id") or text_of(metadata, "evaluation_template")),
        one_form(text_of(metadata, "llm_model_id")),
    )
    return cell if all(cell) else None


def replicate_of(metadata: Mapping[str, Any]) -> int | None:
    """1 when it is missing (an older store), None when it is no whole number from 1 upward."""
    value = metadata.get("replicate", 1)
    if isinstance(value, str) and len(value) < 10 and value.isascii() and value.isdigit():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 1 else None


def text_of(metadata: Mapping[str, Any], key: str) -> str:
    """A text field, "" when it is missing or no text."""
    value = metadata.get(key)
    # A lone surrogate, which JSON can carry, would stop the writing of plan.csv.
    return storable(value) if isinstance(value, str) else ""


def texts_of(metadata: Mapping[str, Any], key: str) -> list[str]:
    """A list of texts, what is none of them left out; empty when it is missing or no list."""
    value = metadata.get(key)
    return [storable(each) for each in value if isinstance(each, str)] if isinstance(value, list) else []


def count_of(record: Mapping[str, Any], key: str) -> int:
    """A count, 0 when it is missing or none."""
    value = record.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def price_of(record: Mapping[str, Any], key: str) -> float | None:
    """An amount of money, None when it is missing or none."""
    value = record.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # JSON can hold NaN, Infinity and whole numbers that no float can.
    return float(value) if 0 <= value < HIGHEST_USD else None


def score_of(text: str) -> float | None:
    """A score in a CSV cell, None when it is not a number from 0 to 9."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if LOWEST_SCORE <= value <= HIGHEST_SCORE else None


def run_of(record: Mapping[str, Any]) -> RunRef:
    """The DagRun that a record of a reply or a failure names; empty texts when it names none."""
    return RunRef(text_of(record, "dag_id"), text_of(record, "run_id"))


def provenance_of(record: Mapping[str, Any]) -> Provenance:
    """Who answered, and what was sent: by the record of a reply."""
    known = ((name, record.get(name)) for name in _SETTINGS)
    settings = " ".join(
        f"{name}={storable(value) if isinstance(value, str) else json.dumps(value, sort_keys=True)}"
        for name, value in known
        if value is not None
    )
    return Provenance(text_of(record, "response_model"), settings, text_of(record, "prompt_sha256"))


def read_bytes(path: Path | str) -> bytes:
    """A file's content. Of a million small files each layer above the system's own calls costs seconds."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        parts = [os.read(descriptor, _READ_BYTES)]
        while len(parts[-1]) == _READ_BYTES:
            parts.append(os.read(descriptor, _READ_BYTES))
        return b"".join(parts)
    finally:
        os.close(descriptor)


def read_json(path: Path | str) -> dict[str, Any] | None:
    """The JSON object in a file, None when it is missing or no JSON object."""
    try:
        return json_object(read_bytes(path))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None


def json_object(text: bytes | str) -> dict[str, Any] | None:
    """The JSON object that a text is, None when it is none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def read_text(path: Path | str) -> str | None:
    """A file's text, None when it is missing; bytes that are not UTF-8 become replacement characters."""
    try:
        return read_bytes(path).decode("utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
