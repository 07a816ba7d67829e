"""The command line: `cohorts COMMAND`.

Exit status: 0 for success; 1 when `verify` finds damage, `status` finds unfinished members, `run` or `drift` leaves
an evaluation without a score, or `select-missing` finds no essay; 2 for bad input, with one readable message on
stderr.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from essay_cohorts import VERSION
from essay_cohorts.cli.calls import calls_app
from essay_cohorts.cli.drift import drift_app
from essay_cohorts.cli.inputs import inputs_app
from essay_cohorts.cli.options import AsJson, DataRoot
from essay_cohorts.cli.raters import raters_app
from essay_cohorts.cli.reparse import reparse_app
from essay_cohorts.cli.runs import runs_app
from essay_cohorts.cli.scores.agreement import agreement_app
from essay_cohorts.cli.scores.differences import differences_app
from essay_cohorts.cli.scores.export import export_app
from essay_cohorts.cli.scores.statistics import statistics_app
from essay_cohorts.cli.selection import selection_app
from essay_cohorts.cli.set_aside import set_aside_app
from essay_cohorts.cli.spend import spend_app
from essay_cohorts.cli.verify import verify_app
from essay_cohorts.errors import CohortError

app = typer.Typer(
    help="Evaluation cohorts with backfill.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"cohorts {VERSION}")
        raise typer.Exit


@app.callback()
def before_every_command(
    context: typer.Context,
    data_root: DataRoot = None,
    as_json: AsJson = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take the options that every command has.

    They may come before the command; an option after the command takes precedence.
    """
    root = {"data_root": data_root} if data_root is not None else {}
    shared = root | ({"as_json": True} if as_json else {})
    context.default_map = _for_every_command(context.command, shared)


def _for_every_command(group: object, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options as the defaults of each command of a group, and of the groups in it."""
    commands = group.commands if isinstance(group, TyperGroup) else {}
    return {name: _for_every_command(each, options) or options for name, each in commands.items()}


# The order of the groups in `cohorts --help`.
app.add_typer(inputs_app)
app.add_typer(runs_app)
app.add_typer(calls_app)
app.add_typer(statistics_app)
app.add_typer(agreement_app)
app.add_typer(differences_app)
app.add_typer(drift_app)
app.add_typer(export_app)
app.add_typer(selection_app)
app.add_typer(raters_app)
app.add_typer(verify_app)
app.add_typer(reparse_app)
app.add_typer(set_aside_app)
app.add_typer(spend_app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command with these arguments, or those of the process; a user's mistake ends with exit status 2."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stdout)
    try:
        app(args=arguments, prog_name="cohorts")
    except CohortError as error:
        typer.echo(str(error), err=True)
        sys.exit(2)
    except OSError as error:
        if error.filename is None:
            raise
        typer.echo(f"{error.filename}: {error.strerror}. Nothing more was done; fix this and try again.", err=True)
        sys.exit(2)
