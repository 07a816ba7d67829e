"""Reads the CSV inputs as rows with typed cells, and reports mistakes with their line and column."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from essay_cohorts.amounts import counted
from essay_cohorts.domain import ID_RULE, is_id
from essay_cohorts.errors import Checked, Problem, choose_from, closest
from essay_cohorts.files.csv_text import csv_reader, numbered_rows

T = TypeVar("T")

_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
# int() and float() alone would also accept 1_5, nan and inf.
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
# How alike (0 to 1) an unknown and a known column must be to count as a typing mistake.
_NEARLY = 0.8
# Other names that APIs use for the values of these columns.
_OTHER_NAMES = {"max_completion_tokens": "max_tokens", "max_output_tokens": "max_tokens", "temp": "temperature"}

# JSON in a CSV cell needs doubled quotes inside a quoted cell: the most common mistake.
_JSON_STEP = 'Write an object, in a CSV with doubled quotes: "{""seed"": 1}". Leave the cell empty for none.'


class Row:
    """One line of a CSV with typed access; `problems` collects the mistakes in the cells that were read."""

    def __init__(self, place: str, line: int, cells: dict[str, str]) -> None:
        self.place, self.line, self._cells = place, line, cells
        self.problems: list[Problem] = []

    def problem(self, column: str, finding: str, next_step: str) -> Problem:
        """Return a problem with the place of this line and column."""
        return Problem(place=f"{self.place}:{self.line}, column {column}", finding=finding, next_step=next_step)

    def text(self, column: str) -> str:
        """Return the cell without spaces around it; "" when it is missing."""
        return (self._cells.get(column) or "").strip()

    def id(self, column: str) -> str | None:
        """Return the cell as an id; None, and a problem, when it is not a valid id."""
        value = self.text(column)
        if is_id(value):
            return value
        if not value:
            self.problems.append(self.problem(column, "it is empty.", "Fill the cell."))
            return None
        self.problems.append(self.problem(column, f"{value!r} is not a valid id.", ID_RULE))
        return None

    def required(self, column: str) -> str:
        """Return the cell; add a problem when it is empty or holds control characters."""
        value = self.text(column)
        if not value:
            self.problems.append(self.problem(column, "it is empty.", "Fill the cell."))
        elif not value.isprintable():
            self.problems.append(
                self.problem(column, f"{value!r} holds a line end or another control character.", "Remove it.")
            )
        return value

    def boolean(self, column: str) -> bool:
        """Return the cell as true or false; False, and a problem, when it is neither."""
        value = _BOOLEANS.get(self.text(column).lower())
        if value is None:
            finding = f'"{self.text(column)}" is neither true nor false.'
            self.problems.append(self.problem(column, finding, "Write true, false, 1 or 0."))
        return bool(value)

    def one_of(self, column: str, options: Mapping[str, T]) -> T | None:
        """Return the option that the cell names; None when the cell is empty, None and a problem when not valid."""
        value = self.text(column)
        if value and value not in options:
            self.problems.append(self.problem(column, f'"{value}" is not valid.', choose_from(value, options)))
        return options.get(value)

    def number(self, column: str, kind: Callable[[str], Any], *, low: float, high: float) -> Any:
        """Return the cell as a number; None when it is empty, None and a problem when not valid."""
        value = self.text(column)
        try:
            number = kind(value) if _NUMBER.fullmatch(value) else None
        except ValueError:
            number = None
        if value and (number is None or not low <= number <= high):
            word = "whole number" if kind is int else "number"
            next_step = f"Write a {word} from {low:,} to {high:,}, or leave the cell empty."
            self.problems.append(self.problem(column, f'"{value}" is not valid.', next_step))
            return None
        return number

    def json_object(self, column: str) -> dict[str, Any]:
        """Return the cell as a JSON object; {} when it is empty, {} and a problem when not valid."""
        cell = self.text(column)
        try:
            value = json.loads(cell or "{}", parse_constant=_no_constant, object_pairs_hook=_no_key_twice)
            if not isinstance(value, dict):
                msg = "it is not an object"
                raise ValueError(msg)
            # Python reads infinite numbers and lone surrogates, but neither can be sent.
            json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
        except (ValueError, RecursionError) as error:
            reason = str(error) if not isinstance(error, RecursionError) else "it is nested too deeply"
            finding = f"it is not a JSON object: {reason.rstrip('.')}."
            self.problems.append(self.problem(column, finding, _JSON_STEP))
            return {}
        return value


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """The rows of a CSV below its header; with `problems` some rows may be missing."""

    rows: tuple[Row, ...] = ()
    columns: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


def read_text(root: Path, name: str) -> Checked[str]:
    """Return the text of a file below the data root, without its BOM."""
    try:
        return Checked(value=(root / name).read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        finding, next_step = f"it is not UTF-8 (byte {error.start}).", "Save it as UTF-8."
    except OSError as error:
        finding, next_step = f"it cannot be read: {error.strerror}.", "Put the file there and make it readable."
    return Checked(value="", problems=(Problem(place=name, finding=finding, next_step=next_step),))


def read_table(text: str, name: str, *, required: tuple[str, ...], known: tuple[str, ...] = ()) -> Table:
    """Read a CSV that must have the columns `required`; `known` are all columns with a meaning.

    A row whose first cell begins with # is a comment.
    """
    separated = _other_separator(text, known or required)
    if separated:
        next_step = "Save the file with commas between the columns."
        return Table(problems=(Problem(place=f"{name}:1", finding=separated, next_step=next_step),))
    reader = csv_reader(text, strict=True)
    try:
        lines = [(line, cells) for line, cells in numbered_rows(reader) if not is_comment(cells)]
    except csv.Error as error:
        problem = Problem(
            place=f"{name}:{reader.line_num}", finding=f"it is not CSV: {error}.", next_step="Fix the quotes."
        )
        return Table(problems=(problem,))
    header = [cell.strip() for cell in lines[0][1]] if lines else []
    place = f"{name}:{lines[0][0] if lines else 1}"
    problems = tuple(_check_header(place, header, required, known))
    return Table(problems=problems) if problems else _table(name, header, lines[1:])


def _table(name: str, header: list[str], lines: list[tuple[int, list[str]]]) -> Table:
    rows, uneven = [], []
    for line, cells in lines:
        if not any(cell.strip() for cell in cells):
            continue  # spreadsheet programs leave rows of commas
        if len(cells) != len(header):
            finding = f"it has {counted(len(cells), 'cell')}, the header {len(header)}."
            uneven.append(Problem(place=f"{name}:{line}", finding=finding, next_step="Add or remove commas."))
        else:
            rows.append(Row(name, line, dict(zip(header, cells, strict=True))))
    return Table(rows=tuple(rows), columns=tuple(header), problems=tuple(uneven))


def _other_separator(text: str, known: tuple[str, ...]) -> str:
    """Return the finding about a header separated by semicolons or tabs; "" when commas separate it."""
    lines = (line for line in re.split(r"[\r\n]+", text) if not line.startswith("#"))
    header = next(lines, "")
    for separator, words in ((";", "semicolons"), ("\t", "tabs")):
        columns = [column.strip().strip('"').lower() for column in header.split(separator)]
        if "," not in header and len(columns) > 1 and set(columns) & set(known):
            return f"the columns are separated by {words}."
    return ""


def _no_constant(word: str) -> NoReturn:
    msg = f"{word} is not JSON"
    raise ValueError(msg)


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        msg = "a key appears twice"
        raise ValueError(msg)
    return value


def is_comment(cells: Sequence[str]) -> bool:
    """Return True for a row that is a comment of the file's owner."""
    return bool(cells) and cells[0].lstrip().startswith("#")


