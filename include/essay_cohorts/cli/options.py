"""What the commands share: their common options, the settings that these mean, and how a table is printed."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Annotated

import typer
from dotenv import dotenv_values
from rich.table import Table

from essay_cohorts.plain_table import as_text
from essay_cohorts.provenance import MADE_UP_BANNER
from essay_cohorts.settings import PROJECT_ROOT, Settings, read_settings
from essay_cohorts.store.catalog import Catalog

log = logging.getLogger("essay_cohorts")

DataRoot = Annotated[Path | None, typer.Option(help="The data root; default: DD_DATA_ROOT, else the sample data.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value instead of text.")]


def settings_of(data_root: Path | None) -> Settings:
    """Settings of the option, else of the environment, else of the project's .env, as `make up` reads them."""
    kept = {key: value or "" for key, value in dotenv_values(PROJECT_ROOT / ".env").items() if key.startswith("DD_")}
    given = {} if data_root is None else {"DD_DATA_ROOT": str(data_root)}
    settings = read_settings({**kept, **os.environ, **given})
    log.info("Data root: %s", settings.data_root)
    if Catalog(root=settings.data_root).offline_replies_allowed():
        # Beside the output: JSON and CSV must stay what they are.
        typer.echo(MADE_UP_BANNER, err=True)
    return settings


def print_table(table: Table) -> None:
    """Print it as it is, however wide."""
    typer.echo(as_text(table))
