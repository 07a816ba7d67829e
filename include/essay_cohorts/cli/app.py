"""The command line: `cohorts COMMAND`.

Exit status: 0 for success; 1 when `verify` finds damage, `status` finds unfinished members, `run` or `drift` leaves
an evaluation without a score, or `select-missing` finds no essay; 2 for bad input, with one readable message on
stderr.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from essay_cohorts import VERSION
from essay_cohorts.cli.options import AsJson, DataRoot
from essay_cohorts.errors import CohortError

# The modules in the order of `cohorts --help`, and the names of their commands.
COMMANDS = {
    "inputs": ("init", "import", "add-template", "add-model", "essays"),
    "runs": ("plan", "skipped", "status"),
    "calls": ("run", "try"),
    "scores.statistics": ("statistics", "pivot"),
    "scores.agreement": ("agreement",),
    "scores.differences": ("difference", "groups"),
    "drift": ("drift",),
    "scores.export": ("export",),
    "selection": ("aggregate", "select-missing", "select-top"),
    "raters": ("sample-for-raters", "import"),
    "verify": ("verify", "reindex"),
    "reparse": ("reparse",),
    "set_aside": ("set-aside",),
    "spend": ("spend",),
}


def app_of(words: Sequence[str] = ()) -> typer.Typer:
    """Return the command line.

    If the words begin with a command's name, only the commands of its module are in it: importing all modules takes
    longer than most commands.
    """
    app = typer.Typer(help="Evaluation cohorts with backfill.", no_args_is_help=True, pretty_exceptions_enable=False)
    app.callback()(before_every_command)
    first = words[0] if words else ""
    for module in [module for module, names in COMMANDS.items() if first in names] or COMMANDS:
        loaded = import_module(f"essay_cohorts.cli.{module}")
        app.add_typer(getattr(loaded, f"{module.rpartition('.')[2]}_app"))
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"cohorts {VERSION}")
        raise typer.Exit


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


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command with these arguments, or those of the process; a user's mistake ends with exit status 2."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stdout)
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        app_of(words)(args=words, prog_name="cohorts")
    except CohortError as error:
        typer.echo(str(error), err=True)
        sys.exit(2)
    except OSError as error:
        if error.filename is None:
            raise
        typer.echo(f"{error.filename}: {error.strerror}. Nothing more was done; fix this and try again.", err=True)
        sys.exit(2)
