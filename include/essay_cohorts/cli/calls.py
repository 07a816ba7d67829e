"""The commands that call a judge without Airflow: `run` and `try`."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from essay_cohorts.amounts import dollars
from essay_cohorts.catalog.catalog import Catalog
from essay_cohorts.catalog.models import MODELS
from essay_cohorts.catalog.templates import TEMPLATES
from essay_cohorts.cli.options import RUNS, AsJson, DataRoot, env_file, settings_of
from essay_cohorts.cli.runs import Cohort, Conf, command_line_task, plan_conf, read_conf
from essay_cohorts.domain import Stage, TaskRef, Template, Verdict, is_id
from essay_cohorts.errors import BadInput, Problem, choose_from, raise_if_any
from essay_cohorts.settings import Settings
from essay_cohorts.store.gens_data_layer import GensDataLayer

if TYPE_CHECKING:
    from essay_cohorts.calling.endpoint import Endpoint
    from essay_cohorts.calling.trial import TrialSpending
    from essay_cohorts.calls import JudgeModel, Reply
    from essay_cohorts.llm_client.connection import LlmConnection

T = TypeVar("T")

# More calls than this belong into Airflow, unless a person says otherwise.
MAX_CALLS = 200

calls_app = typer.Typer()

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask before the calls.")]


@calls_app.command(rich_help_panel=RUNS)
def run(
    cohort: Cohort = None,
    conf: Conf = "{}",
    max_llm_calls: Annotated[
        int | None, typer.Option(min=1, help=f"The most requests; without it up to {MAX_CALLS} calls are made.")
    ] = None,
    max_cost_usd: Annotated[float | None, typer.Option(min=0, help="The most that the requests may cost.")] = None,
    yes: Yes = False,
    data_root: DataRoot = None,
    as_json: AsJson = False,
) -> None:
    """Judge a small selection here, without Airflow; exit 1 when an evaluation has no score in the end."""
    from essay_cohorts.backfill import plan_cohort
    from essay_cohorts.backfill.local_run import run_planned

    logger = logging.getLogger("essay_cohorts")
    logger.setLevel(logging.WARNING if as_json else logging.INFO)
    settings = settings_of(data_root)
    caps = {"max_llm_calls": max_llm_calls, "max_cost_usd": max_cost_usd}
    whole_conf = plan_conf(read_conf(conf), cohort) | {name: cap for name, cap in caps.items() if cap is not None}
    task = command_line_task("plan")
    _plan_and_ask(settings, whole_conf, task, yes=yes)
    logger.setLevel(logging.WARNING)  # the plan is shown already
    planned = plan_cohort.plan_cohort(settings, {**whole_conf, "dry_run": False}, task, _check_connections)
    logger.setLevel(logging.WARNING if as_json else logging.INFO)

    summary = run_planned(settings, planned, task, _connect)
    if as_json:
        typer.echo(json.dumps(summary.to_xcom()))
    elif not summary.complete:
        typer.echo(summary.message, err=True)
    raise typer.Exit(0 if summary.complete else 1)


def _plan_and_ask(settings: Settings, conf: dict[str, Any], task: TaskRef, *, yes: bool) -> None:
    """Show the plan, check the connections that its calls need, and ask before the calls."""
    if conf.get("dry_run"):
        finding = "a dry run calls nothing, and this command makes the calls."
        raise BadInput([Problem(place="--conf: dry_run", finding=finding, next_step="Use the command plan.")])
    from essay_cohorts.backfill.plan_cohort import log_plan
    from essay_cohorts.planning.prepare import prepare

    prepared = prepare(settings, {**conf, "dry_run": True}, task.run)
    log_plan(prepared)
    calls = prepared.estimate.calls
    if not calls:
        return
    if calls > MAX_CALLS and prepared.inputs.request.max_llm_calls is None:
        finding = f"this run would make {calls:,} calls, and without --max-llm-calls it makes up to {MAX_CALLS}."
        next_step = "Trigger evaluation_backfill in Airflow, or allow more with --max-llm-calls."
        raise BadInput([Problem(place="--max-llm-calls", finding=finding, next_step=next_step)])
    _check_connections(prepared.connections)
    _confirm(f"Make these calls ({prepared.estimate})?", yes=yes)


@calls_app.command("try", rich_help_panel=RUNS)
def try_template(
    template_id: Annotated[str, typer.Argument(help="The template's id.", metavar="TEMPLATE")],
    essay: Annotated[str, typer.Argument(help="An essay's id, or the file of a text.", metavar="ESSAY")],
    model_id: Annotated[str, typer.Option("--model", help="The judge's id.")],
    yes: Yes = False,
    data_root: DataRoot = None,
    as_json: AsJson = False,
) -> None:
    """Ask a judge once, and show the prompt, the reply, and what the parser reads in it. Stores nothing."""
    from essay_cohorts.calling.trial import try_call
    from essay_cohorts.calls import Failure
    from essay_cohorts.judging.parsers import judge_by, template_parser, verdict_record
    from essay_cohorts.judging.prices import worst_case_usd
    from essay_cohorts.judging.prompts import prompt_renderer

    root = settings_of(data_root).data_root
    template, model = _template(root, template_id), _model(root, model_id)
    prompt = prompt_renderer(template)(_essay_text(root, essay))
    connection = _connections([model.connection])[model.connection]
    if not as_json:
        _show("System message", prompt.system)
        _show("Prompt", prompt.text)
    worst = dollars(worst_case_usd(model, prompt.whole))
    _confirm(f"Ask {model.id} ({model.model})? A request costs up to: {worst}.", yes=yes)
    accepts = Catalog(root=root).offline_replies_allowed()
    answer, spending = asyncio.run(try_call(_endpoint(connection), model, prompt, accept_offline=accepts))
    if isinstance(answer, Failure):
        typer.echo(f"No reply after {answer.attempts} requests ({answer.kind}): {answer.message}", err=True)
        raise typer.Exit(1)
    parser = template_parser(template)
    verdict = judge_by(parser, answer.text, finish_reason=answer.finish_reason, reasoning=answer.reasoning)
    if as_json:
        found = {"prompt": asdict(prompt), "reply": asdict(answer), **verdict_record(verdict)}
        typer.echo(json.dumps({**found, "parser": list(verdict.parser), "cost": _cost(spending)}))
    else:
        _show_verdict(answer, verdict, spending)


def _show_verdict(reply: Reply, verdict: Verdict, spending: TrialSpending) -> None:
    _show("Reasoning", reply.reasoning)
    _show("Reply", reply.text)
    read = f"Score: {verdict.score}" if verdict.score is not None else f"No score: {verdict.reason}"
    for name, score, reason in verdict.criteria:
        typer.echo(f"{name}: {score}" if score is not None else f"{name}: no score: {reason}")
    typer.echo(f"{read} (parser {verdict.parser.name}, version {verdict.parser.version})")
    typer.echo(f"{reply.response_model}, {reply.duration_s:.1f} s, {_cost(spending)}. Nothing was stored.")


def _cost(spending: TrialSpending) -> str:
    known = dollars(None if spending.unknown and not spending.usd else spending.usd)
    return known if spending.requests == 1 else f"{spending.requests} requests, {known}"


def _show(title: str, text: str) -> None:
    if text.strip():
        typer.echo(f"--- {title}\n{text.rstrip()}\n")


def _template(root: Path, template_id: str) -> Template:
    from essay_cohorts.judging.prompts import check_template
    from essay_cohorts.planning.inputs import check_parser

    found = Catalog(root=root).templates([template_id])
    by_id = {template.template_id: template for template in found.value}
    template = _chosen(template_id, by_id, found.problems, "TEMPLATE", f"active in {TEMPLATES}")
    raise_if_any([*check_template(template), *check_parser(template)])
    return template


def _model(root: Path, model_id: str) -> JudgeModel:
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


def _essay_text(root: Path, essay: str) -> str:
    store = GensDataLayer.from_root(root)
    try:
        known = is_id(essay) and store.exists(Stage.ESSAY, essay)
        text = store.essay_text(essay) if known else Path(essay).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = f"not UTF-8 (byte {error.start})" if isinstance(error, UnicodeDecodeError) else error.strerror
        finding = f"{essay} is no essay of the data root, and it cannot be read as a file: {reason}."
        next_step = "List the essays with `cohorts essays`, or name a text file."
        raise BadInput([Problem(place="ESSAY", finding=finding, next_step=next_step)]) from None
    if not (text or "").strip():
        raise BadInput([Problem(place="ESSAY", finding=f"{essay} has no text.", next_step="Choose another essay.")])
    return text or ""


def _connections(connection_ids: Collection[str], *, under_way: bool = False) -> dict[str, LlmConnection]:
    """Return the connections by id; BadInput with the problems of all of them."""
    from essay_cohorts.llm_client.connection import connections_in

    found = connections_in({**env_file("AIRFLOW_CONN_", interpolate=False), **os.environ}, connection_ids)
    raise_if_any(found.problems, under_way=under_way)
    return found.value


def _check_connections(connection_ids: Collection[str]) -> None:
    _connections(connection_ids)


async def _connect(connection_ids: Collection[str]) -> dict[str, Endpoint]:
    found = _connections(connection_ids, under_way=True)
    return {name: _endpoint(connection) for name, connection in found.items()}


def _endpoint(connection: LlmConnection) -> Endpoint:
    from openai import AsyncOpenAI

    from essay_cohorts.calling.endpoint import Endpoint

    logging.getLogger("httpx2").setLevel(logging.WARNING)
    return Endpoint(client=AsyncOpenAI(api_key=connection.key, base_url=connection.host), rules=connection.rules)


def _confirm(question: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        finding = "this is not an interactive terminal, so it cannot ask."
        raise BadInput([Problem(place="--yes", finding=finding, next_step="Give --yes to make the calls.")])
    if not typer.confirm(question):
        typer.echo("Nothing was called.")
        raise typer.Exit(1)
