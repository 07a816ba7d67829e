"""The options that all commands share, the settings that follow from them, and the printing of tables."""

from __future__ import annotations

import logging
import os
import shlex
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from shutil import get_terminal_size, which
from typing import Annotated, TypeVar

import typer
from dotenv import dotenv_values
from rich.table import Table

from essay_cohorts.catalog.catalog import Catalog
from essay_cohorts.errors import Problem, raise_if_any
from essay_cohorts.plain_table import as_text
from essay_cohorts.provenance import MADE_UP_BANNER
from essay_cohorts.settings import PROJECT_ROOT, Settings, read_settings

log = logging.getLogger("essay_cohorts")

T = TypeVar("T")

# The tasks by which `cohorts --help` groups the commands.
INPUTS = "Set up a data root"
RUNS = "Plan and follow a cohort"
SCORES = "Scores and statistics"
SELECTION = "Choose essays by their scores"
CARE = "Care for the store"

_PIPED_WIDTH = 120

DataRoot = Annotated[Path | None, typer.Option(help="The data root; default: DD_DATA_ROOT, or else the sample.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value instead of text.")]


def env_file(prefix: str, *, interpolate: bool = True) -> dict[str, str]:
    """Return the settings of the project's .env file whose names begin with `prefix`; `interpolate` expands $."""
    kept = dotenv_values(PROJECT_ROOT / ".env", interpolate=interpolate)
    return {key: value or "" for key, value in kept.items() if key.startswith(prefix)}


def with_progress(items: Iterable[T], what: str, total: int) -> Iterable[T]:
    """Return the items, and show on the terminal how many of them are done; without any, show nothing."""
    # Here, because most commands show no progress, and every command imports this module.
    from rich.console import Console
    from rich.progress import track

    return track(items, what, total=total, console=Console(stderr=True), disable=not total)


def settings_of(data_root: Path | None) -> Settings:
    """Return the settings: the option overrides the environment, which overrides the project's .env file."""
    given = {} if data_root is None else {"DD_DATA_ROOT": str(data_root)}
    settings = read_settings({**env_file("DD_"), **os.environ, **given})
    log.info("Data root: %s", settings.data_root)
    if Catalog(root=settings.data_root).offline_replies_allowed():
        # On stderr, because JSON and CSV on stdout must stay valid.
        typer.echo(MADE_UP_BANNER, err=True)
    return settings


def typed_command() -> str:
    """Return the command as a person types it here: `cohorts` where the shell finds it, or else the path as typed."""
    typed = sys.argv[0]
    return typed if Path(typed).name == "cohorts" and which("cohorts") is None else "cohorts"


def typed_root(data_root: Path | None) -> str:
    """Return the option --data-root with a blank before it, for a command that is printed; "" without the option."""
    return f" --data-root {shlex.quote(str(data_root))}" if data_root else ""


def own_settings(data_root: Path | None) -> Settings:
    """Return the settings of a command that writes inputs; BadInput unless its data root is named and is one."""
    settings = settings_of(data_root)
    problems = []
    if settings.data_root == PROJECT_ROOT / "data" and data_root is None:
        finding = "no data root is named, and the sample data is not yours to change."
        problems.append(Problem(place="--data-root", finding=finding, next_step="Give --data-root or DD_DATA_ROOT."))
    elif not (settings.data_root / "1_raw").is_dir():
        next_step = f"Name a data root, or create one: {typed_command()} init {settings.data_root}"
        finding = "it is not a data root: it has no folder 1_raw."
        problems.append(Problem(place=str(settings.data_root), finding=finding, next_step=next_step))
    raise_if_any(problems)
    return settings


def output_problems(output: Path, data_root: Path, *, force: bool, is_folder: bool = False) -> Iterator[Problem]:
    """Yield what speaks against writing this file or folder: it is in use, in the data root, or has no folder."""
    is_plain, wanted = (output.is_dir(), "folder") if is_folder else (output.is_file(), "file")
    if output.is_symlink() or (output.exists() and not is_plain):
        yield Problem(place=str(output), finding=f"it is not a plain {wanted}.", next_step=f"Name another {wanted}.")
    elif output.absolute().resolve().is_relative_to(data_root.resolve()):
        finding = "it is inside the data root, whose files belong to the project."
        yield Problem(place=str(output), finding=finding, next_step="Name a file elsewhere.")
    elif is_folder and is_plain and any(output.iterdir()) and not force:
        next_step = "--force replaces its logs of this source."
        yield Problem(place=str(output), finding="it is not empty.", next_step=next_step)
    elif not is_folder and is_plain and not force:
        yield Problem(place=str(output), finding="it exists.", next_step="--force replaces it.")
    if not output.absolute().parent.is_dir():
        yield Problem(place=str(output), finding="its folder does not exist.", next_step="Create the folder.")


def show_log(*, as_json: bool) -> None:
    """Show what the package logs; for JSON only its warnings, on stderr, because stdout must stay valid JSON."""
    log.setLevel(logging.WARNING if as_json else logging.INFO)
    for handler in logging.getLogger().handlers if as_json else ():
        if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stdout:
            handler.setStream(sys.stderr)


def table_width() -> int:
    """Return the width of the terminal, or of COLUMNS; 120 for a file or a pipe."""
    return get_terminal_size((_PIPED_WIDTH, 0)).columns


def print_table(table: Table) -> None:
    """Print a table; its titles are cut to the width of the terminal, and nothing else is cut."""
    typer.echo(as_text(table, table_width()))
