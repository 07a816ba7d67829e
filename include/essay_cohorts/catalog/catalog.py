"""Reads the inputs below `1_raw/` and `2_tasks/`: templates, judge models, replicates and the selection file.

Ids are text (`007` stays `007`). Extra columns are ignored unless their name is close to a known one. A BOM and CRLF
are accepted. Each mistake in a file is reported with its line and column; a file with a mistake is not used at all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from essay_cohorts.calls import JudgeModel
from essay_cohorts.catalog.models import MODEL_COLUMNS, MODELS, read_model
from essay_cohorts.catalog.rows import Row, Table, read_table, read_text, same_ids
from essay_cohorts.catalog.templates import TEMPLATE_COLUMNS, TEMPLATES, read_template
from essay_cohorts.domain import Stage, Template, one_form
from essay_cohorts.errors import Checked, Problem, choose_from
from essay_cohorts.provenance import OFFLINE_OK

REPLICATION = "1_raw/replication_config.csv"
REPLICATION_COLUMNS = ("stage", "replicates")
SELECTIONS = ("2_tasks/selected_essays.txt", "2_tasks/selected_drafts.txt")

# Where templates and models are named when no column says which ones are used.
_NAMED_BY = {
    TEMPLATES: ("templates", "templates in the conf"),
    MODELS: ("models", "models in the conf (in a ranking by average_models, or --average-models)"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class SelectionFile:
    """The text of a selection file, and its path below the data root."""

    place: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Catalog:
    """Reads the inputs of one data root. Nothing is cached: each call reads the file again.

    `pending` has texts by their path below the data root that are read in place of the files: this is how a text is
    checked before it is written.
    """

    root: Path
    pending: Mapping[str, str] = field(default_factory=dict)

    def templates(self, named: Collection[str] | None = None) -> Checked[tuple[Template, ...]]:
        """Return the active evaluation templates with their texts, in file order.

        In a table without the column `active`, the templates in `named` count as active.
        """
        table = self._table(TEMPLATES, required=("template_id",), known=TEMPLATE_COLUMNS)
        switch = _Switch(table=table, column="active", named=named)
        problems = [*table.problems, *switch.problems(TEMPLATES)]
        active: list[Template] = []
        ids: list[tuple[str, Row]] = []
        listed = {row.text("template_id") for row in table.rows}
        for row in table.rows:
            template_id = row.id("template_id")
            is_active = switch.is_on(row, template_id or "")
            if is_active and template_id and not row.problems:
                ids.append((template_id, row))
                read = self._with_texts(template_id, row)
                problems += read.problems
                if f"{template_id}.system" in listed:
                    problems.append(_two_uses(read.value, row))
                if not read.problems:
                    active.append(read.value)
            else:
                problems += row.problems
        problems += same_ids(ids, "template_id")
        if not active and not problems and switch.is_there:
            problems.append(_none_active(TEMPLATES, "template", "active"))
        return Checked(value=tuple(active), problems=tuple(problems))

    def template_rows(self) -> Checked[dict[str, Template]]:
        """Return all templates by id, inactive ones too, without texts; of equal ids the active row counts."""
        table = self._table(TEMPLATES, required=("template_id",), known=TEMPLATE_COLUMNS)
        switch = _Switch(table=table, column="active", named=())
        problems, found = list(table.problems), dict[str, Template]()
        for row in table.rows:
            template_id = row.id("template_id")
            is_active = switch.is_on(row, template_id or "")
            if template_id and (is_active or template_id not in found):
                found[template_id] = read_template(template_id, row)
            problems += row.problems
        return Checked(value=found, problems=tuple(problems))

    def models(self, named: Collection[str] | None = None) -> Checked[tuple[JudgeModel, ...]]:
        """Return the models with `for_evaluation` true, in file order; without that column, those in `named`."""
        table = self._table(MODELS, required=("id", "model"), known=MODEL_COLUMNS)
        switch = _Switch(table=table, column="for_evaluation", named=named)
        problems = [*table.problems, *switch.problems(MODELS)]
        judges: list[JudgeModel] = []
        ids: list[tuple[str, Row]] = []
        for row in table.rows:
            model = read_model(row) if switch.is_on(row, one_form(row.text("id"))) else None
            problems += row.problems
            if model is not None and not row.problems:
                judges.append(model)
                ids.append((model.id, row))
        problems += same_ids(ids, "id")
        if not judges and not problems and switch.is_there:
            problems.append(_none_active(MODELS, "model", "for_evaluation"))
        return Checked(value=tuple(judges), problems=tuple(problems))

    def marks_models(self) -> bool:
        """Return True when the column `for_evaluation` exists; without it a run must name its models."""
        return "for_evaluation" in self._table(MODELS, required=("id",)).columns

    def choices(self, name: str) -> list[str]:
        """Return the ids in TEMPLATES or MODELS that may be chosen: the active ones, or all without that column."""
        id_column, column = ("template_id", "active") if name == TEMPLATES else ("id", "for_evaluation")
        table = self._table(name, required=(id_column,))
        switch = _Switch(table=table, column=column, named=None)
        return [one_form(row.text(id_column)) for row in table.rows if not switch.is_there or row.boolean(column)]

    def replicates(self) -> Checked[int]:
        """Return the replicates per cell, from the row of the stage `evaluation`."""
        table = self._table(REPLICATION, required=REPLICATION_COLUMNS, known=REPLICATION_COLUMNS)
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
        """Return the selection file; a problem when there is none, or more than one."""
        present = [name for name in SELECTIONS if (self.root / name).exists()]
        if len(present) == 1:
            text = self.text(present[0])
            return Checked(value=SelectionFile(place=present[0], text=text.value), problems=text.problems)
        if present:
            finding = f"both {present[0]} and {present[1]} exist."
            problem = Problem(place="2_tasks", finding=finding, next_step="Delete the file that you do not need.")
        else:
            finding = "there is no selection file, and the conf has no essay_ids."
            next_step = (
                f"Write {SELECTIONS[0]}, one gen_id per line (`cohorts essays` lists them, and "
                "`cohorts import essays` with --select writes the file), or trigger with essay_ids in the conf."
            )
            problem = Problem(place="2_tasks", finding=finding, next_step=next_step)
        return Checked(value=None, problems=(problem,))

    def text(self, name: str) -> Checked[str]:
        """Return the text of an input file, without its BOM."""
        if name in self.pending:
            return Checked(value=self.pending[name].removeprefix("\ufeff"))
        return read_text(self.root, name)

    def offline_replies_allowed(self) -> bool:
        """Return True when this data root may hold made-up scores, as the sample does."""
        return (self.root / OFFLINE_OK).exists()

    def _table(self, name: str, *, required: tuple[str, ...], known: tuple[str, ...] = ()) -> Table:
        text = self.text(name)
        if text.problems:
            return Table(problems=text.problems)
        return read_table(text.value, name, required=required, known=known)

    def _with_texts(self, template_id: str, row: Row) -> Checked[Template]:
        """Return the row's template with the texts of its files; the system message is optional."""
        template = read_template(template_id, row)
        if template.place not in self.pending and not (self.root / template.place).is_file():
            finding, next_step = f"there is no file {template.place}.", "Write it, or set the row's active to false."
            row.problems.append(row.problem("template_id", finding, next_step))
            return Checked(value=template, problems=tuple(row.problems))
        text = self.text(template.place)
        problems = [*row.problems, *text.problems]
        if template.system_place in self.pending or (self.root / template.system_place).exists():
            system = self.text(template.system_place)
            problems += system.problems
            template = replace(template, system=system.value)
            if not system.problems and not system.value.strip():
                finding, next_step = "the system message is empty.", "Write it, or delete the file."
                problems.append(Problem(place=template.system_place, finding=finding, next_step=next_step))
        return Checked(value=replace(template, text=text.value), problems=tuple(problems))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Switch:
    """Which rows of a table count: those the column marks or, in a table without the column, the `named` ones."""

    table: Table
    column: str
    named: Collection[str] | None

    @property
    def is_there(self) -> bool:
        return self.column in self.table.columns

    def is_on(self, row: Row, name: str) -> bool:
        return row.boolean(self.column) if self.is_there else name in (self.named or ())

    def problems(self, place: str) -> Iterator[Problem]:
        if not self.is_there and self.named is None and not self.table.problems:
            noun, ways = _NAMED_BY[place]
            finding = f'the column "{self.column}" is missing, so the {noun} to use must be named.'
            yield Problem(place=f"{place}:1", finding=finding, next_step=f"Name them by {ways}, or add the column.")


def _two_uses(template: Template, row: Row) -> Problem:
    """Return the problem that the system message of one template is the text of another one."""
    other = f"{template.template_id}.system"
    finding = f'{template.system_place} is its system message and the text of the template "{other}".'
    return row.problem("template_id", finding, f'Rename the template "{other}".')


def _none_active(name: str, noun: str, column: str) -> Problem:
    return Problem(place=name, finding=f"no {noun} has {column} true.", next_step=f"Set {column} to true for one.")
