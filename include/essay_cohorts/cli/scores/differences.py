"""The commands `difference` and `groups`. They import pandas and scipy only when they run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from essay_cohorts.cli.options import SCORES, AsJson, DataRoot, print_table, settings_of, typed_command
from essay_cohorts.cli.runs import how_to_begin
from essay_cohorts.cli.scores.tables import (
    ALL_JUDGES,
    Cohort,
    Criterion,
    Notes,
    Scores,
    chosen_scores,
    number,
    print_mixed,
    table_of,
)
from essay_cohorts.domain import one_form
from essay_cohorts.errors import BadInput, Problem, choose_from, raise_if_any
from essay_cohorts.store.gens_data_layer import GensDataLayer
from essay_cohorts.views.essays.essay_titles import essay_groups

if TYPE_CHECKING:
    import pandas as pd

    from essay_cohorts.statistics.differences import PairedDifference
    from essay_cohorts.statistics.groups import GroupDifference

differences_app = typer.Typer()

Two = tuple[str, str]


@differences_app.command(rich_help_panel=SCORES)
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
        sides = [chosen_scores(settings, each) for each in cohorts]
        found = differences.between_cohorts(*cohorts, *(side.frame for side in sides))
    else:
        # A rater may be compared with a judge, but people's scores are no part of a template's difference.
        sides = [chosen_scores(settings, cohort, scores, with_people=models is not None)]
        frame = sides[0].frame
        raise_if_any(_unknown(frame, "template", templates or ()) + _unknown(frame, "model", models or ()))
        found = differences.between_templates(*templates, frame) if templates else ()
        found = differences.between_models(*models, frame) if models else found
    if as_json:
        typer.echo(json.dumps({"method": method(), "differences": [asdict(each) for each in found]}))
        return
    _print_differences(found, "—" if models else ALL_JUDGES)
    for side in sides:
        print_mixed(side.mixed)
    typer.echo(f"Second minus first, on the same essays. {method_in_words()}")


@differences_app.command(rich_help_panel=SCORES)
def groups(
    cohort: Cohort = None,
    scores: Scores = None,
    criterion: Criterion = None,
    data_root: DataRoot = None,
    as_json: AsJson = False,
) -> None:
    """Print the means of groups of essays, such as writers or conditions, and their differences."""
    from essay_cohorts.statistics.all_statistics import method_in_words
    from essay_cohorts.statistics.groups import group_statistics

    settings = settings_of(data_root)
    frame = chosen_scores(settings, cohort, scores, criterion).frame
    found = essay_groups(GensDataLayer.from_root(settings.data_root), frame["essay"])
    if not found:
        finding = "no essay of these scores has a group."
        next_step = (
            f"Import the essays with --group-column: {typed_command()} import essays PATH --group-column COLUMN"
        )
        raise BadInput([Problem(place="groups", finding=finding, next_step=next_step)])
    result = group_statistics(frame, found)
    if as_json:
        typer.echo(json.dumps(asdict(result)))
        return
    table, notes = table_of("template", "group", "scored", "essays", "mean", "95 % interval"), Notes()
    for mean in result.means:
        counts = (f"{mean.scored}/{mean.planned}", str(mean.mean.essays))
        table.add_row(mean.template_id, mean.group, *counts, number(mean.mean.value), notes.interval(mean.mean))
    print_table(table)
    notes.print()
    _print_group_differences(result.differences)
    typer.echo(f"Differences: Welch's interval, because groups have different essays. Means: {method_in_words()}")


def _print_group_differences(differences: Iterable[GroupDifference]) -> None:
    typer.echo("\nDifferences between groups, second minus first")
    table, notes = table_of("template", "first", "second", "essays", "difference", "95 % interval"), Notes()
    for each in differences:
        figures = (str(each.difference.essays), number(each.difference.value), notes.interval(each.difference))
        table.add_row(each.template_id, each.first, each.second, *figures)
    print_table(table)
    notes.print()


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
            next_step=choose_from(name, known) if known else how_to_begin(None, "aggregate"),
        )
        for name in names
        if name not in known
    ]


def _print_differences(found: Iterable[PairedDifference], all_judges: str) -> None:
    heads = ("template", "model", "first\nscored", "second\nscored", "essays", "difference", "95 % interval")
    table, notes = table_of(*heads), Notes()
    for each in found:
        sides = (f"{each.first_scored}/{each.first_planned}", f"{each.second_scored}/{each.second_planned}")
        compared = (each.template_id or "(both)", each.model_id or all_judges)
        figures = (number(each.difference.value), notes.interval(each.difference))
        table.add_row(*compared, *sides, str(each.difference.essays), *figures)
    print_table(table)
    notes.print()
