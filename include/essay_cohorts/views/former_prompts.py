"""Finds the scores of a cohort that a reader should not take for today's: by a former prompt, or made up."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from essay_cohorts.catalog.catalog import Catalog
from essay_cohorts.domain import Cell, ScoreRow, Template
from essay_cohorts.judging.prompts import prompt_hash, prompt_renderer
from essay_cohorts.store.gens_data_layer import GensDataLayer


def cells_of_former_prompts(root: Path, rows: Iterable[ScoreRow]) -> frozenset[Cell]:
    """Return the cells of these rows that have a score by a former prompt.

    A score whose prompt is not recorded, and a template that is inactive or damaged today, say nothing.
    """
    recorded: dict[Cell, set[str]] = {}
    for row in rows:
        if row.score is not None and row.provenance.prompt_sha256:
            recorded.setdefault(row.member.cell, set()).add(row.provenance.prompt_sha256)
    today = _hashes_of_today(root, recorded)
    return frozenset(
        cell
        for cell, hashes in recorded.items()
        if (wanted := today.get((cell.essay_id, cell.template_id))) and hashes != {wanted}
    )


def made_up_cells(rows: Iterable[ScoreRow]) -> frozenset[Cell]:
    """Return the cells that have a score by the offline judge, if others have a score by a real judge.

    Where all scores are made up the page says so once.
    """
    scored = [row for row in rows if row.score is not None]
    made_up = frozenset(row.member.cell for row in scored if row.provenance.is_made_up)
    return made_up if any(not row.provenance.is_made_up for row in scored) else frozenset()


def _hashes_of_today(root: Path, cells: Collection[Cell]) -> dict[tuple[str, str], str]:
    """Return the hash of today's prompt of each (essay, template) that can be rendered."""
    store = GensDataLayer.from_root(root)
    wanted = {(cell.essay_id, cell.template_id) for cell in cells}
    templates = {each.template_id: each for each in Catalog(root=root).templates().value}
    found: dict[tuple[str, str], str] = {}
    for essay_id in dict.fromkeys(essay_id for essay_id, _ in wanted):
        text = _text(store, essay_id)
        for template_id, template in templates.items():
            if text is not None and (essay_id, template_id) in wanted:
                sha256 = _hash(template, text)
                found.update({(essay_id, template_id): sha256} if sha256 else {})
    return found


def _text(store: GensDataLayer, essay_id: str) -> str | None:
    try:
        return store.essay_text(essay_id)
    except UnicodeDecodeError:
        return None


def _hash(template: Template, essay: str) -> str | None:
    try:
        return prompt_hash(prompt_renderer(template)(essay))
    except Exception:  # noqa: BLE001  (the template is the user's code; planning says what is wrong with it)
        return None
