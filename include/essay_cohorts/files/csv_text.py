"""CSV rows with the line on which each begins, because a quoted cell may span several lines; and CSV text."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Protocol

# Every combo_id and every reason in membership.csv or plan.csv must be readable, however long it is.
csv.field_size_limit(sys.maxsize)
# A spreadsheet runs a cell that begins with one of these as a formula. A model's id or the words of a reply must not
# run.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


class LineReader(Protocol):
    """The type of a `csv.reader`: yields rows and counts the lines that were read."""

    line_num: int

    def __iter__(self) -> Iterator[list[str]]: ...


def csv_reader(text: str, *, strict: bool = False) -> LineReader:
    """Return a reader of a CSV text with any line ends. With `strict` a stray quote raises csv.Error."""
    return csv.reader(io.StringIO(text, newline=""), strict=strict)


def numbered_rows(reader: LineReader) -> Iterator[tuple[int, list[str]]]:
    """Yield each row's first line, counted from 1, and its cells. csv.Error if a strict reader finds invalid CSV."""
    first_line = 1
    for cells in reader:
        yield first_line, cells
        first_line = reader.line_num + 1


def csv_text(header: Sequence[str], lines: Iterable[Sequence[Any]]) -> str:
    """Return a CSV text whose lines end with LF, whatever the cells hold."""
    return "".join(csv_line(line) for line in chain([header], lines))


def csv_line(cells: Sequence[Any]) -> str:
    """Return one row of a CSV, with LF at its end."""
    # Before Python 3.13 the writer quotes a lone CR only when the line ends with CRLF.
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\r\n").writerow(cells)
    return buffer.getvalue().removesuffix("\r\n") + "\n"


def escape_formula(cell: Any) -> Any:
    """Return the cell, with an apostrophe in front if it is a text that a spreadsheet would run as a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA_STARTS) else cell


def unescape_formula(cell: str) -> str:
    """Return the text from which `escape_formula` made the cell."""
    return cell[1:] if cell[:1] == "'" and cell[1:].startswith(_FORMULA_STARTS) else cell
