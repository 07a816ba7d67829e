"""The inputs below `1_raw/` and `2_tasks/`: templates, judge models, replicates and the selection file.

Ids are text (`007` stays `007`), extra columns are ignored, a BOM and CRLF are accepted. Every mistake of a file is
reported with its line and column; a file with one is never half used.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from include.cohorts.csv_rows import csv_reader, numbered_rows
from include.cohorts.errors import Checked, Problem
from include.cohorts.model import ID_RULE, JudgeModel, Stage, Template, is_id
from include.cohorts.spelling import choose_from

TEMPLATES = "1_raw/evaluation_templates.csv"
TEMPLATE_TEXTS = "1_raw/templates/evaluation"
MODELS = "1_raw/llm_models.csv"
REPLICATION = "1_raw/replication_config.csv"
OFFLINE_OK = "1_raw/OFFLINE_OK"
SELECTIONS = ("2_tasks/selected_essays.txt", "2_tasks/selected_drafts.txt")

_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
# int() and float() alone would also take 1_5, nan and inf.
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_TOKEN_FIELDS: dict[str, Literal["max_tokens", "max_completion_tokens"]] = {
    "max_tokens": "max_tokens",
    "max_completion_tokens": "max_completion_tokens",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class SelectionFile:
    """A selection file's text and its name below the data root."""

    place: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Catalog:
    """Reads the inputs of one data root. Nothing is kept: each call reads the file as it is now."""

    root: Path

    def templates(self) -> Checked[tuple[Template, ...]]:
        """The active evaluation templates with their texts, in file order."""
        table = _read_table(self.root, TEMPLATES, required=("template_id", "active"))
        problems = list(table.problems)
        active: list[Template] = []
        ids: list[tuple[str, _Row]] = []
        for row in table.rows:
            template_id, is_active = row.id("template_id"), row.boolean("active")
            problems += row.problems
            if is_active and template_id and not row.problems:
                ids.append((template_id, row))
                text = self._template_text(template_id, row)
                problems += text.problems
                if not text.problems:
                    active.append(_template(template_id, text.value, row))
        problems += _same_ids(ids, "template_id")
        if not active and not problems:
            problems.append(_none_active(TEMPLATES, "template", "active"))
        return Checked(value=tuple(active), problems=tuple(problems))

    def template_rows(self) -> Checked[dict[str, Template]]:
        """Every template by id, inactive ones too, without their texts; an active row counts before others."""
        table = _read_table(self.root, TEMPLATES, required=("template_id", "active"))
        problems, found = list(table.problems), dict[str, Template]()
        for row in table.rows:
            template_id, is_active = row.id("template_id"), row.boolean("active")
            problems += row.problems
            if template_id and (is_active or template_id not in found):
                found[template_id] = _template(template_id, "", row)
        return Checked(value=found, problems=tuple(problems))

    def models(self) -> Checked[tuple[JudgeModel, ...]]:
        """The models with `for_evaluation`, in file order."""
        table = _read_table(self.root, MODELS, required=("id", "model", "for_evaluation"))
        problems = list(table.problems)
        judges: list[JudgeModel] = []
        ids: list[tuple[str, _Row]] = []
        for row in table.rows:
            model = _judge_model(row)
            problems += row.problems
            if model is not None and not row.problems:
                judges.append(model)
                ids.append((model.id, row))
        problems += _same_ids(ids, "id")
        if not judges and not problems:
            problems.append(_none_active(MODELS, "model", "for_evaluation"))
        return Checked(value=tuple(judges), problems=tuple(problems))

    def replicates(self) -> Checked[int]:
        """How many evaluations a cell should hold, from the row of stage `evaluation`."""
        table = _read_table(self.root, REPLICATION, required=("stage", "replicates"))
        problems = list(table.problems)
        found: list[int] = []
        for row in table.rows:
            stage = row.text("stage").lower()
            count = row.number("replicates", int, low=1, high=1000)
            if stage == Stage.EVALUATION and count is None and not row.problems:
                row.required("replicates")
            problems += row.problems
            if stage not in list(Stage):
                problems.append(row.problem("stage", f'"{stage}" is not a stage.', choose_from(stage, list(Stage))))
            elif stage == Stage.EVALUATION and count is not None:
                found.append(count)
        if len(found) != 1 and not problems:
            finding = f'it has {len(found) or "no"} rows for the stage "evaluation".'
            problems.append(Problem(place=REPLICATION, finding=finding, next_step="Write one: evaluation,4"))
        return Checked(value=found[0] if found else 1, problems=tuple(problems))

    def selection(self) -> Checked[SelectionFile | None]:
        """The one selection file that exists."""
        present = [name for name in SELECTIONS if (self.root / name).exists()]
        if len(present) == 1:
            text = _read_text(self.root, present[0])
            return Checked(value=SelectionFile(place=present[0], text=text.value), problems=text.problems)
        if present:
            finding = f"both {present[0]} and {present[1]} exist."
            problem = Problem(place="2_tasks", finding=finding, next_step="Delete the one that is not meant.")
        else:
            finding = "there is no selection file, and the conf has no essay_ids."
            next_step = f"Write {SELECTIONS[0]}, one gen_id a line, or trigger with essay_ids in the conf."
            problem = Problem(place="2_tasks", finding=finding, next_step=next_step)
        return Checked(value=None, problems=(problem,))

    def offline_replies_allowed(self) -> bool:
        """True when this data root may hold made-up scores, as the sample does."""
        return (self.root / OFFLINE_OK).exists()

    def _template_text(self, template_id: str, row: _Row) -> Checked[str]:
        name = f"{TEMPLATE_TEXTS}/{template_id}.txt"
        if (self.root / name).is_file():
            return _read_text(self.root, name)
        problem = row.problem(
            "template_id", f"there is no file {name}.", "Write it, or set the row's active to false."
        )
        return Checked(value="", problems=(problem,))


