"""The commands from scores to the next selection: `aggregate`, `select-missing`, `select-top`."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from essay_cohorts.cli.options import (
    SCORES,
    SELECTION,
    AsJson,
    DataRoot,
    settings_of,
    table_width,
    typed_command,
    typed_root,
)
from essay_cohorts.cli.runs import how_to_begin
from essay_cohorts.errors import BadInput, Problem
from essay_cohorts.ledger.ledger import Ledger
from essay_cohorts.selecting.aggregated_scores import AGGREGATED, STORE_PIVOT, aggregate_scores
from essay_cohorts.selecting.essay_ranking import MissingSelection, RankedEssay, Shortfall
from essay_cohorts.selecting.ranking_table import choice_text, ranking_table
from essay_cohorts.selecting.selection_writer import (
    Ranking,
    conf_models,
    missing_essays,
    remove_selection,
    top_essays,
    write_selection,
)
from essay_cohorts.settings import airflow_command
from essay_cohorts.store.gens_data_layer import GensDataLayer
from essay_cohorts.views.essays.essay_titles import essay_titles

selection_app = typer.Typer()

Models = Annotated[
    list[str] | None, typer.Option(help="A model that counts; may be repeated. Default: all models for evaluation.")
]
Scores = Annotated[Path | None, typer.Option(help=f"The file of scores; default: {AGGREGATED} of the data root.")]
Output = Annotated[Path | None, typer.Option(help="Where to write; default: 2_tasks/selected_essays.txt.")]
Force = Annotated[bool, typer.Option("--force", help="Replace a selection file that this command did not write.")]
Cohort = Annotated[str | None, typer.Option(help="The cohort id in the printed commands.")]


@selection_app.command(rich_help_panel=SCORES)
def aggregate(data_root: DataRoot = None, as_json: AsJson = False) -> None:
    """Write the scores of the whole store into aggregated_scores.csv and score_pivot.csv of 7_cross_experiment/."""
    settings = settings_of(data_root)
    root = settings.data_root
    counts = aggregate_scores(root, Ledger.for_reading(settings).holders())
    if as_json:
        typer.echo(json.dumps(asdict(counts)))
        return
    typer.echo(str(counts))
    typer.echo(f"Written: {root / AGGREGATED}\nPivot: {root / STORE_PIVOT}")
    if not counts.rows:
        typer.echo(how_to_begin(data_root, "aggregate"))


@selection_app.command("select-missing", rich_help_panel=SELECTION)
def select_missing(
    cohort: Cohort = None,
    top_n: Annotated[int, typer.Option(min=1, help="How many top essays to consider.")] = 30,
    baseline_template: Annotated[str, typer.Option(help="The template that ranks.")] = "novelty",
    target_template: Annotated[str, typer.Option(help="The template that should judge them.")] = "coherence",
    average_models: Models = None,
    aggregated_scores: Scores = None,
    output: Output = None,
    any_model: Annotated[bool, typer.Option("--any-model", help="A score of any one model covers an essay.")] = False,
    retry_unscored: Annotated[
        bool, typer.Option("--retry-unscored", help="Count refused replies as missing, too.")
    ] = False,
    force: Force = False,
    data_root: DataRoot = None,
    as_json: AsJson = False,
) -> None:
    """Select the best essays by one template that another template has not fully judged; exit 1 for none."""
    root = settings_of(data_root).data_root
    ranking = Ranking(template_id=baseline_template, models=tuple(average_models or ()), scores=aggregated_scores)
    choice = missing_essays(
        root, ranking, target=target_template, top_n=top_n, any_model=any_model, retry_unscored=retry_unscored
    )
    essay_ids = [essay.essay_id for essay, _ in choice.missing]
    about = f"select-missing; by {baseline_template}, the best {top_n}, for {target_template}"
    written = write_selection(root, output, essay_ids, about, force=force) if essay_ids else None
    removed = None if essay_ids else remove_selection(root, output)
    if as_json:
        typer.echo(json.dumps(_as_json(choice, written)))
    else:
        shown = [essay.essay_id for essay, _ in (*choice.missing, *choice.needs_decision)]
        typer.echo(choice_text(choice, target_template, _titles(root, shown), table_width()))
        conf = {"templates": [target_template], **conf_models(root, ranking.models)}
        # A selection file elsewhere is not read by the next command.
        conf |= {"essay_ids": essay_ids} if output else {}
        conf |= {"cohort_id": cohort} if cohort else {}
        conf |= {"retry_unscored": True} if retry_unscored else {}
        _print_next(written, removed, conf, data_root)
    raise typer.Exit(0 if essay_ids else 1)


@selection_app.command("select-top", rich_help_panel=SELECTION)
def select_top(
    template: Annotated[str, typer.Option(help="The template that ranks.")] = "novelty",
    top_n: Annotated[int | None, typer.Option(min=1, help="How many top essays to consider (default: 30).")] = None,
    first: Annotated[int | None, typer.Option(min=1, help="The first rank of a span.")] = None,
    last: Annotated[int | None, typer.Option(min=1, help="The last rank of the span, included.")] = None,
    average_models: Models = None,
    aggregated_scores: Scores = None,
    output: Output = None,
    force: Force = False,
    data_root: DataRoot = None,
    as_json: AsJson = False,
) -> None:
    """Select the best essays by one template, or the essays of a span of ranks."""
    root = settings_of(data_root).data_root
    span = _span(top_n, first, last)
    ranking = Ranking(template_id=template, models=tuple(average_models or ()), scores=aggregated_scores)
    selected = top_essays(root, ranking, first=span[0], last=span[1])
    if not selected:
        finding = f"no essay has rank {span[0]} or a lower rank."
        raise BadInput([Problem(place="--first", finding=finding, next_step="Choose a smaller number.")])
    about = f"select-top; by {template}, ranks {span[0]} to {span[0] + len(selected) - 1}"
    written = write_selection(root, output, [essay.essay_id for essay in selected], about, force=force)
    if as_json:
        typer.echo(json.dumps({"selected": [asdict(essay) for essay in selected], "written": str(written)}))
        return
    titles = _titles(root, [essay.essay_id for essay in selected])
    typer.echo(ranking_table([(essay, ()) for essay in selected], "", span[0], titles, table_width()))
    typer.echo(f"Written: {written}")


def _titles(root: Path, essay_ids: Iterable[str]) -> dict[str, str]:
    return essay_titles(GensDataLayer.from_root(root), essay_ids)


def _span(top_n: int | None, first: int | None, last: int | None) -> tuple[int, int]:
    if top_n is not None and (first or last):
        finding = "--top-n says the same as --first 1 --last N."
        raise BadInput([Problem(place="--top-n", finding=finding, next_step="Give either --top-n or a span.")])
    start, end = first or 1, last or ((first or 1) + (top_n or 30) - 1)
    if end < start:
        raise BadInput([Problem(place="--last", finding=f"{end} comes before {start}.", next_step="Swap them.")])
    return start, end


def _print_next(written: Path | None, removed: Path | None, conf: Mapping[str, object], root: Path | None) -> None:
    if written is None:
        typer.echo(
            "Nothing is missing." + (f" Removed: {removed}, which this command had written." if removed else "")
        )
        return
    quoted = shlex.quote(json.dumps(conf))
    typer.echo(f"Written: {written}")
    typer.echo(f"See what it would call:  {typed_command()} plan --conf {quoted}{typed_root(root)}")
    typer.echo(f"Run it:                  {airflow_command()} dags trigger evaluation_backfill --conf {quoted}")


def _as_json(choice: MissingSelection, written: Path | None) -> dict[str, object]:
    def as_dicts(essays: Sequence[tuple[RankedEssay, tuple[Shortfall, ...]]]) -> list[dict[str, object]]:
        return [{**asdict(essay), "short": [asdict(each) for each in short]} for essay, short in essays]

    return {
        "selected": as_dicts(choice.missing),
        "needs_decision": as_dicts(choice.needs_decision),
        "covered": [asdict(essay) for essay in choice.covered],
        "written": str(written) if written else None,
    }
