"""The commands that set up a data root: `init`, `import essays`, `add-template`, `add-model`, `essays`."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from essay_cohorts.cli.options import (
    INPUTS,
    AsJson,
    DataRoot,
    own_settings,
    print_table,
    settings_of,
    typed_command,
    typed_root,
    with_progress,
)
from essay_cohorts.errors import BadInput, Problem, raise_if_any
from essay_cohorts.importing.catalog_edits import NewTemplate, add_model, add_template
from essay_cohorts.importing.data_root import create_data_root
from essay_cohorts.importing.essay_sources import ColumnNames, read_essays
from essay_cohorts.importing.essays import ImportPlan, plan_import, write_essays
from essay_cohorts.judging.prompts import prompt_text
from essay_cohorts.judging.score_instructions import doubts_about
from essay_cohorts.plain_table import TITLE
from essay_cohorts.selecting.selection_writer import selection_path, write_selection
from essay_cohorts.views.essays.essay_list import list_essays

inputs_app = typer.Typer()
import_app = typer.Typer(help="Bring essays or people's scores into the data root.", no_args_is_help=True)
inputs_app.add_typer(import_app, name="import", rich_help_panel=INPUTS)

Source = Annotated[
    Path, typer.Argument(help="A folder of .txt and .md files, or a .txt, .md, .csv, .jsonl or .parquet file.")
]
TextColumn = Annotated[str | None, typer.Option(help="The column of the texts (default: text).")]
IdColumn = Annotated[
    str | None, typer.Option(help="The column of the ids (default: id; else ids are made of title and text).")
]
TitleColumn = Annotated[
    str | None, typer.Option(help="The column of the titles (default: title; without one, the first line).")
]
GroupColumn = Annotated[
    str | None, typer.Option(help="The column of the groups, such as writers or conditions (default: group).")
]
AsNew = Annotated[bool, typer.Option("--as-new", help="Make a new id for each essay whose id has another text.")]
Select = Annotated[bool, typer.Option("--select", help="Also write a selection file with these essays.")]
Force = Annotated[bool, typer.Option("--force", help="Replace a selection file that you wrote yourself.")]


@inputs_app.command(rich_help_panel=INPUTS)
def init(
    folder: Annotated[Path, typer.Argument(help="The new data root: a folder that is missing or empty.")],
    offline: Annotated[
        bool, typer.Option("--offline", help="For practice: two judges that the offline judge answers for.")
    ] = False,
) -> None:
    """Create a data root: commented inputs and one template with a rubric."""
    written = create_data_root(folder, offline=offline)
    root = shlex.quote(str(folder))
    typer.echo("\n".join(f"Written: {folder / name}" for name in written))
    typer.echo("Next:")
    command = typed_command()
    steps = [f"{command} import essays PATH --select --data-root {root}"]
    if not offline:
        steps.append(f"{command} add-model my-judge gpt-5-mini --data-root {root}")
    steps += [f"{command} plan --data-root {root}", f"{command} run --data-root {root}"]
    for number, step in enumerate(steps, start=1):
        typer.echo(f"  {number}. {step}")
    typer.echo(f"To use this data root without --data-root, write DD_DATA_ROOT={folder.resolve()} into .env.")


@import_app.command("essays")
def import_essays(
    source: Source,
    text_column: TextColumn = None,
    id_column: IdColumn = None,
    title_column: TitleColumn = None,
    group_column: GroupColumn = None,
    as_new: AsNew = False,
    select: Select = False,
    force: Force = False,
    data_root: DataRoot = None,
    as_json: AsJson = False,
) -> None:
    """Import essays. An essay that the data root has already is not imported twice."""
    settings = own_settings(data_root)
    root = settings.data_root
    if select:
        selection_path(root, None, force=force)
    names = ColumnNames(text=text_column, essay_id=id_column, title=title_column, group=group_column)
    found = read_essays(source, names)
    planned = plan_import(root, found.value, as_new=as_new)
    raise_if_any([*found.problems, *planned.problems])
    plan = planned.value
    changes = len(plan.new) + len(plan.updated)
    for _ in with_progress(write_essays(root, plan), "Importing", changes):
        pass
    # A file's name may hold a line end, which would begin another line of the selection.
    about = f"import essays {' '.join(str(source).split())}"
    written = write_selection(root, None, plan.essay_ids, about, force=force) if select else None
    _show_import(root, plan, written, as_json=as_json)


def _show_import(root: Path, plan: ImportPlan, written: Path | None, *, as_json: bool) -> None:
    if as_json:
        ids = {name: [essay.essay_id for essay in getattr(plan, name)] for name in ("new", "updated", "known")}
        typer.echo(json.dumps({**ids, "written": str(written) if written else None}))
        return
    counts = f"{len(plan.new)} imported, {len(plan.updated)} updated, {len(plan.known)} unchanged"
    typer.echo(f"Essays in {root}: {counts}.")
    if written:
        typer.echo(f"Written: {written}")


@inputs_app.command("add-template", rich_help_panel=INPUTS)
def add_template_command(
    template: Annotated[str, typer.Argument(help="The template's id.", metavar="TEMPLATE")],
    text: Annotated[Path, typer.Option(help="The file of the prompt; - reads standard input.")],
    system: Annotated[Path | None, typer.Option(help="The file of the system message.")] = None,
    description: Annotated[str, typer.Option(help="What the template judges.")] = "",
    parser: Annotated[str, typer.Option(help="How the score is read: in_last_line (default) or json.")] = "",
    reads: Annotated[str, typer.Option(help="reply (default) or reply_or_reasoning.")] = "",
    score_min: Annotated[str, typer.Option(help="The lowest score; default: 0.")] = "",
    score_max: Annotated[str, typer.Option(help="The highest score; default: 9.")] = "",
    criteria: Annotated[str, typer.Option(help="Names of criteria, separated by semicolons: novelty;clarity.")] = "",
    overall: Annotated[str, typer.Option(help="Where the score comes from: reply (default) or mean.")] = "",
    response_format: Annotated[str, typer.Option(help="json_schema asks the server for JSON.")] = "",
    data_root: DataRoot = None,
) -> None:
    """Add a template: its row and its text, both checked before anything is written."""
    settings = own_settings(data_root)
    root = settings.data_root
    new = NewTemplate(
        template_id=template,
        text=_text_of(text),
        system=_text_of(system) if system else "",
        cells={
            "description": description,
            "parser": parser,
            "reads": reads,
            "score_min": score_min,
            "score_max": score_max,
            "criteria": criteria,
            "overall": overall,
            "response_format": response_format,
        },
    )
    added, written = add_template(settings, new)
    for name in written:
        typer.echo(f"Written: {root / name}")
    for doubt in doubts_about(prompt_text(added), added.parser, added.rubric):
        typer.echo(f"Warning: {text}: {doubt}", err=True)


@inputs_app.command("add-model", rich_help_panel=INPUTS)
def add_model_command(
    model_id: Annotated[str, typer.Argument(help="The judge's id in this data root.", metavar="ID")],
    model: Annotated[str, typer.Argument(help="The name that the API knows.", metavar="MODEL")],
    temperature: Annotated[str, typer.Option(help="From 0 to 2; default: the server's.")] = "",
    max_tokens: Annotated[str, typer.Option(help="The longest reply, in tokens.")] = "",
    max_tokens_field: Annotated[str, typer.Option(help="max_tokens (default) or max_completion_tokens.")] = "",
    input_usd_per_mtok: Annotated[str, typer.Option(help="USD for a million tokens of prompts.")] = "",
    output_usd_per_mtok: Annotated[str, typer.Option(help="USD for a million tokens of replies.")] = "",
    request: Annotated[str, typer.Option(help='More of the request as a JSON object: {"seed": 1}.')] = "",
    connection: Annotated[str, typer.Option(help="The id of the Connection; default: llm_default.")] = "",
    data_root: DataRoot = None,
) -> None:
    """Add a judge: its row in llm_models.csv, checked before the file is written."""
    settings = own_settings(data_root)
    root = settings.data_root
    cells = {
        "id": model_id,
        "model": model,
        "temperature": temperature,
        "max_tokens": max_tokens,
        "max_tokens_field": max_tokens_field,
        "input_usd_per_mtok": input_usd_per_mtok,
        "output_usd_per_mtok": output_usd_per_mtok,
        "request": request,
        "connection": connection,
    }
    for name in add_model(settings, cells):
        typer.echo(f"Written: {root / name}")


@inputs_app.command("essays", rich_help_panel=INPUTS)
def essays_command(data_root: DataRoot = None, as_json: AsJson = False) -> None:
    """List the essays with title, words, group, and how many of their evaluations by judges have a score."""
    listed = list_essays(settings_of(data_root).data_root)
    if as_json:
        typer.echo(json.dumps([asdict(essay) for essay in listed]))
        return
    if not listed:
        typer.echo(f"There are no essays yet. Next: {typed_command()} import essays PATH{typed_root(data_root)}")
        return
    has_groups = any(essay.group for essay in listed)
    table = Table("essay", TITLE, *(["group"] if has_groups else []), box=None, pad_edge=False)
    has_ratings = any(essay.ratings for essay in listed)
    for name in ("words", "scored", "evaluations", *(["people's"] if has_ratings else [])):
        table.add_column(name, justify="right")
    for essay in listed:
        group = [essay.group] if has_groups else []
        numbers = (essay.words, essay.scored, essay.evaluations, *([essay.ratings] if has_ratings else []))
        table.add_row(essay.essay_id, essay.title, *group, *map(str, numbers))
    print_table(table)


def _text_of(path: Path) -> str:
    """Return the text of a person's file, or of standard input for `-`; BadInput when it cannot be read."""
    try:
        content = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        return content.decode("utf-8-sig")
    except OSError as error:
        finding, next_step = f"it cannot be read: {error.strerror}.", "Name a file that exists."
    except UnicodeDecodeError as error:
        finding, next_step = f"it is not UTF-8 (byte {error.start}).", "Save it as UTF-8."
    raise BadInput([Problem(place=str(path), finding=finding, next_step=next_step)])
