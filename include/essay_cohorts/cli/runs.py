"""The commands that plan and follow a cohort: `plan`, `skipped`, `status`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

import pendulum
import typer
from rich.table import Table

from essay_cohorts.amounts import counted
from essay_cohorts.backfill import plan_cohort
from essay_cohorts.cli.options import RUNS, AsJson, DataRoot, print_table, settings_of, show_log
from essay_cohorts.domain import COMMAND_LINE, ID_RULE, TaskRef, is_id
from essay_cohorts.errors import BadInput, Problem
from essay_cohorts.planning.prepare import prepare
from essay_cohorts.views.evaluation_state import MemberState
from essay_cohorts.views.status import CellStatus, cohort_status, skipped_ids

runs_app = typer.Typer()

CohortId = Annotated[str, typer.Argument(help="The cohort's id.", metavar="COHORT")]
Cohort = Annotated[str | None, typer.Option(help="The cohort's id.")]
Conf = Annotated[str, typer.Option(help="A conf in JSON, as for triggering evaluation_backfill.")]


@runs_app.command(rich_help_panel=RUNS)
def plan(
    cohort: Cohort = None,
    conf: Conf = "{}",
    write: Annotated[bool, typer.Option("--write", help="Also seed and write the cohort; calls nothing.")] = False,
    data_root: DataRoot = None,
    as_json: AsJson = False,
) -> None:
    """Show what a run would reuse, parse and call. Writes nothing without --write."""
    show_log(as_json=as_json)
    settings = settings_of(data_root)
    own_conf = read_conf(conf)
    whole_conf = plan_conf(own_conf, cohort) | {"dry_run": not write}
    task = command_line_task("plan")
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


@runs_app.command(rich_help_panel=RUNS)
def skipped(cohort: CohortId, data_root: DataRoot = None, as_json: AsJson = False) -> None:
    """Print the gen_ids of the cohort's evaluations that have a parsed.txt."""
    gen_ids = skipped_ids(settings_of(data_root), checked_id(cohort))
    typer.echo(json.dumps(gen_ids) if as_json else "\n".join(gen_ids), nl=bool(gen_ids) or as_json)


@runs_app.command(rich_help_panel=RUNS)
def status(cohort: CohortId, data_root: DataRoot = None, as_json: AsJson = False) -> None:
    """Count the cohort's evaluations per cell; exit 1 when some have no score."""
    found = cohort_status(settings_of(data_root), checked_id(cohort))
    if as_json:
        cells = [cell.cell._asdict() | cell.counts for cell in found.cells]
        typer.echo(json.dumps({"unfinished": found.unfinished, "account": asdict(found.account), "cells": cells}))
    else:
        _print_status(found.cells)
        scored = f"{found.total - found.unfinished:,} of {counted(found.total, 'evaluation')} have a score"
        typer.echo(f"{scored}: {found.account}")
    raise typer.Exit(1 if found.unfinished else 0)


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


def command_line_task(task_id: str) -> TaskRef:
    """Return the task of a command that plans or calls without Airflow, named after this moment."""
    run_id = f"manual__{pendulum.now('UTC').to_iso8601_string()}"
    return TaskRef(dag_id=COMMAND_LINE, run_id=run_id, task_id=task_id, map_index=-1, try_number=1)


def plan_conf(conf: dict[str, Any], cohort: str | None) -> dict[str, Any]:
    """Return the conf with the cohort's id; BadInput if it names another cohort."""
    if cohort is not None and conf.get("cohort_id") not in (None, cohort):
        finding = f"--cohort says {cohort}, but --conf has another cohort_id."
        raise BadInput([Problem(place="--cohort", finding=finding, next_step="Give the cohort id only once.")])
    return conf | ({} if cohort is None else {"cohort_id": cohort})


def read_conf(text: str) -> dict[str, Any]:
    """Return the JSON object of the option --conf; BadInput if it is none."""
    try:
        conf = json.loads(text)
    except ValueError as error:
        conf = error
    if isinstance(conf, Mapping):
        return dict(conf)
    next_step = """Write an object in single quotes: --conf '{"essay_ids": ["e_1"]}'"""
    raise BadInput([Problem(place="--conf", finding=f"it is not a JSON object: {conf}.", next_step=next_step)])


def checked_id(cohort: str, place: str = "--cohort") -> str:
    """Return the id of a cohort; BadInput if it cannot be one."""
    if not is_id(cohort):
        raise BadInput([Problem(place=place, finding=f"{cohort!r} is not a valid cohort id.", next_step=ID_RULE)])
    return cohort
