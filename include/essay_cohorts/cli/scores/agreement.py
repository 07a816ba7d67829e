"""The command `agreement`: of judges with each other or with people. It imports pandas only when it runs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from essay_cohorts.amounts import counted
from essay_cohorts.cli.options import SCORES, AsJson, DataRoot, print_table, settings_of, typed_command
from essay_cohorts.cli.runs import checked_id
from essay_cohorts.cli.scores.tables import (
    ALL_JUDGES,
    Cohort,
    Notes,
    chosen_scores,
    mark,
    number,
    print_agreement,
    print_mixed,
    print_no_score,
    table_of,
)
from essay_cohorts.domain import HUMAN_PREFIX, is_human
from essay_cohorts.errors import BadInput, Problem

if TYPE_CHECKING:
    from essay_cohorts.statistics.human_agreement import HumanAgreement, HumanComparison
    from essay_cohorts.statistics.mixed import MixedFigures

agreement_app = typer.Typer()

_HEADS = (
    "essays",
    "alpha",
    "95 % interval",
    "kappa",
    "95 % interval",
    "rho",
    "95 % interval",
    "bias",
    "95 % interval",
)
_OVERALL = "(overall)"


@agreement_app.command(rich_help_panel=SCORES)
def agreement(
    cohort: Cohort = None,
    with_humans: Annotated[
        bool, typer.Option("--with-humans", help="Compare the judges with people, and people with each other.")
    ] = False,
    data_root: DataRoot = None,
    as_json: AsJson = False,
) -> None:
    """Print how far the judges agree with each other or, with --with-humans, with people."""
    from essay_cohorts.statistics.agreement import agreements
    from essay_cohorts.statistics.all_statistics import method, method_in_words
    from essay_cohorts.statistics.human_agreement import human_agreement
    from essay_cohorts.statistics.mixed import find_mixed_figures_of_rows
    from essay_cohorts.views.scores_with_people import scores_with_people

    settings = settings_of(data_root)
    if not with_humans:
        scores = chosen_scores(settings, cohort)
        found = agreements(scores.frame)
        if as_json:
            typer.echo(json.dumps({"method": method(), "agreement": [asdict(each) for each in found]}))
            return
        if print_no_score(scores, cohort, data_root):
            return
        print_agreement(found, scores.mixed)
        print_mixed(scores.mixed)
        typer.echo(method_in_words())
        return
    rows = scores_with_people(settings, None if cohort is None else checked_id(cohort))
    mixed = find_mixed_figures_of_rows(row for row in rows if not is_human(row.member.llm_model_id))
    result = human_agreement(rows)
    if not result.judges:
        raise BadInput([_other_scales(result) if result.on_other_scales else _nobody_has_rated(cohort)])
    if as_json:
        typer.echo(json.dumps({"method": method(), **asdict(result), "mixed": mixed.judges()}))
        return
    _print(result, mixed)
    typer.echo(f"{method_in_words()} Of rho: Student's interval of Fisher's z, with the jackknife error.")


def _other_scales(result: HumanAgreement) -> Problem:
    counts = ", ".join(f"{template_id} ({count})" for template_id, count in result.on_other_scales.items())
    finding = f"the scores of people and of judges are on different scales: {counts}."
    return Problem(place="agreement", finding=finding, next_step="Rate or judge again on one scale.")


def _nobody_has_rated(cohort: str | None) -> Problem:
    place = f"cohort {cohort}" if cohort else "agreement"
    command = typed_command()
    next_step = (
        f"Choose essays to rate: {command} sample-for-raters --template TEMPLATE. "
        f"Then import the ratings: {command} import scores FILE"
    )
    return Problem(
        place=place, finding="no essay that a judge has scored was rated by a person.", next_step=next_step
    )


def _print(result: HumanAgreement, mixed: MixedFigures) -> None:
    typer.echo("Judges and people; bias: the judge's mean less people's")
    _print_comparisons(result.judges, "judge", mixed)
    if result.raters:
        typer.echo("\nEach rater and the other raters, for comparison")
        _print_comparisons(result.raters, "rater", mixed)
        typer.echo("\nAll raters: Krippendorff's alpha")
        table = table_of("template", "criterion", "raters", "essays", "alpha", "95 % interval")
        notes = Notes()
        for each in result.between_raters:
            counts = (str(each.raters), str(each.alpha.essays))
            names = (each.template_id, each.criterion or _OVERALL)
            table.add_row(*names, *counts, number(each.alpha.value), notes.interval(each.alpha))
        print_table(table)
        notes.print()
    for comparison in result.judges:
        if not comparison.criterion:
            _print_confusion(comparison)
    for template_id, count in result.on_other_scales.items():
        scores = counted(count, "score")
        verb = "does" if count == 1 else "do"
        typer.echo(f"{template_id}: {scores} on another scale than its judges' {verb} not count.")
    print_mixed(mixed)


def _print_comparisons(found: Iterable[HumanComparison], who: str, mixed: MixedFigures) -> None:
    table, notes = table_of("template", "criterion", who, *_HEADS), Notes()
    for each in found:
        sign = mark(mixed.describe(each.template_id, each.model_id))
        estimates = (each.alpha, each.kappa, each.rho, each.bias)
        figures = [cell for one in estimates for cell in (number(one.value) + sign, notes.interval(one))]
        name = (each.model_id or ALL_JUDGES).removeprefix(HUMAN_PREFIX)
        table.add_row(each.template_id, each.criterion or _OVERALL, name, str(each.essays), *figures)
    print_table(table)
    notes.print()


def _print_confusion(comparison: HumanComparison) -> None:
    found = comparison.confusion
    if found is None:
        return
    judge = comparison.model_id or ALL_JUDGES
    typer.echo(f"\n{comparison.template_id}: essays by people's score (rows) and by that of {judge} (columns)")
    table = Table("", box=None, pad_edge=False)
    for point in found.points:
        table.add_column(str(point), justify="right")
    for point, counts in zip(found.points, found.counts, strict=True):
        table.add_row(str(point), *(str(count) if count else "·" for count in counts))
    print_table(table)