def _check_header(
    place: str, header: list[str], required: tuple[str, ...], known: tuple[str, ...]
) -> Iterator[Problem]:
    for column in required:
        if column not in header:
            finding = f'the column "{column}" is missing.'
            yield Problem(place=place, finding=finding, next_step=f"The header is: {','.join(header) or '(empty)'}.")
    for column in dict.fromkeys(column for column in header if column and header.count(column) > 1):
        yield Problem(place=place, finding=f'the column "{column}" appears twice.', next_step="Delete one.")
    for column in dict.fromkeys(header):
        meant = _OTHER_NAMES.get(column.lower()) or closest(column, known, cutoff=_NEARLY)
        if column not in known and meant in known and meant not in header:
            finding = f'the column "{column}" is unknown, and its values would be ignored.'
            yield Problem(place=place, finding=finding, next_step=f'Did you mean "{meant}"?')


def same_ids(ids: list[tuple[str, Row]], column: str) -> Iterator[Problem]:
    """Yield a problem for each row whose id equals the id of an earlier row, case ignored."""
    seen: dict[str, tuple[str, Row]] = {}
    for value, row in ids:
        former, former_row = seen.setdefault(value.lower(), (value, row))
        if former_row is row:
            continue
        same = former == value
        line = f"line {former_row.line}"
        finding = (
            f'"{value}" is on {line} already.'
            if same
            else f'"{former}" and "{value}" differ only by case and would share their gen_ids ({line}).'
        )
        yield row.problem(column, finding, "Rename or deactivate one.")
