"""What a person knows an essay by: its first line that holds something."""

from __future__ import annotations

from collections.abc import Iterable

from essay_cohorts.domain import Stage, is_id
from essay_cohorts.store.gens_data_layer import GensDataLayer

_LONGEST = 80


def essay_titles(store: GensDataLayer, essay_ids: Iterable[str]) -> dict[str, str]:
    """Essay id -> title of at most 80 characters, "" where the text is missing; each id once, in the given order."""
    return {
        essay_id: _title(store.parsed_text(Stage.ESSAY, essay_id)) if is_id(essay_id) else ""
        for essay_id in dict.fromkeys(essay_ids)
    }


def _title(text: str | None) -> str:
    first = next((line.strip() for line in (text or "").splitlines() if line.strip()), "")
    return first if len(first) <= _LONGEST else first[: _LONGEST - 3] + "..."
