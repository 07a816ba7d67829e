"""Reads the rows of a person's file: CSV, JSONL or Parquet. Each row knows its place for messages."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from essay_cohorts.amounts import counted
from essay_cohorts.errors import Problem, choose_from
from essay_cohorts.files.csv_text import csv_reader, numbered_rows


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceRow:
    """One row: its place, such as `essays.csv:7`, and its values by column; None for an empty JSON value."""

    place: str
    values: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceTable:
    """The columns and the rows of a file, in order; a row that cannot be read is a problem in its place.

    `problem` says why the whole file cannot be read.
    """

    place: str
    columns: tuple[str, ...] = ()
    rows: tuple[SourceRow | Problem, ...] = ()
    problem: Problem | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class WantedColumn:
    """A column that is read: its default name, the option that names another one, and whether it must exist."""

    default: str
    option: str
    required: bool = False


def choose_columns(
    table: SourceTable, wanted: Mapping[str, WantedColumn], named: Mapping[str, str | None]
) -> tuple[dict[str, str | None], list[Problem]]:
    """Return the column of each role, None where the table has none, and a problem for each that must not be missing.

    `named` has the columns that the person named. A column that the person named must exist too.
    """
    if not table.columns:  # an empty JSON object in each line
        return dict.fromkeys(wanted), []
    chosen: dict[str, str | None] = {}
    problems: list[Problem] = []
    for role, column in wanted.items():
        given = named.get(role)
        name = given if given is not None else column.default
        chosen[role] = name if name in table.columns else None
        if name not in table.columns and (given is not None or column.required):
            next_step = f"Name the column by {column.option}. {choose_from(name, table.columns)}"
            finding = f'there is no column "{name}".'
            problems.append(Problem(place=table.place, finding=finding, next_step=next_step))
    return chosen, problems


def cell_text(value: object) -> str:
    """Return a value as text: 7 for a whole float, because a table with gaps turns its numbers into floats."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def shown_value(value: object) -> str:
    """Return a value as a message shows it, cut to 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def read_table_file(path: Path) -> SourceTable:
    """Read a .csv, .jsonl or .parquet file. Every mistake is a problem; OSError never passes."""
    try:
        return READERS[path.suffix.lower()](path)
    except OSError as error:
        return _failed(path.name, f"it cannot be read: {error.strerror}.", "Make the file readable.")


def _read_csv(path: Path) -> SourceTable:
    text = read_utf8(path)
    if isinstance(text, Problem):
        return SourceTable(place=path.name, problem=text)
    header_line = next(iter(text.splitlines()), "")
    for separator, words in ((";", "semicolons"), ("\t", "tabs")):
        if separator in header_line and "," not in header_line:
            finding = f"the columns are separated by {words}."
            return _failed(f"{path.name}:1", finding, "Save the file with commas between the columns.")
    reader = csv_reader(text, strict=True)
    try:
        lines = [(number, cells) for number, cells in numbered_rows(reader) if any(cell.strip() for cell in cells)]
    except csv.Error as error:
        return _failed(f"{path.name}:{reader.line_num}", f"it is not CSV: {error}.", "Fix the quotes.")
    if not lines:
        return _failed(path.name, "it is empty.", "Write a header and the rows below it.")
    header = [cell.strip() for cell in lines[0][1]]
    twice = sorted({column for column in header if column and header.count(column) > 1})
    if twice:
        finding = f"the column {', '.join(map(repr, twice))} appears twice."
        return _failed(f"{path.name}:{lines[0][0]}", finding, "Rename or delete one.")
    rows: list[SourceRow | Problem] = []
    for number, cells in lines[1:]:
        place = f"{path.name}:{number}"
        if len(cells) != len(header):
            finding = f"it has {counted(len(cells), 'cell')}, the header {len(header)}."
            next_step = "Add or remove commas, or fix the quotes."
            rows.append(Problem(place=place, finding=finding, next_step=next_step))
        else:
            values = {column: cell for column, cell in zip(header, cells, strict=True) if column}
            rows.append(SourceRow(place=place, values=values))
    return _table(path.name, rows, columns=[column for column in header if column])


def _read_jsonl(path: Path) -> SourceTable:
    text = read_utf8(path)
    if isinstance(text, Problem):
        return SourceTable(place=path.name, problem=text)
    lines = ((number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip())
    return _table(path.name, [_json_row(line, f"{path.name}:{number}") for number, line in lines])


def _json_row(line: str, place: str) -> SourceRow | Problem:
    next_step = 'Write one object per line, such as {"column": "value"}.'
    try:
        values = json.loads(line)
        # A lone surrogate can be read, but not stored; with an indentation, as it is stored, nesting has a limit.
        json.dumps(values, ensure_ascii=False, indent=2).encode("utf-8")
    except (ValueError, RecursionError) as error:
        return Problem(place=place, finding=f"it is not JSON: {error}.", next_step=next_step)
    if not isinstance(values, dict):
        return Problem(place=place, finding="it is not a JSON object.", next_step=next_step)
    return SourceRow(place=place, values=values)


def _read_parquet(path: Path) -> SourceTable:
    import polars

    try:
        table = polars.read_parquet(path)
        # 8.9 in 32 bits is 8.899999618530273 in 64.
        short = polars.col(polars.Float32).cast(polars.String).cast(polars.Float64)
        values = table.with_columns(short).to_dicts()
    except (polars.exceptions.PolarsError, polars.exceptions.PanicException) as error:
        return _failed(path.name, f"it is not a Parquet file: {str(error).splitlines()[0]}.", "Save it as Parquet.")
    rows = [SourceRow(place=f"{path.name}, row {number}", values=row) for number, row in enumerate(values, start=1)]
    return _table(path.name, rows, columns=table.columns)


READERS: Mapping[str, Callable[[Path], SourceTable]] = {
    ".csv": _read_csv,
    ".jsonl": _read_jsonl,
    ".ndjson": _read_jsonl,
    ".parquet": _read_parquet,
}


def _table(place: str, rows: Sequence[SourceRow | Problem], columns: Sequence[str] | None = None) -> SourceTable:
    if not rows:
        return _failed(place, "it has no rows.", "Write the rows.")
    if columns is None:
        columns = list(dict.fromkeys(column for row in rows if isinstance(row, SourceRow) for column in row.values))
    return SourceTable(place=place, columns=tuple(columns), rows=tuple(rows))


def read_utf8(path: Path) -> str | Problem:
    """Return the text of a file without its BOM, its line ends as LF; a problem when it is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        finding = f"it is not UTF-8 (byte {error.start})."
        return Problem(place=path.name, finding=finding, next_step="Save it as UTF-8.")


def _failed(place: str, finding: str, next_step: str) -> SourceTable:
    return SourceTable(place=place, problem=Problem(place=place, finding=finding, next_step=next_step))
