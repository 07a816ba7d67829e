"""Reads small files of the store quickly: bytes, texts and JSON objects."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

_READ_BYTES = 1 << 16


def read_bytes(path: Path | str) -> bytes:
    """Return a file's content. Uses system calls, because each layer above them costs seconds for a million files."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        parts = [os.read(descriptor, _READ_BYTES)]
        while len(parts[-1]) == _READ_BYTES:
            parts.append(os.read(descriptor, _READ_BYTES))
        return b"".join(parts)
    finally:
        os.close(descriptor)


def read_json(path: Path | str) -> dict[str, Any] | None:
    """Return the JSON object in a file; None if the file is missing or does not hold a JSON object."""
    try:
        return json_object(read_bytes(path))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None


def json_object(text: bytes | str) -> dict[str, Any] | None:
    """Return the JSON object that a text holds; None if it does not hold one."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def read_text(path: Path | str) -> str | None:
    """Return a file's text; None if the file is missing. Bytes that are not UTF-8 become replacement characters."""
    try:
        return read_bytes(path).decode("utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
