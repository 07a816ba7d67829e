"""The command `set-aside`: move made-up evaluations out of the way; without --write it only shows them."""

from __future__ import annotations

import json
from collections import Counter
from typing import Annotated

import typer
from rich.table import Table

from essay_cohorts.cli.options import CARE, AsJson, DataRoot, print_table, settings_of
from essay_cohorts.domain import Stage
from essay_cohorts.maintenance.set_aside import SET_ASIDE, check_real_only, find_made_up, set_aside
from essay_cohorts.records import cell_of
from essay_cohorts.store.gens_data_layer import GensDataLayer

set_aside_app = typer.Typer()


@set_aside_app.command("set-aside", rich_help_panel=CARE)
def set_aside_made_up(
    write: Annotated[bool, typer.Option("--write", help="Move them; nothing is deleted.")] = False,
    data_root: DataRoot = None,
    as_json: AsJson = False,
) -> None:
    """Move the evaluations that the offline judge made up out of a store for real scores."""
    settings = settings_of(data_root)
    store = GensDataLayer.from_root(settings.data_root)
    check_real_only(store)
    found = find_made_up(store)
    judges = Counter(_judge(store, gen_id) for gen_id in found)
    moved = list(set_aside(settings, found)) if write and found else []
    if as_json:
        typer.echo(json.dumps({"made_up": found, "moved": moved}))
        return
    if found:
        table = Table("template", "model", box=None, pad_edge=False)
        table.add_column("made up", justify="right")
        for (template, model), number in judges.items():
            table.add_row(template, model, str(number))
        print_table(table)
    if not found:
        typer.echo("No evaluation here is made up.")
    elif not write:
        typer.echo(f"{len(found)} made up. Nothing was moved; add --write to move them to {SET_ASIDE}.")
    else:
        typer.echo(f"{len(moved)} moved to {SET_ASIDE}. Plan their cohorts again, so that real judges are asked.")
        if len(moved) < len(found):
            stay = len(found) - len(moved)
            typer.echo(f"{stay} not moved, because a call for them is under way. Try again when it has ended.")


def _judge(store: GensDataLayer, gen_id: str) -> tuple[str, str]:
    cell = cell_of(store.metadata(Stage.EVALUATION, gen_id) or {})
    return (cell.template_id, cell.model_id) if cell else ("unknown", "unknown")
