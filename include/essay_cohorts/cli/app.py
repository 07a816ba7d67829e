"""The command line: `cohorts COMMAND`.

Exit status: 0 for success; 1 when `verify` finds damage, `status` finds unfinished members or `select-missing` finds
no essay; 2 for bad input, with one readable message on stderr.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any

import pendulum
import typer
from rich.table import Table
from typer.core import TyperGroup

from essay_cohorts.amounts import dollars
from essay_cohorts.backfill import plan_cohort
from essay_cohorts.cli.options import AsJson, DataRoot, print_table, settings_of
from essay_cohorts.cli.reparse import reparse_app
from essay_cohorts.cli.selection import selection_app
from essay_cohorts.cli.set_aside import set_aside_app
from essay_cohorts.cli.statistics import statistics_app
from essay_cohorts.domain import ID_RULE, Stage, TaskRef, is_id
from essay_cohorts.errors import BadInput, CohortError, Problem
from essay_cohorts.maintenance.set_aside import find_made_up
from essay_cohorts.maintenance.verify import LostCall, find_damage, find_lost_calls, other_settings
from essay_cohorts.planning.prepare import prepare
from essay_cohorts.provenance import made_up_warning
from essay_cohorts.store.catalog import MODELS
from essay_cohorts.store.gens_data_layer import GensDataLayer
from essay_cohorts.views.evaluation_state import MemberState
from essay_cohorts.views.status import CellStatus, cohort_status, skipped_ids

app = typer.Typer(
    help="Evaluation cohorts with backfill.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

CohortId = Annotated[str, typer.Argument(help="The cohort's id.", metavar="COHORT")]


@app.callback()
def before_every_command(context: typer.Context, data_root: DataRoot = None, as_json: AsJson = False) -> None:
    """Take the options that every command has.

    They may come before the command; an option after the command takes precedence.
    """
    root = {"data_root": data_root} if data_root is not None else {}
    shared = root | ({"as_json": True} if as_json else {})
    if isinstance(context.command, TyperGroup):
        context.default_map = dict.fromkeys(context.command.commands, shared)


@app.command()
def plan(
    cohort: Annotated[str | None, typer.Option(help="The cohort's id.")] = None,
    conf: Annotated[str, typer.Option(help="A conf in JSON, as for triggering evaluation_backfill.")] = "{}",
    write: Annotated[bool, typer.Option("--write", help="Also seed and write the cohort; calls nothing.")] = False,
    data_root: DataRoot = None,
    as_json: AsJson = False,
) -> None:
    """Show what a run would reuse, parse and call. Writes nothing without --write."""
    logging.getLogger("essay_cohorts").setLevel(logging.WARNING if as_json else logging.INFO)
    settings = settings_of(data_root)
    own_conf = _read_conf(conf)
    if cohort is not None and own_conf.get("cohort_id") not in (None, cohort):
        finding = f"--cohort says {cohort}, but --conf has another cohort_id."
        raise BadInput([Problem(place="--cohort", finding=finding, next_step="Give the cohort id only once.")])
    whole_conf = own_conf | ({} if cohort is None else {"cohort_id": cohort}) | {"dry_run": not write}
    task = TaskRef(
        dag_id="command_line",
        run_id=f"manual__{pendulum.now('UTC').to_iso8601_string()}",
        task_id="plan",
        map_index=-1,
        try_number=1,
    )
    if write:
        described = plan_cohort.plan_cohort(settings, whole_conf, task)
    else:
        prepared = prepare(settings, whole_conf, task.run, by_index=True)
        described = plan_cohort.describe_plan(prepared, task)
        plan_cohort.log_plan(prepared)
    if as_json:
        typer.echo(json.dumps(described.to_xcom()))
    elif write:
        trigger = json.dumps({**own_conf, "cohort_id": described.cohort_id})
        typer.echo(f"Written: cohorts/{described.cohort_id}. To run it, trigger evaluation_backfill with")
        typer.echo(f"  --conf '{trigger}'")
    else:
        typer.echo("Nothing was written. Add --write to write the cohort, or trigger evaluation_backfill to run it.")


@app.command()
def skipped(cohort: CohortId, data_root: DataRoot = None, as_json: AsJson = False) -> None:
    """Print the gen_ids of the cohort's evaluations that have a parsed.txt."""
    gen_ids = skipped_ids(settings_of(data_root), _checked_id(cohort))
    typer.echo(json.dumps(gen_ids) if as_json else "\n".join(gen_ids), nl=bool(gen_ids) or as_json)


