"""The commands `verify` and `reindex`.

`verify` finds damage in the store, and calls that may have been paid for without a reply. `reindex` makes the index
of evaluations again from the store.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import asdict

import typer

from essay_cohorts.amounts import counted, dollars
from essay_cohorts.catalog.models import MODELS
from essay_cohorts.cli.options import CARE, AsJson, DataRoot, settings_of, with_progress
from essay_cohorts.domain import Stage
from essay_cohorts.maintenance.reindex import reindex
from essay_cohorts.maintenance.set_aside import find_made_up
from essay_cohorts.maintenance.verify import LostCall, find_damage, find_lost_calls, other_settings
from essay_cohorts.provenance import made_up_warning
from essay_cohorts.store.gens_data_layer import GensDataLayer

verify_app = typer.Typer()


@verify_app.command(rich_help_panel=CARE)
def verify(data_root: DataRoot = None, as_json: AsJson = False) -> None:
    """Find damage in the store (exit 1 when there is any), and calls that may have been paid for without a reply."""
    settings = settings_of(data_root)
    root = settings.data_root
    store = GensDataLayer.from_root(root)
    damage, lost = list(find_damage(store)), list(find_lost_calls(settings))
    made_up, changed = find_made_up(store), other_settings(root)
    if as_json:
        found = {"damage": [asdict(problem) for problem in damage], "lost_calls": [asdict(call) for call in lost]}
        typer.echo(json.dumps({**found, "made_up": made_up, "other_settings": changed}))
    else:
        for problem in damage:
            typer.echo(str(problem))
        counts = ", ".join(counted(len(store.folder_names(stage)), stage) for stage in Stage)
        typer.echo(f"{counted(len(damage), 'problem') if damage else 'No problems'} found in {counts}.")
        if not lost:
            typer.echo("No request is known to have been paid for without a reply.")
        _print_lost([call for call in lost if call.is_paid], "were paid for without a reply ({usd})")
        unknown = [call for call in lost if not call.is_paid]
        _print_lost(unknown, "may have been paid for without a reply (at most: {usd}). Compare them with the bill")
        if made_up:
            typer.echo(made_up_warning(len(made_up)))
        for judge, number in changed.items():
            typer.echo(f"{judge}: {counted(number, 'evaluation')} made with other settings than {MODELS} has today.")
    raise typer.Exit(1 if damage else 0)


def _print_lost(lost: list[LostCall], words: str) -> None:
    """Print requests that got no reply, with their cost; print nothing when there are none."""
    if not lost:
        return
    known = [call.most_usd for call in lost if call.most_usd is not None]
    more = f", and {len(lost) - len(known)} of unknown cost" if 0 < len(known) < len(lost) else ""
    words = words if len(lost) > 1 else words.replace("were paid", "was paid").replace("Compare them", "Compare it")
    usd = dollars(sum(known) if known else None)
    typer.echo(f"{counted(len(lost), 'request')} {words.format(usd=usd + more)}.")
    for call in lost:
        typer.echo(f"  {call}")


@verify_app.command("reindex", rich_help_panel=CARE)
def reindex_evaluations(data_root: DataRoot = None, as_json: AsJson = False) -> None:
    """Make the index of evaluations again from the store, after metadata.json files were changed by hand."""
    settings = settings_of(data_root)

    def shown(names: Collection[str]) -> Iterable[str]:
        return with_progress(names, "Reading", len(names))

    done = reindex(settings, shown)
    if as_json:
        typer.echo(json.dumps(asdict(done)))
        return
    changes = f"{done.added:,} added, {done.corrected:,} corrected, {done.removed:,} removed"
    typer.echo(f"The index has {counted(done.indexed, 'evaluation')}: {changes}.")
    if done.unusable:
        folders = counted(done.unusable, "folder has", "folders have")
        typer.echo(f"{folders} no usable metadata.json. `cohorts verify` names the damage.")
