"""Reads the title of an essay: the one that it was imported with, or else its first line that is not blank."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from essay_cohorts.domain import Stage, is_id
from essay_cohorts.records import text_of
from essay_cohorts.store.gens_data_layer import GensDataLayer

_MAX_CHARACTERS = 80


def essay_titles(store: GensDataLayer, essay_ids: Iterable[str]) -> dict[str, str]:
    """Return essay id -> title, in the given order, without repeated ids; "" if there is neither title nor text."""
    return {
        essay_id: _read_title(store, essay_id) if is_id(essay_id) else "" for essay_id in dict.fromkeys(essay_ids)
    }


def title_of(metadata: Mapping[str, Any], text: str) -> str:
    """Return the title in an essay's metadata, or the first line of its text; at most 80 characters."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    title = " ".join((text_of(metadata, "title") or first).split())
    return title if len(title) <= _MAX_CHARACTERS else title[: _MAX_CHARACTERS - 3] + "..."


def _read_title(store: GensDataLayer, essay_id: str) -> str:
    text = store.parsed_text(Stage.ESSAY, essay_id) or ""
    return title_of(store.metadata(Stage.ESSAY, essay_id) or {}, text)
