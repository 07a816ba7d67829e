"""A table as plain text, for a task's log and for a terminal."""

from __future__ import annotations

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

# The head of a column that gives way when a line is too long: it only helps to recognise what an id names.
TITLE = "title"

# Wide enough for any three ids. A log has no margin, and a shortened id would be useless.
_WIDTH = 500
_SHORTEST_TITLE = 12
_GAP = 2


def as_text(table: Table, width: int | None = None) -> str:
    """Return the lines of a table of any width, without blanks at their ends.

    With `width`, titles are cut until the lines fit, but never to less than 12 characters, and nothing else is cut.
    Characters that a terminal would obey, such as those of a title from a file, are replaced.
    """
    if width is not None:
        _cut_titles(table, width)
    console = Console(width=_WIDTH, color_system=None, highlight=False, markup=False, emoji=False)
    with console.capture() as captured:
        console.print(table)
    return "\n".join(_printable(line.rstrip()) for line in captured.get().splitlines())


def _cut_titles(table: Table, width: int) -> None:
    others = [column for column in table.columns if column.header != TITLE]
    left = width - sum(_width_of(column.header, *column.cells) + _GAP for column in others)
    for column in table.columns:
        if column.header == TITLE:
            column.no_wrap, column.overflow, column.max_width = True, "ellipsis", max(_SHORTEST_TITLE, left)


def _width_of(*texts: object) -> int:
    return max(cell_len(line) for text in texts for line in (str(text).splitlines() or [""]))


def _printable(line: str) -> str:
    return line if line.isprintable() else "".join(each if each.isprintable() else "\ufffd" for each in line)
