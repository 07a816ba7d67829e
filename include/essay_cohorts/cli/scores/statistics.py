"""The commands `statistics` and `pivot`.

They import pandas and scipy only when they run, so that no other command waits for these imports.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from essay_cohorts.cli.options import SCORES, AsJson, DataRoot, print_table, settings_of
from essay_cohorts.cli.scores.tables import (
    ALL_JUDGES,
    Cohort,
    Criterion,
    Notes,
    Scores,
    chosen_scores,
    mark,
    number,
    print_agreement,
    print_mixed,
    print_no_score,
    table_of,
)
from essay_cohorts.errors import BadInput, Problem
from essay_cohorts.files.atomic import write_text
from essay_cohorts.plain_table import TITLE
from essay_cohorts.store.gens_data_layer import GensDataLayer
from essay_cohorts.store.scores_csv import pivot_text
from essay_cohorts.views.essays.essay_titles import essay_titles

if TYPE_CHECKING:
    from essay_cohorts.statistics.all_statistics import ScoreStatistics

statistics_app = typer.Typer()


@statistics_app.command(rich_help_panel=SCORES)
def statistics(
    cohort: Cohort = None,
    scores: Scores = None,
    criterion: Criterion = None,
    top: Annotated[int, typer.Option(min=0, help="How many essays of each ranking to print; --json has all.")] = 10,
    data_root: DataRoot = None,
    as_json: AsJson = False,
) -> None:
    """Print means, agreement, spread of replicates and rankings, each with its 95 % interval."""
    from essay_cohorts.statistics.all_statistics import method_in_words, statistics_of

    settings = settings_of(data_root)
    found = chosen_scores(settings, cohort, scores, criterion)
    result = statistics_of(found.frame, found.mixed)
    if as_json:
        typer.echo(json.dumps(result.to_json()))
        return
    if print_no_score(found, cohort, data_root):
        return
    _print_means(result)
    typer.echo("")
    print_agreement(result.agreement, result.mixed)
    _print_pairs(result)
    if top:
        _print_rankings(result, top, GensDataLayer.from_root(settings.data_root))
    print_mixed(result.mixed)
    typer.echo(method_in_words())


@statistics_app.command(rich_help_panel=SCORES)
def pivot(
    cohort: Cohort = None,
    scores: Scores = None,
    output: Annotated[Path | None, typer.Option(help="A file to write instead of printing.")] = None,
    data_root: DataRoot = None,
    as_json: AsJson = False,
) -> None:
    """Print the scores as CSV, essays by template and model: mean, n, min and max."""
    from essay_cohorts.statistics.pivot import pivot_scores

    found = chosen_scores(settings_of(data_root), cohort, scores, with_people=True)
    table = pivot_scores(found.frame)
    text = json.dumps(asdict(table)) + "\n" if as_json else pivot_text(table.columns, table.rows)
    if output is None:
        typer.echo(text, nl=False)
        return
    if not output.parent.is_dir():
        finding = f"there is no folder {output.parent}."
        raise BadInput([Problem(place="--output", finding=finding, next_step="Make it, or name another folder.")])
    write_text(output, text)
    typer.echo(f"Written: {output}")


def _print_means(result: ScoreStatistics) -> None:
    spreads = {(each.template_id, each.model_id): each.sd for each in result.replicates}
    table = table_of("template", "model", "scored", "essays", "mean", "95 % interval", "sd of replicates")
    notes = Notes()
    for each in result.means:
        sd = spreads.get((each.template_id, each.model_id or ""))
        counts = (f"{each.scored}/{each.planned}", str(each.mean.essays))
        mean = number(each.mean.value) + mark(result.mixed.describe(each.template_id, each.model_id))
        judged = (each.template_id, each.model_id or ALL_JUDGES)
        table.add_row(*judged, *counts, mean, notes.interval(each.mean), number(sd))
    print_table(table)
    notes.print()


def _print_pairs(result: ScoreStatistics) -> None:
    if not result.pairs:
        typer.echo("\nPairs of judges: none, because no template has scores of two judges.")
        return
    typer.echo("\nPairs of judges, second minus first on the same essays")
    table = table_of("template", "first", "second", "scored", "essays", "difference", "95 % interval")
    notes = Notes()
    for each in result.pairs:
        counts = (f"{each.scored}/{each.planned}", str(each.difference.essays))
        mixes = (result.mixed.describe(each.template_id, model) for model in (each.first, each.second))
        figures = (number(each.difference.value) + mark(*mixes), notes.interval(each.difference))
        table.add_row(each.template_id, each.first, each.second, *counts, *figures)
    print_table(table)
    notes.print()


def _print_rankings(result: ScoreStatistics, top: int, store: GensDataLayer) -> None:
    """Print a ranking for each template, its best `top` essays with their titles."""
    notes = Notes()
    for template_id in dict.fromkeys(each.template_id for each in result.ranking):
        ranked = [each for each in result.ranking if each.template_id == template_id][:top]
        titles = essay_titles(store, (each.essay_id for each in ranked))
        typer.echo(f"\nRanking by {template_id}, the best {top}; intervals cover only the noise of replicates")
        table = table_of("rank", "essay", TITLE, "scored", "judges", "mean", "95 % interval")
        for each in ranked:
            counts = (f"{each.scored}/{each.planned}", str(each.judges))
            sign = mark(result.mixed.describe(each.template_id, None, each.essay_id))
            figures = (number(each.mean.value) + sign, notes.interval(each.mean))
            table.add_row(str(each.rank), each.essay_id, titles[each.essay_id], *counts, *figures)
        print_table(table)
    notes.print()
