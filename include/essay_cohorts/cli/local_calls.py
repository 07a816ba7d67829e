"""The calls of a command: the judge that it names, the question before it pays, and the run in this process."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from essay_cohorts.amounts import counted
from essay_cohorts.catalog.catalog import Catalog
from essay_cohorts.catalog.models import MODELS
from essay_cohorts.catalog.templates import TEMPLATES
from essay_cohorts.cli.options import env_file, show_log
from essay_cohorts.cli.runs import command_line_task
from essay_cohorts.domain import TaskRef, Template
from essay_cohorts.errors import BadInput, Problem, choose_from, raise_if_any
from essay_cohorts.settings import Settings

if TYPE_CHECKING:
    from essay_cohorts.backfill.summarise import Summary
    from essay_cohorts.calling.endpoint import Endpoint
    from essay_cohorts.calls import JudgeModel
    from essay_cohorts.llm_client.connection import LlmConnection

T = TypeVar("T")

# More calls than this belong in Airflow, unless a person says otherwise.
MAX_CALLS = 200

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask before the calls.")]
MaxLlmCalls = Annotated[
    int | None,
    typer.Option(min=1, help=f"The most requests; without it a plan of more than {MAX_CALLS} calls is refused."),
]
MaxCostUsd = Annotated[float | None, typer.Option(min=0, help="The most that the requests may cost.")]


def caps(max_llm_calls: int | None, max_cost_usd: float | None) -> dict[str, float]:
    """Return the budget's part of a conf."""
    given = {"max_llm_calls": max_llm_calls, "max_cost_usd": max_cost_usd}
    return {name: cap for name, cap in given.items() if cap is not None}


def judge_cohort(settings: Settings, conf: dict[str, Any], *, yes: bool, quiet: bool) -> Summary:
    """Show the plan, ask before its calls, make them here, and return the summary."""
    from essay_cohorts.backfill import plan_cohort
    from essay_cohorts.backfill.local_run import run_planned

    task = command_line_task("plan")
    _plan_and_ask(settings, conf, task, yes=yes)
    logging.getLogger("essay_cohorts").setLevel(logging.ERROR)  # the plan is shown already
    planned = plan_cohort.plan_cohort(settings, {**conf, "dry_run": False}, task, _check_connections)
    show_log(as_json=quiet)
    return run_planned(settings, planned, task, _connect)


def _plan_and_ask(settings: Settings, conf: dict[str, Any], task: TaskRef, *, yes: bool) -> None:
    """Show the plan, check the connections that its calls need, and ask before the calls."""
    if conf.get("dry_run"):
        finding = "a dry run calls nothing, and this command makes the calls."
        raise BadInput([Problem(place="--conf: dry_run", finding=finding, next_step="Use the command plan.")])
    from essay_cohorts.backfill.plan_cohort import log_plan
    from essay_cohorts.ledger.ledger import left_below_caps
    from essay_cohorts.planning.prepare import prepare

    prepared = prepare(settings, {**conf, "dry_run": True}, task.run)
    log_plan(prepared, left_below_caps(settings))
    calls = prepared.estimate.calls
    if not calls:
        return
    if calls > MAX_CALLS and prepared.inputs.request.max_llm_calls is None:
        finding = (
            f"this run would make {counted(calls, 'call')}, but without --max-llm-calls the limit is {MAX_CALLS}."
        )
        next_step = "Trigger evaluation_backfill in Airflow, or allow more with --max-llm-calls."
        raise BadInput([Problem(place="--max-llm-calls", finding=finding, next_step=next_step)])
    _check_connections(prepared.connections)
    these = "this call" if calls == 1 else "these calls"
    confirm(f"Make {these} ({prepared.estimate})?", yes=yes)


def connections(connection_ids: Collection[str], *, under_way: bool = False) -> dict[str, LlmConnection]:
    """Return the connections by id; BadInput with the problems of all of them."""
    from essay_cohorts.llm_client.connection import connections_in

    found = connections_in({**env_file("AIRFLOW_CONN_", interpolate=False), **os.environ}, connection_ids)
    raise_if_any(found.problems, under_way=under_way)
    return found.value


def _check_connections(connection_ids: Collection[str]) -> None:
    connections(connection_ids)


async def _connect(connection_ids: Collection[str]) -> dict[str, Endpoint]:
    found = connections(connection_ids, under_way=True)
    return {name: endpoint(access) for name, access in found.items()}


def endpoint(access: LlmConnection) -> Endpoint:
    """Return a client for the Connection."""
    from openai import AsyncOpenAI

    from essay_cohorts.calling.endpoint import Endpoint

    logging.getLogger("httpx2").setLevel(logging.WARNING)
    return Endpoint(client=AsyncOpenAI(api_key=access.key, base_url=access.host), rules=access.rules)


def confirm(question: str, *, yes: bool) -> None:
    """Ask before paying; exit with 1 after a no. BadInput if nobody can be asked."""
    if yes:
        return
    if not sys.stdin.isatty():
        finding = "this is not an interactive terminal, so it cannot ask."
        raise BadInput([Problem(place="--yes", finding=finding, next_step="Give --yes to make the calls.")])
    if not typer.confirm(question):
        typer.echo("Nothing was called.")
        raise typer.Exit(1)


def chosen_template(root: Path, template_id: str, place: str = "TEMPLATE") -> Template:
    """Return the active template with this id; BadInput if there is none, or it cannot be used."""
    from essay_cohorts.judging.prompts import check_template
    from essay_cohorts.planning.inputs import check_parser

    found = Catalog(root=root).templates([template_id])
    by_id = {template.template_id: template for template in found.value}
    template = _chosen(template_id, by_id, found.problems, place, f"active in {TEMPLATES}")
    raise_if_any([*check_template(template), *check_parser(template)])
    return template


def chosen_model(root: Path, model_id: str) -> JudgeModel:
    """Return the judge with this id; BadInput if there is none."""
    found = Catalog(root=root).models([model_id])
    by_id = {model.id: model for model in found.value}
    return _chosen(model_id, by_id, found.problems, "--model", f"a model for evaluation in {MODELS}")


def _chosen(name: str, by_id: Mapping[str, T], problems: Iterable[Problem], place: str, what: str) -> T:
    """Return what has this id; BadInput with the problems of the file, or if nothing has it."""
    raise_if_any(problems)
    if name not in by_id:
        finding = f'"{name}" is not {what}.'
        raise BadInput([Problem(place=place, finding=finding, next_step=choose_from(name, list(by_id)))])
    return by_id[name]