class _Row:
    """One line of a CSV with typed access; collects the problems of the cells that were asked for."""

    def __init__(self, place: str, line: int, cells: dict[str, str]) -> None:
        self.place, self.line, self._cells = place, line, cells
        self.problems: list[Problem] = []

    def problem(self, column: str, finding: str, next_step: str) -> Problem:
        return Problem(place=f"{self.place}:{self.line}, column {column}", finding=finding, next_step=next_step)

    def text(self, column: str) -> str:
        return (self._cells.get(column) or "").strip()

    def id(self, column: str) -> str | None:
        value = self.text(column)
        if is_id(value):
            return value
        self.problems.append(self.problem(column, f"{value!r} cannot be an id.", ID_RULE))
        return None

    def required(self, column: str) -> str:
        value = self.text(column)
        if not value:
            self.problems.append(self.problem(column, "it is empty.", "Fill the cell."))
        elif not value.isprintable():
            self.problems.append(
                self.problem(column, f"{value!r} holds a line end or another control character.", "Remove it.")
            )
        return value

    def boolean(self, column: str) -> bool:
        value = _BOOLEANS.get(self.text(column).lower())
        if value is None:
            finding = f'"{self.text(column)}" is neither true nor false.'
            self.problems.append(self.problem(column, finding, "Write true, false, 1 or 0."))
        return bool(value)

    def number(self, column: str, kind: Callable[[str], Any], *, low: float, high: float) -> Any:
        """The cell as a number, None when it is empty or wrong."""
        value = self.text(column)
        try:
            number = kind(value) if _NUMBER.fullmatch(value) else None
        except ValueError:
            number = None
        if value and (number is None or not low <= number <= high):
            word = "whole number" if kind is int else "number"
            next_step = f"Write a {word} from {low:,} to {high:,}, or leave the cell empty."
            self.problems.append(self.problem(column, f'"{value}" will not do.', next_step))
            return None
        return number


@dataclass(frozen=True, kw_only=True, slots=True)
class _Table:
    rows: tuple[_Row, ...] = ()
    problems: tuple[Problem, ...] = ()


