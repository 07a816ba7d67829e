"""A plan as a table of plain text, for a task's log and for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from include.cohorts.model import Action, PlanRow

# Wide enough for any two ids: a log has no margin, and a cut id names nothing.
_WIDTH = 400


def plan_table(evaluations: Sequence[PlanRow]) -> str:
    """Counts of members and actions by template and model, with a line of totals."""
    table = Table("template", "model", box=None, pad_edge=False)
    for name in ("members", *Action):
        table.add_column(str(name), justify="right")
    counts = Counter((row.member.template_id, row.member.llm_model_id, row.action) for row in evaluations)
    for template_id, model_id in dict.fromkeys((t, m) for t, m, _ in counts):
        numbers = [counts[template_id, model_id, action] for action in Action]
        table.add_row(template_id, model_id, str(sum(numbers)), *map(str, numbers))
    totals = Counter(row.action for row in evaluations)
    table.add_row("all", "", str(len(evaluations)), *(str(totals[action]) for action in Action))
    console = Console(width=_WIDTH, color_system=None, highlight=False, markup=False, emoji=False)
    with console.capture() as captured:
        console.print(table)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())
