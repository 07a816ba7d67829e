"""The commands about scores: `statistics`, `difference`, `pivot`.

They import pandas and scipy only when they run, so that no other command waits for these imports.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from essay_cohorts.amounts import figure
from essay_cohorts.cli.options import SCORES, AsJson, DataRoot, print_table, settings_of
from essay_cohorts.domain import ID_RULE, is_id, one_form
from essay_cohorts.errors import BadInput, Problem, raise_if_any
from essay_cohorts.files.atomic import write_text
from essay_cohorts.selecting.aggregated_scores import AGGREGATED
from essay_cohorts.statistics.mixed import MARK, MixedFigures
from essay_cohorts.store.gens_data_layer import GensDataLayer
from essay_cohorts.store.scores_csv import pivot_text
from essay_cohorts.suggestions import choose_from
from essay_cohorts.views.essay_titles import essay_groups

if TYPE_CHECKING:
    import pandas as pd

    from essay_cohorts.cli.score_sources import ScoreTable
    from essay_cohorts.settings import Settings
    from essay_cohorts.statistics.all_statistics import ScoreStatistics
    from essay_cohorts.statistics.bootstrap import Estimate
    from essay_cohorts.statistics.differences import PairedDifference
    from essay_cohorts.statistics.groups import GroupDifference

statistics_app = typer.Typer()

Cohort = Annotated[str | None, typer.Option(help="A cohort's id; default: the scores of the whole store.")]
Scores = Annotated[Path | None, typer.Option(help=f"Scores of the store; default: {AGGREGATED} of the data root.")]
Two = tuple[str, str]
ALL_JUDGES = "(all judges)"


@statistics_app.command(rich_help_panel=SCORES)
def statistics(
    cohort: Cohort = None,
    scores: Scores = None,
    top: Annotated[int, typer.Option(min=0, help="How many essays of each ranking to print; --json has all.")] = 10,
    data_root: DataRoot = None,
    as_json: AsJson = False,
) -> None:
    """Print means, agreement, spread of replicates and rankings, each with its 95 % interval."""
    from essay_cohorts.statistics.all_statistics import method_in_words, statistics_of

    found = _scores(settings_of(data_root), cohort, scores)
    result = statistics_of(found.frame, found.mixed)
    if as_json:
        typer.echo(json.dumps(result.to_json()))
        return
    _print_means(result)
    _print_agreement(result)
    _print_pairs(result)
    _print_rankings(result, top)
    _print_mixed(result.mixed)
    typer.echo(method_in_words())


@statistics_app.command(rich_help_panel=SCORES)
def difference(
    cohorts: Annotated[Two | None, typer.Option(metavar="FIRST SECOND", help="Two cohorts' ids.")] = None,
    templates: Annotated[Two | None, typer.Option(metavar="FIRST SECOND", help="Two templates' ids.")] = None,
    models: Annotated[Two | None, typer.Option(metavar="FIRST SECOND", help="Two judges' ids.")] = None,
    cohort: Cohort = None,
    scores: Scores = None,
    data_root: DataRoot = None,
    as_json: AsJson = False,
) -> None:
    """Print the mean difference, second minus first, of two cohorts, templates or judges on shared essays."""
    from essay_cohorts.statistics import differences
    from essay_cohorts.statistics.all_statistics import method, method_in_words

    models = (one_form(models[0]), one_form(models[1])) if models else None
    _check_question([cohorts, templates, models], cohort, scores, of_cohorts=cohorts is not None)
    settings = settings_of(data_root)
    if cohorts:
        sides = [_scores(settings, each) for each in cohorts]
        found = differences.between_cohorts(*cohorts, *(side.frame for side in sides))
    else:
        sides = [_scores(settings, cohort, scores)]
        frame = sides[0].frame
        raise_if_any(_unknown(frame, "template", templates or ()) + _unknown(frame, "model", models or ()))
        found = differences.between_templates(*templates, frame) if templates else ()
        found = differences.between_models(*models, frame) if models else found
    if as_json:
        typer.echo(json.dumps({"method": method(), "differences": [asdict(each) for each in found]}))
        return
    _print_differences(found, "—" if models else ALL_JUDGES)
    for side in sides:
        _print_mixed(side.mixed)
    typer.echo(f"Second minus first, on the same essays. {method_in_words()}")


@statistics_app.command(rich_help_panel=SCORES)
def groups(
    cohort: Cohort = None,
    scores: Scores = None,
    data_root: DataRoot = None,
    as_json: AsJson = False,
) -> None:
    """Print the means of groups of essays, such as writers or conditions, and their differences."""
    from essay_cohorts.statistics.all_statistics import method_in_words
    from essay_cohorts.statistics.groups import group_differences, group_means

    settings = settings_of(data_root)
    frame = _scores(settings, cohort, scores).frame
    found = essay_groups(GensDataLayer.from_root(settings.data_root), frame["essay"])
    if not found:
        finding, next_step = "no essay of these scores has a group.", "Import the essays with --group-column."
        raise BadInput([Problem(place="groups", finding=finding, next_step=next_step)])
    means, differences = group_means(frame, found), group_differences(frame, found)
    if as_json:
        tables = {"means": [asdict(each) for each in means], "differences": [asdict(each) for each in differences]}
        typer.echo(json.dumps(tables))
        return
    table = _table("template", "group", "scored/planned", "essays", "mean", "95 % interval", "")
    for mean in means:
        counts = (f"{mean.scored}/{mean.planned}", str(mean.mean.essays))
        table.add_row(mean.template_id, mean.group, *counts, _number(mean.mean.value), *_interval(mean.mean))
    print_table(table)
    _print_group_differences(differences)
    typer.echo(f"Differences: Welch's interval, because groups have different essays. Means: {method_in_words()}")


def _print_group_differences(differences: Iterable[GroupDifference]) -> None:
    typer.echo("\nDifferences between groups, second minus first")
    table = _table("template", "first", "second", "essays", "difference", "95 % interval", "")
    for each in differences:
        figures = (str(each.difference.essays), _number(each.difference.value), *_interval(each.difference))
        table.add_row(each.template_id, each.first, each.second, *figures)
    print_table(table)


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

    table = pivot_scores(_scores(settings_of(data_root), cohort, scores).frame)
    text = json.dumps(asdict(table)) + "\n" if as_json else pivot_text(table.columns, table.rows)
    if output is None:
        typer.echo(text, nl=False)
        return
    if not output.parent.is_dir():
        finding = f"there is no folder {output.parent}."
        raise BadInput([Problem(place="--output", finding=finding, next_step="Make it, or name another folder.")])
    write_text(output, text)
    typer.echo(f"Written: {output}")


def _scores(settings: Settings, cohort: str | None, scores: Path | None = None) -> ScoreTable:
    from essay_cohorts.cli.score_sources import read_scores

    problems = []
    if cohort is not None and not is_id(cohort):
        problems.append(Problem(place="--cohort", finding=f"{cohort!r} is not a valid cohort id.", next_step=ID_RULE))
    if cohort is not None and scores is not None:
        finding = "a cohort's scores come from the store itself, not from a file."
        problems.append(Problem(place="--scores", finding=finding, next_step="Give either --scores or --cohort."))
    raise_if_any(problems)
    return read_scores(settings, cohort, scores)


def _check_question(
    options: Sequence[Two | None], cohort: str | None, scores: Path | None, *, of_cohorts: bool
) -> None:
    problems = []
    pairs = [pair for pair in options if pair]
    if len(pairs) != 1:
        finding = f"{len(pairs)} of --cohorts, --templates and --models are given."
        problems.append(
            Problem(place="difference", finding=finding, next_step="Give one of them, with two ids after it.")
        )
    for first, second in pairs:
        if first == second:
            finding = f"{first!r} is compared with itself."
            problems.append(Problem(place="difference", finding=finding, next_step="Name two different ids."))
    if of_cohorts and (cohort is not None or scores is not None):
        finding = "--cohorts names the compared cohorts; --cohort and --scores go with --templates or --models."
        problems.append(Problem(place="--cohorts", finding=finding, next_step="Leave out --cohort and --scores."))
    raise_if_any(problems)


def _unknown(frame: pd.DataFrame, kind: str, names: Iterable[str]) -> list[Problem]:
    known = list(dict.fromkeys(frame[kind]))
    return [
        Problem(
            place=f"--{kind}s",
            finding=f'there is no evaluation of the {kind} "{name}".',
            next_step=choose_from(name, known),
        )
        for name in names
        if name not in known
    ]


def _print_means(result: ScoreStatistics) -> None:
    spreads = {(each.template_id, each.model_id): each.sd for each in result.replicates}
    table = _table("template", "model", "scored/planned", "essays", "mean", "95 % interval", "sd of replicates", "")
    for each in result.means:
        sd = spreads.get((each.template_id, each.model_id or ""))
        figures = (_number(each.mean.value), *_interval(each.mean))
        counts = (f"{each.scored}/{each.planned}", str(each.mean.essays))
        mark = _mark(result.mixed.describe(each.template_id, each.model_id))
        shown = (f"{figures[0]}{mark}", figures[1], _number(sd), figures[2])
        table.add_row(each.template_id, each.model_id or ALL_JUDGES, *counts, *shown)
    print_table(table)


def _print_agreement(result: ScoreStatistics) -> None:
    typer.echo("\nAgreement: Krippendorff's alpha")
    table = _table("template", "between", "scored/planned", "essays", "alpha", "95 % interval", "")
    for each in result.agreement:
        between = f"replicates of {each.model_id}" if each.model_id else f"judges ({each.judges})"
        counts = (f"{each.scored}/{each.planned}", str(each.alpha.essays))
        alpha = _number(each.alpha.value) + _mark(result.mixed.describe(each.template_id, each.model_id))
        table.add_row(each.template_id, between, *counts, alpha, *_interval(each.alpha))
    print_table(table)


def _print_pairs(result: ScoreStatistics) -> None:
    typer.echo("\nPairs of judges, second minus first on the same essays")
    table = _table("template", "first", "second", "scored/planned", "essays", "difference", "95 % interval", "")
    for each in result.pairs:
        counts = (f"{each.scored}/{each.planned}", str(each.difference.essays))
        mixes = (result.mixed.describe(each.template_id, model) for model in (each.first, each.second))
        figures = (_number(each.difference.value) + _mark(*mixes), *_interval(each.difference))
        table.add_row(each.template_id, each.first, each.second, *counts, *figures)
    print_table(table)


def _print_rankings(result: ScoreStatistics, top: int) -> None:
    typer.echo(f"\nRanking, the best {top}; intervals cover only the noise of replicates" if top else "")
    table = _table("template", "rank", "essay", "scored/planned", "judges", "mean", "95 % interval", "")
    shown: dict[str, int] = {}
    for each in result.ranking:
        shown[each.template_id] = shown.get(each.template_id, 0) + 1
        if shown[each.template_id] <= top:
            counts = (f"{each.scored}/{each.planned}", str(each.judges))
            mark = _mark(result.mixed.describe(each.template_id, None, each.essay_id))
            figures = (_number(each.mean.value) + mark, *_interval(each.mean))
            table.add_row(each.template_id, str(each.rank), each.essay_id, *counts, *figures)
    if top:
        print_table(table)


def _print_differences(found: Iterable[PairedDifference], all_judges: str) -> None:
    heads = ("template", "model", "scored/planned of the first", "of the second", "essays", "difference")
    table = _table(*heads, "95 % interval", "")
    for each in found:
        sides = (f"{each.first_scored}/{each.first_planned}", f"{each.second_scored}/{each.second_planned}")
        compared = (each.template_id or "(both)", each.model_id or all_judges)
        figures = (_number(each.difference.value), *_interval(each.difference))
        table.add_row(*compared, *sides, str(each.difference.essays), *figures)
    print_table(table)


def _print_mixed(mixed: MixedFigures) -> None:
    """Print one line for each judge whose figures mix scores of several prompts or settings."""
    for judge in mixed.judges():
        typer.echo(f"{MARK} {judge['template_id']} by {judge['model_id']}: mixes {judge['mixes']}")


def _mark(*mixes: str) -> str:
    return f" {MARK}" if any(mixes) else ""


def _table(*heads: str) -> Table:
    return Table(*heads, box=None, pad_edge=False)


def _number(value: float | None) -> str:
    return "—" if value is None else figure(value)


def _interval(estimate: Estimate) -> tuple[str, str]:
    """Return the interval, marked when it is unreliable, and its note."""
    if estimate.low is None or estimate.high is None:
        return "—", estimate.note
    return f"{figure(estimate.low)} to {figure(estimate.high)}{'' if estimate.reliable else ' ?'}", estimate.note
