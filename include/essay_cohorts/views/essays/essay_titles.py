"""Reads the title and the group of an essay.

The title is the one that the essay was imported with, or else its first line that is not blank. The group is a column
of the source that the essay was imported from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from essay_cohorts.domain import Stage, is_id
from essay_cohorts.records import text_of
from essay_cohorts.store.gens_data_layer import GensDataLayer

_MAX_CHARACTERS = 80
# Before a title in Markdown.
_TITLE_MARK = re.compile(r"^\s*#{1,6}\s+")


class DescribedEssay(NamedTuple):
    """An essay's title, group and text; "" for what it does not have."""

    title: str
    group: str
    text: str


def describe_essay(store: GensDataLayer, essay_id: str) -> DescribedEssay:
    """Return an essay's title, group and text; all are "" for an id that is not valid or has no essay."""
    text = (store.parsed_text(Stage.ESSAY, essay_id) if is_id(essay_id) else None) or ""
    metadata = _metadata(store, essay_id)
    return DescribedEssay(_title_of(metadata, text), text_of(metadata, "group"), text)


def essay_titles(store: GensDataLayer, essay_ids: Iterable[str]) -> dict[str, str]:
    """Return essay id -> title, in the given order, without repeated ids; "" if there is neither title nor text."""
    return {essay_id: describe_essay(store, essay_id).title for essay_id in dict.fromkeys(essay_ids)}


def essay_groups(store: GensDataLayer, essay_ids: Iterable[str]) -> dict[str, str]:
    """Return essay id -> group, without the essays that have none; their texts are not read."""
    found = ((name, text_of(_metadata(store, name), "group")) for name in dict.fromkeys(essay_ids))
    return {name: group for name, group in found if group}


def _metadata(store: GensDataLayer, essay_id: str) -> Mapping[str, Any]:
    return (store.metadata(Stage.ESSAY, essay_id) if is_id(essay_id) else None) or {}


def _title_of(metadata: Mapping[str, Any], text: str) -> str:
    """Return the title in an essay's metadata, or the first line of its text; at most 80 characters."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    title = " ".join((text_of(metadata, "title") or _TITLE_MARK.sub("", first)).split())
    return title if len(title) <= _MAX_CHARACTERS else title[: _MAX_CHARACTERS - 3] + "..."
