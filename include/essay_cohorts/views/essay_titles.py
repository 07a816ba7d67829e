"""Reads the title of an essay: its first line that is not blank."""

from __future__ import annotations

from collections.abc import Iterable

from essay_cohorts.domain import Stage, is_id
from essay_cohorts.store.gens_data_layer import GensDataLayer

_MAX_CHARACTERS = 80


def essay_titles(store: GensDataLayer, essay_ids: Iterable[str]) -> dict[str, str]:
    """Return essay id -> title, in the given order, without repeated ids.

    A title has at most 80 characters; it is "" if the essay's text is missing.
    """
    return {
        essay_id: _title(store.parsed_text(Stage.ESSAY, essay_id)) if is_id(essay_id) else ""
        for essay_id in dict.fromkeys(essay_ids)
    }


def _title(text: str | None) -> str:
    first = next((line.strip() for line in (text or "").splitlines() if line.strip()), "")
    return first if len(first) <= _MAX_CHARACTERS else first[: _MAX_CHARACTERS - 3] + "..."
