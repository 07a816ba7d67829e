"""The command `reparse`: score stored replies again; without --write it only shows the changes."""

from __future__ import annotations

import json
import logging
from typing import Annotated

import pendulum
import typer

from essay_cohorts.cli.options import CARE, AsJson, DataRoot, settings_of
from essay_cohorts.domain import TaskRef
from essay_cohorts.errors import raise_if_any
from essay_cohorts.reparsing.reparse import raise_unless_written
from essay_cohorts.reparsing.reparse import reparse as reparse_replies
from essay_cohorts.reparsing.rules import parse_reparse_request

reparse_app = typer.Typer()


@reparse_app.command(rich_help_panel=CARE)
def reparse(
    cohort: Annotated[str | None, typer.Option(help="Only this cohort's replies; default: the whole store.")] = None,
    template: Annotated[
        list[str] | None, typer.Option(help="Only replies to this template; may be repeated.")
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="Apply the changes; the former results are kept.")] = False,
    data_root: DataRoot = None,
    as_json: AsJson = False,
) -> None:
    """Score the stored replies again, after a parser or a template's parser has changed; calls nothing."""
    logging.getLogger("essay_cohorts").setLevel(logging.WARNING if as_json else logging.INFO)
    settings = settings_of(data_root)
    request = parse_reparse_request({"cohort_id": cohort, "templates": template or None, "write": write}, "options")
    raise_if_any(request.problems)
    run_id = f"manual__{pendulum.now('UTC').to_iso8601_string()}"
    task = TaskRef(dag_id="command_line", run_id=run_id, task_id="reparse", map_index=-1, try_number=1)
    report = reparse_replies(settings, request.value, task, (lambda _: None) if as_json else typer.echo)
    if as_json:
        typer.echo(json.dumps(report.to_json()))
    raise_unless_written(report)
