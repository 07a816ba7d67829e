"""A table as plain text, for a task's log and for a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

# Wide enough for any three ids. A log has no margin, and a shortened id would be useless.
_WIDTH = 500


def as_text(table: Table) -> str:
    """Return the lines of a table of any width, without blanks at their ends."""
    console = Console(width=_WIDTH, color_system=None, highlight=False, markup=False, emoji=False)
    with console.capture() as captured:
        console.print(table)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())
