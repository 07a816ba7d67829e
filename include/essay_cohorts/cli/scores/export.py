"""The command `export`: evaluations with titles and groups as CSV, JSONL or Parquet, or as logs of inspect_ai."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Annotated

import typer

from essay_cohorts.amounts import counted
from essay_cohorts.cli.options import SCORES, DataRoot, output_problems, settings_of
from essay_cohorts.cli.runs import checked_id, how_to_begin
from essay_cohorts.errors import Problem, choose_from, raise_if_any
from essay_cohorts.exporting.inspect_log import inspect_logs
from essay_cohorts.exporting.tables import FORMATS, export_file, export_rows
from essay_cohorts.files.atomic import write_bytes
from essay_cohorts.ledger.ledger import Ledger
from essay_cohorts.settings import Settings
from essay_cohorts.views.status import evaluations_of

export_app = typer.Typer()

INSPECT = "inspect"


@export_app.command("export", rich_help_panel=SCORES)
def export_command(
    output: Annotated[Path, typer.Argument(help="The file to write (.csv, .jsonl, .parquet); for inspect a folder.")],
    kind: Annotated[
        str | None, typer.Option("--format", help="csv, jsonl, parquet or inspect; default: by the name.")
    ] = None,
    cohort: Annotated[str | None, typer.Option(help="A cohort's id; default: the whole store.")] = None,
    texts: Annotated[
        bool, typer.Option("--texts", help="Also the essay, the prompt, the reply and reasoning; inspect has them.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace what exists of the same name.")] = False,
    data_root: DataRoot = None,
) -> None:
    """Write a row for each evaluation, with the title and the group of its essay, its score, state and cost."""
    settings = settings_of(data_root)
    kind = kind or output.suffix.removeprefix(".").lower()
    raise_if_any([*_problems(output, kind, settings, force=force)])
    gen_ids = None
    if cohort is not None:
        gen_ids = [member.gen_id for member in evaluations_of(settings, checked_id(cohort))]
    if kind == INSPECT:
        typer.echo(_write_logs(output, settings, cohort, gen_ids))
        return
    rows = list(export_rows(settings.data_root, gen_ids, texts=texts, callers=Ledger.for_reading(settings).holders()))
    write_bytes(output, export_file(rows, kind, texts=texts))
    typer.echo(f"Written: {output}, {counted(len(rows), 'evaluation')}")
    if not rows:
        typer.echo(how_to_begin(data_root))


def _problems(output: Path, kind: str, settings: Settings, *, force: bool) -> Iterator[Problem]:
    if kind not in (*FORMATS, INSPECT):
        next_step = choose_from(kind, [*FORMATS, INSPECT])
        yield Problem(place="--format", finding=f'"{kind}" is not a format.', next_step=next_step)
    yield from output_problems(output, settings.data_root, force=force, is_folder=kind == INSPECT)


def _write_logs(output: Path, settings: Settings, cohort: str | None, gen_ids: Collection[str] | None) -> str:
    """Write the logs into the folder and return what was written; a former log of the same judge is replaced."""
    logs = samples = 0
    output.mkdir(exist_ok=True)
    for log in inspect_logs(settings.data_root, cohort or settings.data_root.name, gen_ids):
        write_bytes(output / log.name, log.content)
        for former in output.glob(f"*_{log.log_id}.json"):
            if former.name != log.name:
                former.unlink()
        logs, samples = logs + 1, samples + log.samples
    written = f"{counted(logs, 'log')} with {counted(samples, 'evaluation')}"
    return f"Written: {output}, {written}. To see them: inspect view --log-dir {output}"