@app.command()
def status(cohort: CohortId, data_root: DataRoot = None, as_json: AsJson = False) -> None:
    """Count the cohort's evaluations per cell; exit 1 when some have no score."""
    found = cohort_status(settings_of(data_root), _checked_id(cohort))
    if as_json:
        cells = [cell.cell._asdict() | cell.counts for cell in found.cells]
        typer.echo(json.dumps({"unfinished": found.unfinished, "account": asdict(found.account), "cells": cells}))
    else:
        _print_status(found.cells)
        scored = f"{found.total - found.unfinished} of {found.total} evaluations have a score"
        typer.echo(f"{scored}: {found.account}")
    raise typer.Exit(1 if found.unfinished else 0)


@app.command()
def verify(data_root: DataRoot = None, as_json: AsJson = False) -> None:
    """Find damage in the store (exit 1 when there is any), and calls that may have been paid for without a reply."""
    root = settings_of(data_root).data_root
    store = GensDataLayer.from_root(root)
    damage, lost = list(find_damage(store)), list(find_lost_calls(root))
    made_up, changed = find_made_up(store), other_settings(root)
    if as_json:
        found = {"damage": [asdict(problem) for problem in damage], "lost_calls": [asdict(call) for call in lost]}
        typer.echo(json.dumps({**found, "made_up": made_up, "other_settings": changed}))
    else:
        for problem in damage:
            typer.echo(str(problem))
        counts = ", ".join(f"{len(store.folder_names(stage))} {stage}s" for stage in Stage)
        typer.echo(f"{len(damage) or 'No'} problem{'' if len(damage) == 1 else 's'} found in {counts}.")
        if not lost:
            typer.echo("No request is known to have been paid for without a reply.")
        _print_lost([call for call in lost if call.is_paid], "were paid for without a reply ({usd})")
        unknown = [call for call in lost if not call.is_paid]
        _print_lost(unknown, "may have been paid for without a reply (at most: {usd}). Compare them with the bill")
        if made_up:
            typer.echo(made_up_warning(len(made_up)))
        for judge, number in changed.items():
            typer.echo(f"{judge}: {_counted(number, 'evaluation')} made with other settings than {MODELS} has today.")
    raise typer.Exit(1 if damage else 0)


app.add_typer(selection_app)
app.add_typer(reparse_app)
app.add_typer(set_aside_app)
app.add_typer(statistics_app)


def _print_lost(lost: list[LostCall], words: str) -> None:
    """Print requests that got no reply, with their cost; print nothing when there are none."""
    if not lost:
        return
    known = [call.most_usd for call in lost if call.most_usd is not None]
    more = f", and {len(lost) - len(known)} of unknown cost" if 0 < len(known) < len(lost) else ""
    words = words if len(lost) > 1 else words.replace("were paid", "was paid").replace("Compare them", "Compare it")
    usd = dollars(sum(known) if known else None)
    typer.echo(f"{_counted(len(lost), 'request')} {words.format(usd=usd + more)}.")
    for call in lost:
        typer.echo(f"  {call}")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _print_status(cells: tuple[CellStatus, ...]) -> None:
    table = Table("essay", "template", "model", box=None, pad_edge=False)
    # Made-up evaluations exist only in a data root that was used for practice, so most tables need no column for
    # them.
    rare = {MemberState.MADE_UP}
    states = [state for state in MemberState if state not in rare or any(cell.counts[state] for cell in cells)]
    for state in states:
        table.add_column(state.replace("_", " "), justify="right")
    for cell in cells:
        table.add_row(*cell.cell, *(str(cell.counts[state]) for state in states))
    print_table(table)


def _read_conf(text: str) -> dict[str, Any]:
    try:
        conf = json.loads(text)
    except ValueError as error:
        conf = error
    if isinstance(conf, Mapping):
        return dict(conf)
    next_step = """Write an object in single quotes: --conf '{"essay_ids": ["e_1"]}'"""
    raise BadInput([Problem(place="--conf", finding=f"it is not a JSON object: {conf}.", next_step=next_step)])


def _checked_id(cohort: str) -> str:
    if not is_id(cohort):
        raise BadInput([Problem(place="COHORT", finding=f"{cohort!r} is not a valid cohort id.", next_step=ID_RULE)])
    return cohort


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command with these arguments, or those of the process; a user's mistake ends with exit status 2."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stdout)
    try:
        app(args=arguments, prog_name="cohorts")
    except CohortError as error:
        typer.echo(str(error), err=True)
        sys.exit(2)
