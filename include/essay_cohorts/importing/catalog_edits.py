"""Adds a template or a judge to a data root: a row of a CSV, which is checked with the whole file and then written.

The other rows stay byte for byte as they are, with comments, order and line ends. A column that the file lacks is
added at the end of all rows.
"""

from __future__ import annotations

import io
from codecs import BOM_UTF8
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from essay_cohorts.catalog.catalog import Catalog
from essay_cohorts.catalog.models import MODELS
from essay_cohorts.catalog.rows import is_comment
from essay_cohorts.catalog.templates import TEMPLATE_TEXTS, TEMPLATES
from essay_cohorts.domain import ID_RULE, Template, is_id
from essay_cohorts.errors import BadInput, Problem, raise_if_any
from essay_cohorts.files.atomic import make_folder, write_text
from essay_cohorts.files.csv_text import csv_line, csv_reader, numbered_rows
from essay_cohorts.judging.prompts import check_template
from essay_cohorts.ledger.ledger import Ledger
from essay_cohorts.planning.inputs import check_parser
from essay_cohorts.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class NewTemplate:
    """A template to add: its text, an optional system message, and the cells of its row by column."""

    template_id: str
    text: str
    system: str = ""
    cells: Mapping[str, str]


def add_template(settings: Settings, new: NewTemplate) -> tuple[Template, list[str]]:
    """Add a template; return it and the written files. BadInput, with nothing written, names all problems."""
    # Only a valid id may become a part of the path of the text.
    if not is_id(new.template_id):
        finding = f"{new.template_id!r} is not a valid id."
        raise BadInput([Problem(place="TEMPLATE", finding=finding, next_step=ID_RULE)])
    with Ledger.of(settings).planning_turn("cohorts add-template"):  # so that no row of another command is lost
        return _add_template(settings.data_root, new)


def _add_template(root: Path, new: NewTemplate) -> tuple[Template, list[str]]:
    texts = {f"{TEMPLATE_TEXTS}/{new.template_id}.txt": new.text}
    if new.system:
        texts[f"{TEMPLATE_TEXTS}/{new.template_id}.system.txt"] = new.system
    taken = [name for name, text in texts.items() if _differs(root / name, text)]
    finding, next_step = "the file exists with another text.", "Choose another id for the template."
    problems = [Problem(place=name, finding=finding, next_step=next_step) for name in taken]
    cells = {"template_id": new.template_id, "active": "true", **new.cells}
    table = _with_row(root, TEMPLATES, cells, problems)
    checked = Catalog(root=root, pending={TEMPLATES: table, **texts}).templates()
    problems += checked.problems
    added = [template for template in checked.value if template.template_id == new.template_id]
    for template in added:
        problems += [*check_template(template), *check_parser(template)]
    raise_if_any(problems)
    return added[0], _write(root, {**texts, TEMPLATES: table})


def add_model(settings: Settings, cells: Mapping[str, str]) -> list[str]:
    """Add a judge with these cells by column, and return the files that were written; BadInput as `add_template`."""
    root, problems = settings.data_root, list[Problem]()
    if cells.get("id", "").lstrip().startswith("#"):
        finding = "it begins with #, as a comment does."
        problems.append(Problem(place="ID", finding=finding, next_step="Choose another id."))
    with Ledger.of(settings).planning_turn("cohorts add-model"):  # so that no row of another command is lost
        table = _with_row(root, MODELS, {"for_evaluation": "true", **cells}, problems)
        raise_if_any([*problems, *Catalog(root=root, pending={MODELS: table}).models().problems])
        return _write(root, {MODELS: table})


def _with_row(root: Path, name: str, cells: Mapping[str, str], problems: list[Problem]) -> str:
    """Return the text of a CSV with one more row, and with the columns of its cells."""
    checked = Catalog(root=root).text(name)
    problems += checked.problems
    # Spreadsheet programs know a UTF-8 file by its BOM, so the BOM stays.
    bom = "\ufeff" if (root / name).is_file() and (root / name).read_bytes().startswith(BOM_UTF8) else ""
    text = checked.value
    rows = (row for _, row in numbered_rows(csv_reader(text)) if not is_comment(row))
    header = [cell.strip() for cell in next(rows, [])]
    # A file without the column that marks rows as used has no need of the mark.
    optional = {"active", "for_evaluation"}
    added = [column for column, cell in cells.items() if cell and column not in header and column not in optional]
    if added and header:
        text, header = _with_columns(text, added), [*header, *added]
    line_end = "\r\n" if "\r\n" in text else "\n"
    end = "" if not text or text.endswith(("\n", "\r")) else line_end
    return bom + text + end + csv_line([cells.get(column, "") for column in header]).removesuffix("\n") + line_end


def _with_columns(text: str, added: list[str]) -> str:
    """Return the text of a CSV with more columns at its end, empty in the rows that are there."""
    lines = io.StringIO(text, newline="").readlines()
    reader = csv_reader(text)
    # The last line of each row; a quoted cell may span several lines.
    ends = [reader.line_num - 1 for row in reader if row and not is_comment(row)]
    for number, end in enumerate(ends):
        bare = lines[end].rstrip("\r\n")
        lines[end] = f"{bare},{','.join('' if number else name for name in added)}{lines[end][len(bare) :]}"
    return "".join(lines)


def _differs(path: Path, text: str) -> bool:
    return path.exists() and path.read_bytes() != text.encode("utf-8")


def _write(root: Path, texts: Mapping[str, str]) -> list[str]:
    # The row is written last: until then nothing reads the texts.
    for name, text in texts.items():
        make_folder(root, (root / name).parent)
        write_text(root / name, text)
    return list(texts)
