"""The commands that call a judge without Airflow: `run` and `try`."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from essay_cohorts.amounts import counted, dollars
from essay_cohorts.catalog.catalog import Catalog
from essay_cohorts.cli.local_calls import (
    MaxCostUsd,
    MaxLlmCalls,
    Yes,
    caps,
    chosen_model,
    chosen_template,
    confirm,
    connections,
    endpoint,
    judge_cohort,
)
from essay_cohorts.cli.options import RUNS, AsJson, DataRoot, settings_of, show_log
from essay_cohorts.cli.runs import Cohort, Conf, plan_conf, read_conf
from essay_cohorts.domain import Stage, Verdict, is_id
from essay_cohorts.errors import BadInput, Problem
from essay_cohorts.store.gens_data_layer import GensDataLayer

if TYPE_CHECKING:
    from essay_cohorts.calling.trial import TrialSpending
    from essay_cohorts.calls import Failure, Reply

calls_app = typer.Typer()


@calls_app.command(rich_help_panel=RUNS)
def run(
    cohort: Cohort = None,
    conf: Conf = "{}",
    max_llm_calls: MaxLlmCalls = None,
    max_cost_usd: MaxCostUsd = None,
    yes: Yes = False,
    data_root: DataRoot = None,
    as_json: AsJson = False,
) -> None:
    """Judge a small selection here, without Airflow; exit 1 when an evaluation has no score in the end."""
    show_log(as_json=as_json)
    settings = settings_of(data_root)
    whole_conf = plan_conf(read_conf(conf), cohort) | caps(max_llm_calls, max_cost_usd)
    summary = judge_cohort(settings, whole_conf, yes=yes, quiet=as_json)
    if as_json:
        typer.echo(json.dumps(summary.to_xcom()))
    elif not summary.complete:
        typer.echo(summary.message, err=True)
    raise typer.Exit(0 if summary.complete else 1)


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
    from essay_cohorts.judging.prompts import prompt_renderer, prompt_text
    from essay_cohorts.judging.score_instructions import doubts_about

    root = settings_of(data_root).data_root
    template, model = chosen_template(root, template_id), chosen_model(root, model_id)
    prompt = prompt_renderer(template)(_essay_text(root, essay))
    access = connections([model.connection])[model.connection]
    if not as_json:
        _show("System message", prompt.system)
        _show("Prompt", prompt.text)
    for doubt in doubts_about(prompt_text(template), template.parser, template.rubric):
        typer.echo(f"Warning: {template.place}: {doubt}", err=True)
    worst = dollars(worst_case_usd(model, prompt.whole))
    confirm(f"Ask {model.id} ({model.model})? A request costs up to: {worst}.", yes=yes)
    accepts = Catalog(root=root).offline_replies_allowed()
    answer, spending = asyncio.run(try_call(endpoint(access), model, prompt, accept_offline=accepts))
    if isinstance(answer, Failure):
        typer.echo(_no_reply(answer), err=True)
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


def _no_reply(failure: Failure) -> str:
    return f"No reply after {counted(failure.attempts, 'request')} ({failure.kind}): {failure.message}"


def _cost(spending: TrialSpending) -> str:
    known = dollars(None if spending.unknown and not spending.usd else spending.usd)
    return known if spending.requests == 1 else f"{counted(spending.requests, 'request')}, {known}"


def _show(title: str, text: str) -> None:
    if text.strip():
        typer.echo(f"--- {title}\n{text.rstrip()}\n")


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
