"""CSV rows with the line of the file that each begins on: a quoted cell may span several lines."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Protocol

# A combo_id or a reason that was written to membership.csv or plan.csv must be readable there, however long it is.
csv.field_size_limit(sys.maxsize)
# A spreadsheet computes what begins so: a model's id or the words of a reply must not run when scores are opened.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


class LineReader(Protocol):
    """What `csv.reader` returns: rows, and the number of lines read so far."""

    line_num: int

    def __iter__(self) -> Iterator[list[str]]: ...


def csv_reader(text: str, *, strict: bool = False) -> LineReader:
    """Return a reader of a CSV text with any line ends; with `strict` a stray quote is a csv.Error."""
    return csv.reader(io.StringIO(text, newline=""), strict=strict)


def numbered_rows(reader: LineReader) -> Iterator[tuple[int, list[str]]]:
    """Pairs of a row's first line, from 1, and its cells. csv.Error where a strict reader finds no CSV."""
    first_line = 1
    for cells in reader:
        yield first_line, cells
        first_line = reader.line_num + 1


def csv_text(header: Sequence[str], lines: Iterable[Sequence[Any]]) -> str:
    """Return a CSV text with LF as line end, whatever the cells hold."""
    return "".join(_csv_line(line) for line in chain([header], lines))


def _csv_line(cells: Sequence[Any]) -> str:
    # Before Python 3.13 the writer quotes a lone CR only when the line ends with CRLF.
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\r\n").writerow(cells)
    return buffer.getvalue().removesuffix("\r\n") + "\n"


def inert(cell: Any) -> Any:
    """Return a text that a spreadsheet would take for a formula, led by an apostrophe as spreadsheets do it."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA_STARTS) else cell


def live(cell: str) -> str:
    """Return the text that `inert` made a cell of."""
    return cell[1:] if cell[:1] == "'" and cell[1:].startswith(_FORMULA_STARTS) else cell
