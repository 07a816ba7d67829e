"""The commands that plan and follow a cohort: `plan`, `skipped`, `status`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import pendulum
import typer
from rich.table import Table

from essay_cohorts.amounts import counted
from essay_cohorts.backfill import plan_cohort
from essay_cohorts.cli.options import (
    RUNS,
    AsJson,
    DataRoot,
    print_table,
    settings_of,
    show_log,
    typed_command,
    typed_root,
)
from essay_cohorts.domain import COMMAND_LINE, ID_RULE, TaskRef, is_id
from essay_cohorts.errors import BadInput, Problem
from essay_cohorts.ledger.ledger import left_below_caps
from essay_cohorts.plain_table import TITLE
from essay_cohorts.planning.prepare import prepare
from essay_cohorts.store.gens_data_layer import GensDataLayer
from essay_cohorts.views.essays.essay_titles import essay_titles
from essay_cohorts.views.evaluation_state import MemberState
from essay_cohorts.views.status import CohortStatus, cohort_status, skipped_ids

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
        plan_cohort.log_plan(prepared, left_below_caps(settings))
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
    if not gen_ids:
        # On stderr, because programs read the ids on stdout.
        typer.echo(f"No evaluation of {cohort} has a score yet. {how_to_judge(cohort, data_root)}", err=True)


@runs_app.command(rich_help_panel=RUNS)
def status(
    cohort: CohortId,
    cells: Annotated[
        bool, typer.Option("--cells", help="Count each essay's evaluations, not only the totals.")
    ] = False,
    data_root: DataRoot = None,
    as_json: AsJson = False,
) -> None:
    """Count the cohort's evaluations per template and judge, or per cell; exit 1 when some have no score."""
    settings = settings_of(data_root)
    found = cohort_status(settings, checked_id(cohort))
    titles = {}
    if cells or as_json:
        titles = essay_titles(
            GensDataLayer.from_root(settings.data_root), (each.cell.essay_id for each in found.cells)
        )
    if as_json:
        typer.echo(json.dumps(_status_json(found, titles)))
    else:
        if cells:
            _print_cells(found, titles)
        else:
            _print_totals(found)
        scored = f"{found.total - found.unfinished:,} of {counted(found.total, 'evaluation')} have a score"
        typer.echo(f"{scored}: {found.account}")
        if all(each.counts[MemberState.NO_REPLY] == sum(each.counts.values()) for each in found.judges):
            typer.echo(how_to_judge(cohort, data_root))
        elif found.unfinished and not cells:
            typer.echo(
                f"To see which essays lack a score: {typed_command()} status {cohort} --cells{typed_root(data_root)}"
            )
    raise typer.Exit(1 if found.unfinished else 0)


def _status_json(found: CohortStatus, titles: Mapping[str, str]) -> dict[str, Any]:
    cells = [each.cell._asdict() | {"title": titles[each.cell.essay_id]} | each.counts for each in found.cells]
    totals = [
        {"template_id": each.template_id, "model_id": each.model_id, "planned": sum(each.counts.values())}
        | each.counts
        for each in found.judges
    ]
    account = asdict(found.account)
    return {"unfinished": found.unfinished, "account": account, "totals": totals, "cells": cells}


def _print_totals(found: CohortStatus) -> None:
    table = Table("template", "model", box=None, pad_edge=False)
    states = _states_of(found)
    for head in ("planned", *states):
        table.add_column(head.replace("_", " "), justify="right")
    whole: Counter[MemberState] = Counter()
    for each in found.judges:
        whole.update(each.counts)
        table.add_row(each.template_id, each.model_id, *_numbers(each.counts, states))
    if len(found.judges) > 1:
        table.add_row("all", "", *_numbers(whole, states))
    print_table(table)


def _print_cells(found: CohortStatus, titles: Mapping[str, str]) -> None:
    table = Table("essay", TITLE, "template", "model", box=None, pad_edge=False)
    states = _states_of(found)
    for head in ("planned", *states):
        table.add_column(head.replace("_", " "), justify="right")
    for each in found.cells:
        essay_id, template_id, model_id = each.cell
        table.add_row(essay_id, titles[essay_id], template_id, model_id, *_numbers(each.counts, states))
    print_table(table)


def _states_of(found: CohortStatus) -> list[MemberState]:
    """Return the state `scored`, and the other states that some evaluation is in: most cohorts have few."""
    known = {MemberState.SCORED} | {state for each in found.judges for state, count in each.counts.items() if count}
    return [state for state in MemberState if state in known]


def _numbers(counts: Mapping[MemberState, int], states: Iterable[MemberState]) -> list[str]:
    return [f"{sum(counts.values()):,}", *(f"{counts[state]:,}" for state in states)]


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


def how_to_judge(cohort: str, data_root: Path | None) -> str:
    """Return how to judge what a cohort plans."""
    command = f"{typed_command()} run --cohort {cohort}{typed_root(data_root)}"
    return f"Next: {command}, or trigger evaluation_backfill with this cohort_id."


def how_to_begin(data_root: Path | None, then: str = "") -> str:
    """Return how to get the first scores of a store; `then` is the command that reads them."""
    command, root = typed_command(), typed_root(data_root)
    last = f", then {command} {then}{root}" if then else ""
    return f"Next: judge essays with {command} run{root}, or trigger evaluation_backfill{last}."