def _template(template_id: str, text: str, row: _Row) -> Template:
    place = f"{TEMPLATE_TEXTS}/{template_id}.txt"
    row_place = f"{TEMPLATES}:{row.line}"
    return Template(template_id=template_id, text=text, parser=row.text("parser"), place=place, row_place=row_place)


def _judge_model(row: _Row) -> JudgeModel | None:
    """The row's judge, None when the model is not for evaluation; cells of other models are not judged."""
    if not row.boolean("for_evaluation"):
        return None
    field = row.text("max_tokens_field") or "max_tokens"
    if field not in _TOKEN_FIELDS:
        row.problems.append(
            row.problem("max_tokens_field", f'"{field}" will not do.', choose_from(field, _TOKEN_FIELDS))
        )
    return JudgeModel(
        id=row.required("id"),
        model=row.required("model"),
        temperature=row.number("temperature", float, low=0, high=2),
        max_tokens=row.number("max_tokens", int, low=1, high=10_000_000),
        max_tokens_field=_TOKEN_FIELDS.get(field, "max_tokens"),
        input_usd_per_mtok=row.number("input_usd_per_mtok", float, low=0, high=1_000_000),
        output_usd_per_mtok=row.number("output_usd_per_mtok", float, low=0, high=1_000_000),
    )


def _read_text(root: Path, name: str) -> Checked[str]:
    try:
        return Checked(value=(root / name).read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        finding, next_step = f"it is not UTF-8 (byte {error.start}).", "Save it as UTF-8."
    except OSError as error:
        finding, next_step = f"it cannot be read: {error.strerror}.", "Put the file there and make it readable."
    return Checked(value="", problems=(Problem(place=name, finding=finding, next_step=next_step),))


def _read_table(root: Path, name: str, *, required: tuple[str, ...]) -> _Table:
    text = _read_text(root, name)
    if text.problems:
        return _Table(problems=text.problems)
    reader = csv_reader(text.value, strict=True)
    try:
        lines = list(numbered_rows(reader))
    except csv.Error as error:
        problem = Problem(
            place=f"{name}:{reader.line_num}", finding=f"it is not CSV: {error}.", next_step="Mend the quotes."
        )
        return _Table(problems=(problem,))
    header = [cell.strip() for cell in lines[0][1]] if lines else []
    problems = tuple(_check_header(name, header, required))
    if problems:
        return _Table(problems=problems)
    rows, uneven = [], []
    for line, cells in lines[1:]:
        if len(cells) > len(header) or 0 < len(cells) < len(header):
            finding = f"it has {len(cells)} cells, the header {len(header)}."
            uneven.append(Problem(place=f"{name}:{line}", finding=finding, next_step="Add or remove commas."))
        elif cells:
            rows.append(_Row(name, line, dict(zip(header, cells, strict=True))))
    return _Table(rows=tuple(rows), problems=tuple(uneven))


def _check_header(name: str, header: list[str], required: tuple[str, ...]) -> Iterator[Problem]:
    place = f"{name}:1"
    for column in required:
        if column not in header:
            finding = f'the column "{column}" is missing.'
            yield Problem(place=place, finding=finding, next_step=f"The header is: {','.join(header) or '(empty)'}.")
    for column in dict.fromkeys(column for column in header if column and header.count(column) > 1):
        yield Problem(place=place, finding=f'the column "{column}" stands twice.', next_step="Delete one.")


def _same_ids(ids: list[tuple[str, _Row]], column: str) -> Iterator[Problem]:
    """A problem for each row whose id is that of an earlier row, exactly or but for case."""
    seen: dict[str, tuple[str, _Row]] = {}
    for value, row in ids:
        former, former_row = seen.setdefault(value.lower(), (value, row))
        if former_row is row:
            continue
        same = former == value
        line = f"line {former_row.line}"
        finding = (
            f'"{value}" stands on {line} already.'
            if same
            else f'"{former}" and "{value}" differ only by case and would share their gen_ids ({line}).'
        )
        yield row.problem(column, finding, "Rename or deactivate one.")


def _none_active(name: str, noun: str, column: str) -> Problem:
    return Problem(place=name, finding=f"no {noun} has {column} true.", next_step=f"Set {column} to true for one.")
