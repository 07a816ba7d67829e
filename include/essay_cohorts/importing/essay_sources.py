"""Reads people's essays from a folder of texts or from a table, and checks them. Nothing is written here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from essay_cohorts.domain import ID_RULE, is_id
from essay_cohorts.errors import Checked, Problem
from essay_cohorts.importing.essay_ids import essay_id_of
from essay_cohorts.importing.source_rows import (
    READERS,
    SourceRow,
    SourceTable,
    WantedColumn,
    cell_text,
    choose_columns,
    read_table_file,
    read_utf8,
    shown_value,
)

TEXT_FILES = (".txt", ".md")
_HEADING = re.compile(r"^#{1,6}[ \t]+(.+?)[ \t]*#*[ \t]*$", re.MULTILINE)
# A line of code that begins with # is no heading.
_FENCED = re.compile(r"^ {0,3}(`{3,}|~{3,}).*?(?:^ {0,3}\1|\Z)", re.MULTILINE | re.DOTALL)
_KINDS = f"a folder of {' and '.join(TEXT_FILES)} files, or one {', '.join((*TEXT_FILES, *READERS))} file"


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceEssay:
    """An essay of a source: `place` names its file or row, and `columns` has what the source says about it besides.

    `stated` names what the source says of the essay: title, group, columns. What it does not say is not erased.
    """

    place: str
    essay_id: str
    title: str
    text: str
    group: str = ""
    columns: Mapping[str, Any] = field(default_factory=dict)
    stated: frozenset[str] = frozenset({"title"})


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnNames:
    """The columns of a table that are read. None: the column of the default name, if the table has one."""

    text: str | None = None
    essay_id: str | None = None
    title: str | None = None
    group: str | None = None


_COLUMNS = {
    "text": WantedColumn(default="text", option="--text-column", required=True),
    "essay_id": WantedColumn(default="id", option="--id-column"),
    "title": WantedColumn(default="title", option="--title-column"),
    "group": WantedColumn(default="group", option="--group-column"),
}


def read_essays(source: Path, names: ColumnNames = ColumnNames()) -> Checked[tuple[SourceEssay, ...]]:
    """Return the essays of a folder or a file, and all problems together; the same essay twice counts once."""
    if not source.exists():
        found = _no_essays(str(source), "there is no such file or folder.")
    elif source.is_dir():
        found = _read_folder(source)
    elif not source.is_file():
        found = _no_essays(str(source), "it is neither a folder nor a plain file.")
    elif source.suffix.lower() in TEXT_FILES:
        found = _read_text_files([source])
    elif source.suffix.lower() in READERS:
        found = _read_table(read_table_file(source), names)
    else:
        found = _no_essays(str(source), "this kind of file is not read.")
    essays, twice = _without_repeats(found.value)
    return Checked(value=essays, problems=(*found.problems, *twice))


def _no_essays(place: str, finding: str) -> Checked[tuple[SourceEssay, ...]]:
    return Checked(value=(), problems=(Problem(place=place, finding=finding, next_step=f"Give {_KINDS}."),))


def _read_folder(folder: Path) -> Checked[tuple[SourceEssay, ...]]:
    visible = (path for path in folder.iterdir() if path.name[0] != "." and path.is_file())
    paths = sorted(path for path in visible if path.suffix.lower() in TEXT_FILES)
    if not paths:
        finding = f"it has no {' or '.join(TEXT_FILES)} file; folders in it are not searched."
        return _no_essays(str(folder), finding)
    return _read_text_files(paths)


def _read_text_files(paths: list[Path]) -> Checked[tuple[SourceEssay, ...]]:
    essays, problems = [], []
    for path in paths:
        found = _read_text_file(path)
        if isinstance(found, Problem):
            problems.append(found)
        else:
            essays.append(found)
    return Checked(value=tuple(essays), problems=tuple(problems))


def _read_text_file(path: Path) -> SourceEssay | Problem:
    """Return the essay in a file. Its title is the first heading of a .md file, or else the name of the file."""
    try:
        text = read_utf8(path)
    except OSError as error:
        finding = f"it cannot be read: {error.strerror}."
        return Problem(place=path.name, finding=finding, next_step="Make the file readable, or remove it.")
    if isinstance(text, Problem):
        return text
    if not text.strip():
        return Problem(place=path.name, finding="it is empty.", next_step="Write the essay, or remove the file.")
    heading = _HEADING.search(_FENCED.sub("", text)) if path.suffix.lower() == ".md" else None
    title = heading[1] if heading else path.stem
    return SourceEssay(place=path.name, essay_id=essay_id_of(title, text), title=title, text=text)


def _read_table(table: SourceTable, names: ColumnNames) -> Checked[tuple[SourceEssay, ...]]:
    if table.problem is not None:
        return Checked(value=(), problems=(table.problem,))
    chosen, problems = choose_columns(table, _COLUMNS, asdict(names))
    columns = ColumnNames(**chosen)
    essays: list[SourceEssay] = []
    for row in table.rows:
        if isinstance(row, Problem):
            problems.append(row)
        elif columns.text is not None:
            found = list(_row_problems(row, columns))
            problems += found
            if not found:
                essays.append(_essay_of(row, columns))
    return Checked(value=tuple(essays), problems=tuple(problems))


def _row_problems(row: SourceRow, columns: ColumnNames) -> Iterator[Problem]:
    text = row.values.get(columns.text or "")
    if not isinstance(text, str) or not text.strip():
        finding = (
            "it is empty." if not text or isinstance(text, str) else f"it holds {shown_value(text)}, not a text."
        )
        place = f"{row.place}, column {columns.text}"
        yield Problem(place=place, finding=finding, next_step="Write the essay, or delete the row.")
    if columns.essay_id is not None:
        essay_id = cell_text(row.values.get(columns.essay_id))
        if not is_id(essay_id):
            place = f"{row.place}, column {columns.essay_id}"
            yield Problem(place=place, finding=f"{shown_value(essay_id)} is not a valid id.", next_step=ID_RULE)


def _essay_of(row: SourceRow, columns: ColumnNames) -> SourceEssay:
    text = row.values[columns.text or ""]
    title = cell_text(row.values.get(columns.title)) if columns.title else ""
    title = title or next(line.strip() for line in text.splitlines() if line.strip())
    own_id = cell_text(row.values[columns.essay_id]) if columns.essay_id else ""
    others = {name: row.values[name] for name in row.values if name not in _named(columns)}
    stated = {"title": columns.title, "group": columns.group, "columns": others}
    return SourceEssay(
        place=row.place,
        essay_id=own_id or essay_id_of(title, text),
        title=title,
        text=text,
        group=cell_text(row.values.get(columns.group)) if columns.group else "",
        columns=others,
        stated=frozenset(name for name, found in stated.items() if found),
    )


def _named(columns: ColumnNames) -> set[str | None]:
    return {columns.text, columns.essay_id, columns.title, columns.group}


def _without_repeats(essays: tuple[SourceEssay, ...]) -> tuple[tuple[SourceEssay, ...], list[Problem]]:
    """Return the essays without repeated ones, and a problem for each id of two texts and two ids alike but for case.

    The gen_ids of evaluations ignore case, so two such essays would share their evaluations.
    """
    first: dict[str, SourceEssay] = {}
    problems = []
    for essay in essays:
        former = first.setdefault(essay.essay_id.lower(), essay)
        finding = ""
        if former.essay_id != essay.essay_id:
            finding = f"the id {essay.essay_id} differs only by case from {former.essay_id} at {former.place}."
        elif former.text != essay.text:
            finding = f"the id {essay.essay_id} has another text at {former.place}."
        if finding:
            problems.append(Problem(place=essay.place, finding=finding, next_step="Give each text its own id."))
    return tuple(first.values()), problems
