"""Shows a plan as a plain-text table, for a task's log and for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from rich.table import Table

from essay_cohorts.domain import Action, PlanRow
from essay_cohorts.plain_table import as_text


def plan_table(evaluations: Sequence[PlanRow], connections: Mapping[str, str] | None = None) -> str:
    """Return a table that counts members and actions by template and model, with a line of totals.

    `connections` has the connection of each model, to be shown in a column of its own.
    """
    table = Table("template", "model", *(["connection"] if connections else []), box=None, pad_edge=False)
    for name in ("members", *Action):
        table.add_column(str(name), justify="right")
    counts = Counter((row.member.template_id, row.member.llm_model_id, row.action) for row in evaluations)
    for template_id, model_id in dict.fromkeys((t, m) for t, m, _ in counts):
        numbers = [counts[template_id, model_id, action] for action in Action]
        connection = [connections.get(model_id, "")] if connections else []
        table.add_row(template_id, model_id, *connection, str(sum(numbers)), *map(str, numbers))
    totals = Counter(row.action for row in evaluations)
    table.add_row(
        "all", "", *([""] if connections else []), str(len(evaluations)), *(str(totals[action]) for action in Action)
    )
    return as_text(table)
