"""The selected essays and the reasons, as plain text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.cells import cell_len
from rich.table import Table

from essay_cohorts.amounts import counted, figure
from essay_cohorts.plain_table import TITLE, as_text
from essay_cohorts.selecting.essay_ranking import MissingSelection, RankedEssay, Shortfall


def ranking_table(
    essays: Sequence[tuple[RankedEssay, Sequence[str]]],
    heading: str,
    first: int,
    titles: Mapping[str, str],
    width: int | None = None,
) -> str:
    """Return a table of essays numbered from rank `first`, each with its remarks in the last column, `heading`.

    In a table that is wider than `width`, titles are cut, and each remark has a line of its own.
    """
    text = _table(essays, heading, first, titles, width, between=", ")
    if width is not None and max(map(cell_len, text.splitlines())) > width:
        text = _table(essays, heading, first, titles, width, between=",\n")
    return text


def _table(
    essays: Sequence[tuple[RankedEssay, Sequence[str]]],
    heading: str,
    first: int,
    titles: Mapping[str, str],
    width: int | None,
    *,
    between: str,
) -> str:
    table = Table("no.", "essay", TITLE, "value", "models", heading, box=None, pad_edge=False)
    for number, (essay, remarks) in enumerate(essays, start=first):
        about = (str(number), essay.essay_id, titles.get(essay.essay_id, ""))
        table.add_row(*about, figure(essay.value), str(essay.models), between.join(remarks))
    return as_text(table, width)


def choice_text(choice: MissingSelection, target: str, titles: Mapping[str, str], width: int | None = None) -> str:
    """Return what is selected, what needs a decision, and what the template `target` covers.

    `titles` has the titles of the essays; see `ranking_table` for `width`.
    """
    parts = []
    if choice.missing:
        parts.append(_short_table(choice.missing, target, titles, width))
    if choice.needs_decision:
        need = counted(len(choice.needs_decision), "essay needs", "essays need")
        parts.append(
            f"{need} a decision, because all missing scores have refused replies. Read these replies, or select the "
            "essays too with retry_unscored."
        )
        parts.append(_short_table(choice.needs_decision, target, titles, width))
    parts.append(
        f"Of the best {counted(len(choice.ranked), 'essay')}: {len(choice.missing)} selected, "
        f"{counted(len(choice.needs_decision), 'needs', 'need')} a decision, "
        f"{counted(len(choice.covered), 'is', 'are')} covered."
    )
    return "\n".join(parts)


def _short_table(
    essays: Sequence[tuple[RankedEssay, Sequence[Shortfall]]],
    target: str,
    titles: Mapping[str, str],
    width: int | None,
) -> str:
    remarks = [(essay, [_reason(each) for each in short]) for essay, short in essays]
    return ranking_table(remarks, f"scores of {target}", 1, titles, width)


def _reason(short: Shortfall) -> str:
    refused = f" ({short.refused} refused)" if short.refused else ""
    return f"{short.cell.model_id} {short.scored}/{short.wanted}{refused}"
