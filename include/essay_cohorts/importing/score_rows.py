"""Reads the rows of people's scores, and checks each cell: one row is one score. Nothing is written here."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from essay_cohorts.catalog.templates import TEMPLATES
from essay_cohorts.domain import HUMAN_PREFIX, ID_RULE, Cell, Template, is_human, is_id
from essay_cohorts.errors import Problem, choose_from
from essay_cohorts.files.csv_text import unescape_formula
from essay_cohorts.importing.source_rows import SourceRow, WantedColumn, cell_text, shown_value
from essay_cohorts.judging.score_line import on_scale
from essay_cohorts.rubric import OVERALL_NAMES, Rubric, criterion_key

_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
# Finding the most similar of thousands of ids takes 0.1 s, so only the first unknown ids get a suggestion.
_MAX_SUGGESTIONS = 20
_RATER_RULE = f"{ID_RULE} {HUMAN_PREFIX} is put before it, and both have at most 100 characters together."

COLUMNS = {
    "essay": WantedColumn(default="essay", option="--essay-column", required=True),
    "template": WantedColumn(default="template", option="--template-column", required=True),
    "rater": WantedColumn(default="rater", option="--rater-column", required=True),
    "score": WantedColumn(default="score", option="--score-column", required=True),
    "criterion": WantedColumn(default="criterion", option="--criterion-column"),
    "note": WantedColumn(default="note", option="--note-column"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreColumns:
    """The columns that the person named; None for the column of the default name."""

    essay: str | None = None
    template: str | None = None
    rater: str | None = None
    score: str | None = None
    criterion: str | None = None
    note: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoredRow:
    """A row without mistakes; `criterion` is "" for the overall score."""

    place: str
    cell: Cell
    criterion: str
    score: float
    note: str


class RowReader:
    """Reads the rows of one table; `columns` are those of the table by role."""

    def __init__(
        self,
        columns: Mapping[str, str | None],
        templates: Mapping[str, Template],
        essays: Collection[str],
        *,
        escaped: bool,
    ) -> None:
        self._columns, self._templates, self._essays, self._escaped = columns, templates, essays, escaped
        self._suggestions: dict[str, str] = {}

    def is_unrated(self, row: SourceRow) -> bool:
        """Return True if nobody has filled in the row yet."""
        return not any(self._text(row, role) for role in ("rater", "score", "note"))

    def rating(self, row: SourceRow) -> tuple[str, str, str]:
        """Return essay, template and model of the rating that the row belongs to, however wrong; without case."""
        essay, template_id, rater = (self._text(row, role).lower() for role in ("essay", "template", "rater"))
        return essay, template_id, HUMAN_PREFIX + rater

    def problems(self, row: SourceRow) -> Iterator[Problem]:
        """Yield a problem for each cell that is wrong."""
        essay, template_id, rater = (self._text(row, role) for role in ("essay", "template", "rater"))
        if essay not in self._essays or not is_id(essay):
            finding = f'there is no essay "{_cut(essay)}" in this data root.' if essay else "it is empty."
            yield self._problem(row, "essay", finding, self._suggest_essay(essay))
        template = self._templates.get(template_id)
        if template is None:
            finding = f'"{_cut(template_id)}" is not in {TEMPLATES}.' if template_id else "it is empty."
            yield self._problem(row, "template", finding, choose_from(template_id, self._templates))
        if is_human(rater):
            finding, next_step = f"{shown_value(rater)} has the prefix already.", f"Leave {HUMAN_PREFIX} out."
            yield self._problem(row, "rater", finding, next_step)
        elif not is_id(rater) or not is_id(HUMAN_PREFIX + rater):
            finding = f"{shown_value(rater)} is not a valid id of a rater." if rater else "it is empty."
            yield self._problem(row, "rater", finding, _RATER_RULE)
        if template is not None and self._criterion(row) is None:
            yield self._unknown_criterion(row, template.rubric)
        yield from self._score_problems(row, template)

    def _score_problems(self, row: SourceRow, template: Template | None) -> Iterator[Problem]:
        value, number = self._value(row, "score"), self._number(row)
        scale = f"Write a number from {template.rubric.scale}." if template else "Write a number."
        if not cell_text(value):
            yield self._problem(row, "score", "it is empty.", f"{scale} Or delete the row.")
        elif not _NUMBER.fullmatch(number):
            comma = "; numbers have a point, not a comma" if re.fullmatch(r"[0-9]+,[0-9]+", number) else ""
            yield self._problem(row, "score", f"{shown_value(value)} is not a number{comma}.", scale)
        elif template is not None and on_scale(number, template.rubric.scale) is None:
            finding = f"{_cut(number)} is not from {template.rubric.scale}, the scale of {template.template_id}."
            yield self._problem(row, "score", finding, scale)

    def _unknown_criterion(self, row: SourceRow, rubric: Rubric) -> Problem:
        name = self._text(row, "criterion")
        finding = f'the template has no criterion "{_cut(name)}".'
        next_step = "Leave the cell empty for the overall score."
        if rubric.criteria:
            next_step = f"{choose_from(name, rubric.criteria)} {next_step}"
        return self._problem(row, "criterion", finding, next_step)

    def _criterion(self, row: SourceRow) -> str | None:
        """Return the criterion as the template writes it, "" for the overall score; None if there is no such one."""
        key = criterion_key(self._text(row, "criterion"))
        if not key or key in OVERALL_NAMES:
            return ""
        criteria = self._templates[self._text(row, "template")].rubric.criteria
        return next((name for name in criteria if criterion_key(name) == key), None)

    def scored(self, row: SourceRow) -> ScoredRow:
        """Return the score in a row without problems."""
        template_id = self._text(row, "template")
        scale = self._templates[template_id].rubric.scale
        note = self._text(row, "note")
        return ScoredRow(
            place=row.place,
            cell=Cell(self._text(row, "essay"), template_id, HUMAN_PREFIX + self._text(row, "rater")),
            criterion=self._criterion(row) or "",
            score=on_scale(self._number(row), scale) or 0.0,
            note=unescape_formula(note) if self._escaped else note,
        )

    def _suggest_essay(self, essay: str) -> str:
        if essay not in self._suggestions:
            few = len(self._suggestions) < _MAX_SUGGESTIONS
            guess = choose_from(essay, self._essays) if few and essay and self._essays else ""
            self._suggestions[essay] = guess if guess.startswith("Did") else "List the essays: cohorts essays"
        return self._suggestions[essay]

    def _value(self, row: SourceRow, role: str) -> Any:
        column = self._columns[role]
        return None if column is None else row.values.get(column)

    def _text(self, row: SourceRow, role: str) -> str:
        return cell_text(self._value(row, role))

    def _number(self, row: SourceRow) -> str:
        """Return the score as text without an exponent; a value that is not a number as it is shown."""
        value = self._value(row, "score")
        if isinstance(value, float | Decimal):
            return f"{Decimal(str(value)):f}"
        return cell_text(value)

    def _problem(self, row: SourceRow, role: str, finding: str, next_step: str) -> Problem:
        place = f"{row.place}, column {self._columns[role] or COLUMNS[role].default}"
        return Problem(place=place, finding=finding, next_step=next_step)


def _cut(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
