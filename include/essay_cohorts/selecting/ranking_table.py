"""The selected essays and the reasons, as plain text."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from essay_cohorts.amounts import counted, figure
from essay_cohorts.plain_table import as_text
from essay_cohorts.selecting.essay_ranking import MissingSelection, RankedEssay, Shortfall


def ranking_table(essays: Sequence[tuple[RankedEssay, str]], heading: str, first: int) -> str:
    """Return a table of essays numbered from rank `first`, each with its remark in the last column, `heading`."""
    table = Table("no.", "essay", "value", "models", heading, box=None, pad_edge=False)
    for number, (essay, reason) in enumerate(essays, start=first):
        table.add_row(str(number), essay.essay_id, figure(essay.value), str(essay.models), reason)
    return as_text(table)


def choice_text(choice: MissingSelection, target: str) -> str:
    """Return what is selected, what needs a decision, and what the template `target` covers."""
    parts = []
    if choice.missing:
        parts.append(_short_table(choice.missing, target))
    if choice.needs_decision:
        need = counted(len(choice.needs_decision), "essay needs", "essays need")
        parts.append(
            f"{need} a decision, because all missing scores have refused replies. Read these replies, or select the "
            "essays too with retry_unscored."
        )
        parts.append(_short_table(choice.needs_decision, target))
    parts.append(
        f"Of the best {counted(len(choice.ranked), 'essay')}: {len(choice.missing)} selected, "
        f"{counted(len(choice.needs_decision), 'needs', 'need')} a decision, "
        f"{counted(len(choice.covered), 'is', 'are')} covered."
    )
    return "\n".join(parts)


def _short_table(essays: Sequence[tuple[RankedEssay, Sequence[Shortfall]]], target: str) -> str:
    return ranking_table([(essay, _reason(short)) for essay, short in essays], f"scores of {target}", 1)


def _reason(short: Sequence[Shortfall]) -> str:
    return ", ".join(
        f"{each.cell.model_id} {each.scored}/{each.wanted}" + (f" ({each.refused} refused)" if each.refused else "")
        for each in short
    )
