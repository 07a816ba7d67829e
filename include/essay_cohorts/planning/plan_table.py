"""Shows a plan as a plain-text table, for a task's log and for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.table import Table

from essay_cohorts.domain import Action, PlanRow
from essay_cohorts.plain_table import as_text


def plan_table(evaluations: Sequence[PlanRow]) -> str:
    """Return a table that counts members and actions by template and model, with a line of totals."""
    table = Table("template", "model", box=None, pad_edge=False)
    for name in ("members", *Action):
        table.add_column(str(name), justify="right")
    counts = Counter((row.member.template_id, row.member.llm_model_id, row.action) for row in evaluations)
    for template_id, model_id in dict.fromkeys((t, m) for t, m, _ in counts):
        numbers = [counts[template_id, model_id, action] for action in Action]
        table.add_row(template_id, model_id, str(sum(numbers)), *map(str, numbers))
    totals = Counter(row.action for row in evaluations)
    table.add_row("all", "", str(len(evaluations)), *(str(totals[action]) for action in Action))
    return as_text(table)
