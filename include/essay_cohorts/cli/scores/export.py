"""The command `export`: evaluations with titles and groups as CSV, JSONL or Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from essay_cohorts.cli.options import SCORES, DataRoot, output_problems, settings_of
from essay_cohorts.cli.runs import checked_id
from essay_cohorts.errors import BadInput, Problem, choose_from
from essay_cohorts.files.atomic import write_bytes
from essay_cohorts.views.export import FORMATS, export_file, export_rows
from essay_cohorts.views.status import evaluations_of

export_app = typer.Typer()


@export_app.command("export", rich_help_panel=SCORES)
def export_command(
    output: Annotated[Path, typer.Argument(help="The file to write: .csv, .jsonl or .parquet.")],
    kind: Annotated[str | None, typer.Option("--format", help="csv, jsonl or parquet; default: by the name.")] = None,
    cohort: Annotated[str | None, typer.Option(help="A cohort's id; default: the whole store.")] = None,
    texts: Annotated[
        bool, typer.Option("--texts", help="Also the essay, the prompt, the reply and reasoning.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    data_root: DataRoot = None,
) -> None:
    """Write a row for each evaluation, with the title and the group of its essay, its score, state and cost."""
    settings = settings_of(data_root)
    kind = kind or output.suffix.removeprefix(".").lower()
    problems: list[Problem] = []
    if kind not in FORMATS:
        finding, next_step = f'"{kind}" is not a format.', choose_from(kind, FORMATS)
        problems.append(Problem(place="--format", finding=finding, next_step=next_step))
    problems += output_problems(output, settings.data_root, force=force)
    if problems:
        raise BadInput(problems)
    gen_ids = None
    if cohort is not None:
        gen_ids = [member.gen_id for member in evaluations_of(settings, checked_id(cohort))]
    rows = list(export_rows(settings.data_root, gen_ids, texts=texts))
    write_bytes(output, export_file(rows, kind, texts=texts))
    typer.echo(f"Written: {output}, {len(rows)} evaluations")
