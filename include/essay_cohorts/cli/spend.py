"""The command `spend`: what all runs of a data root have cost, and what is left below the caps."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from essay_cohorts.amounts import counted, dollars
from essay_cohorts.catalog.models import MODELS
from essay_cohorts.cli.options import CARE, AsJson, DataRoot, print_table, settings_of
from essay_cohorts.errors import BadInput, Problem
from essay_cohorts.files.clock import is_day
from essay_cohorts.ledger.ledger import Ledger, left_below_caps
from essay_cohorts.ledger.records import BillBy

spend_app = typer.Typer()


@spend_app.command(rich_help_panel=CARE)
def spend(
    by: Annotated[BillBy, typer.Option(help="What to break the bill down by.")] = BillBy.DAY,
    since: Annotated[str, typer.Option(help="The first day, such as 2026-01-31 (UTC). Default: the beginning.")] = "",
    data_root: DataRoot = None,
    as_json: AsJson = False,
) -> None:
    """Show what all runs have cost: settled, in flight, and in doubt (requests whose end nobody knows)."""
    if since and not is_day(since):
        next_step = "Write a day such as 2026-01-31."
        raise BadInput([Problem(place="--since", finding=f"{since!r} is not a day.", next_step=next_step)])
    settings = settings_of(data_root)
    ledger = Ledger.for_reading(settings)
    bill = ledger.bill(by, since)
    if as_json:
        rows = [{by.value: "/".join(row.key), **asdict(row.spending), "unpriced": row.unpriced} for row in bill.rows]
        typer.echo(json.dumps({"rows": rows, "total": asdict(bill.total), "unpriced_models": bill.unpriced_models}))
        return
    table = Table(by.value, box=None, pad_edge=False)
    for name in ("requests", "settled", "in flight", "in doubt"):
        table.add_column(name, justify="right")
    for key, spending in [*((" ".join(row.key), row.spending) for row in bill.rows), ("all", bill.total)]:
        usd = (spending.settled_usd, spending.in_flight_usd, spending.unknown_usd)
        table.add_row(key or "unknown", f"{spending.calls:,}", *map(dollars, usd))
    print_table(table)
    if bill.unpriced_models:
        names = ", ".join(bill.unpriced_models)
        typer.echo(f"Not in these sums: {counted(bill.unpriced, 'request')} to {names}, without a price in {MODELS}.")
    for line in left_below_caps(settings):
        typer.echo(line)
