"""Reads the groups of essays, which an import took from a column of its source."""

from __future__ import annotations

from collections.abc import Iterable

from essay_cohorts.domain import Stage, is_id
from essay_cohorts.records import text_of
from essay_cohorts.store.gens_data_layer import GensDataLayer


def essay_groups(store: GensDataLayer, essay_ids: Iterable[str]) -> dict[str, str]:
    """Return essay id -> group, without the essays that have none."""
    found = ((name, store.metadata(Stage.ESSAY, name) or {}) for name in dict.fromkeys(essay_ids) if is_id(name))
    return {name: group for name, metadata in found if (group := text_of(metadata, "group"))}
