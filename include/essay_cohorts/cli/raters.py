"""The commands about people's scores: `import scores` and `sample-for-raters`."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from essay_cohorts.amounts import counted
from essay_cohorts.catalog.catalog import Catalog
from essay_cohorts.cli.inputs import import_app
from essay_cohorts.cli.options import (
    SELECTION,
    AsJson,
    DataRoot,
    output_problems,
    own_settings,
    settings_of,
    typed_command,
    typed_root,
    with_progress,
)
from essay_cohorts.cli.runs import checked_id
from essay_cohorts.domain import Stage
from essay_cohorts.errors import raise_if_any
from essay_cohorts.files.atomic import write_text
from essay_cohorts.importing.score_rows import ScoreColumns
from essay_cohorts.importing.score_sources import Rating, read_ratings
from essay_cohorts.importing.scores import import_scores
from essay_cohorts.selecting.rater_sheet import rater_sheet
from essay_cohorts.store.gens_data_layer import GensDataLayer

raters_app = typer.Typer()


@import_app.command("scores")
def import_scores_command(
    source: Annotated[Path, typer.Argument(help="A .csv, .jsonl or .parquet file with a row for each score.")],
    essay_column: Annotated[str | None, typer.Option(help="The column of the essays' ids (default: essay).")] = None,
    template_column: Annotated[str | None, typer.Option(help="The column of templates (default: template).")] = None,
    rater_column: Annotated[str | None, typer.Option(help="The column of the raters (default: rater).")] = None,
    score_column: Annotated[str | None, typer.Option(help="The column of the scores (default: score).")] = None,
    criterion_column: Annotated[
        str | None, typer.Option(help="The column of criteria, empty for the overall score (default: criterion).")
    ] = None,
    note_column: Annotated[str | None, typer.Option(help="The column of remarks (default: note).")] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take other scores of known ratings; the former ones are kept.")
    ] = False,
    data_root: DataRoot = None,
    as_json: AsJson = False,
) -> None:
    """Import people's scores. A rating that the data root has already is not imported twice."""
    settings = own_settings(data_root)
    root = settings.data_root
    templates = Catalog(root=root).template_rows()
    raise_if_any(templates.problems)
    names = ScoreColumns(
        essay=essay_column,
        template=template_column,
        rater=rater_column,
        score=score_column,
        criterion=criterion_column,
        note=note_column,
    )
    essays = frozenset(GensDataLayer.from_root(root).folder_names(Stage.ESSAY))
    found = read_ratings(source, names, templates.value, essays)
    done = import_scores(settings, found, replace=replace, progress=_on_terminal)
    if as_json:
        typer.echo(json.dumps(asdict(done)))
        return
    counts = f"{done.new} imported, {done.updated} updated, {done.replaced} replaced, {done.known} unchanged"
    typer.echo(f"Ratings in {root}: {counts}.")
    if done.unrated:
        typer.echo(f"{counted(done.unrated, 'row is', 'rows are')} not rated yet.")


@raters_app.command("sample-for-raters", rich_help_panel=SELECTION)
def sample_for_raters(
    template: Annotated[str, typer.Option(help="The template that people should rate by.")],
    cohort: Annotated[str | None, typer.Option(help="A cohort's id; default: the essays of the whole store.")] = None,
    size: Annotated[int, typer.Option(min=1, help="How many essays to rate.")] = 30,
    output: Annotated[Path | None, typer.Option(help="The CSV to write instead of printing.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    data_root: DataRoot = None,
) -> None:
    """Choose essays of all scores for people to rate, as a sheet without scores that `import scores` reads."""
    settings = settings_of(data_root)
    if output is not None:
        raise_if_any(output_problems(output, settings.data_root, force=force))
    cohort_id = None if cohort is None else checked_id(cohort)
    sheet = rater_sheet(settings, template, cohort_id=cohort_id, size=size)
    if output is None:
        typer.echo(sheet.text, nl=False)
        return
    # Excel knows UTF-8 by the BOM.
    write_text(output, f"\ufeff{sheet.text}")
    again = f", of which people have rated {sheet.rated_before} before" if sheet.rated_before else ""
    fewer = "" if len(sheet.essay_ids) == size else f" (there are no {size} that judges have scored)"
    typer.echo(f"Written: {output}, {counted(len(sheet.essay_ids), 'essay')}{fewer}{again}")
    typer.echo(
        f"Next: give each rater a copy to fill in rater and score (from {sheet.rubric.scale}), and import the file:"
    )
    typer.echo(f"  {typed_command()} import scores {shlex.quote(str(output))}{typed_root(data_root)}")


def _on_terminal(written: Iterator[Rating], total: int) -> Iterator[Rating]:
    return iter(with_progress(written, "Importing", total))
