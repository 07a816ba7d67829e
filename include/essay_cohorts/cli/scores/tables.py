"""The tables of the commands about scores, and the scores that the options of a command name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from essay_cohorts.amounts import figure
from essay_cohorts.cli.options import print_table
from essay_cohorts.cli.runs import how_to_begin, how_to_judge
from essay_cohorts.domain import ID_RULE, is_id
from essay_cohorts.errors import Problem, raise_if_any
from essay_cohorts.selecting.aggregated_scores import AGGREGATED
from essay_cohorts.statistics.mixed import MARK, MixedFigures

if TYPE_CHECKING:
    from essay_cohorts.cli.scores.sources import ScoreTable
    from essay_cohorts.settings import Settings
    from essay_cohorts.statistics.agreement import Agreement
    from essay_cohorts.statistics.bootstrap import Estimate

Cohort = Annotated[str | None, typer.Option(help="A cohort's id; default: the scores of the whole store.")]
Scores = Annotated[Path | None, typer.Option(help=f"Scores of the store; default: {AGGREGATED} of the data root.")]
Criterion = Annotated[str | None, typer.Option(help="Its scores instead of the overall ones; needs --cohort.")]
ALL_JUDGES = "(all judges)"
UNRELIABLE = "?"


def chosen_scores(
    settings: Settings,
    cohort: str | None,
    scores: Path | None = None,
    criterion: str | None = None,
    *,
    with_people: bool = False,
) -> ScoreTable:
    """Return the scores that the options name. BadInput names all options that do not go together.

    People's scores are left out unless `with_people`.
    """
    from essay_cohorts.cli.scores.sources import read_scores

    problems = []
    if cohort is not None and not is_id(cohort):
        problems.append(Problem(place="--cohort", finding=f"{cohort!r} is not a valid cohort id.", next_step=ID_RULE))
    if cohort is not None and scores is not None:
        finding = "a cohort's scores come from the store itself, not from a file."
        problems.append(Problem(place="--scores", finding=finding, next_step="Give either --scores or --cohort."))
    if criterion is not None and cohort is None:
        finding = "the scores of criteria are in the files of cohorts."
        problems.append(Problem(place="--criterion", finding=finding, next_step="Give --cohort too."))
    raise_if_any(problems)
    return read_scores(settings, cohort, scores, criterion, with_people=with_people)


def print_no_score(scores: ScoreTable, cohort: str | None, data_root: Path | None) -> bool:
    """Return False when some evaluation has a score; otherwise print how to get scores, and return True."""
    if scores.frame["score"].notna().any():
        return False
    if cohort is not None:
        typer.echo(f"No evaluation of {cohort} has a score yet. {how_to_judge(cohort, data_root)}")
    else:
        typer.echo(f"No evaluation has a score yet. {how_to_begin(data_root, 'aggregate')}")
    return True


def print_agreement(found: Iterable[Agreement], mixed: MixedFigures) -> None:
    """Print alpha between the judges of each template, and between the replicates of each judge."""
    typer.echo("Agreement: Krippendorff's alpha")
    table, notes = table_of("template", "between", "scored", "essays", "alpha", "95 % interval"), Notes()
    for each in found:
        between = f"replicates of {each.model_id}" if each.model_id else f"judges ({each.judges})"
        counts = (f"{each.scored}/{each.planned}", str(each.alpha.essays))
        alpha = number(each.alpha.value) + mark(mixed.describe(each.template_id, each.model_id))
        table.add_row(each.template_id, between, *counts, alpha, notes.interval(each.alpha))
    print_table(table)
    notes.print()


def print_mixed(mixed: MixedFigures) -> None:
    """Print one line for each judge whose figures mix scores of several prompts or settings."""
    for judge in mixed.judges():
        typer.echo(f"{MARK} {judge['template_id']} by {judge['model_id']}: mixes {judge['mixes']}")


def mark(*mixes: str) -> str:
    """Return the mark of a figure if one of the texts says that it mixes provenances."""
    return f" {MARK}" if any(mixes) else ""


def table_of(*heads: str) -> Table:
    """Return a table without borders."""
    return Table(*heads, box=None, pad_edge=False)


def number(value: float | None) -> str:
    """Return a figure as text, a dash if there is none."""
    return "—" if value is None else figure(value)


class Notes:
    """The notes of a table: cells have a short mark for each note, which is explained once below the table."""

    def __init__(self) -> None:
        self._marks: dict[str, str] = {}

    def interval(self, estimate: Estimate) -> str:
        """Return the interval, with the mark of its note when it is unreliable or does not exist."""
        if estimate.low is None or estimate.high is None:
            return f"— {self._mark(estimate.note, 'a')}".rstrip()
        shown = f"{figure(estimate.low)} to {figure(estimate.high)}"
        return shown if estimate.reliable else f"{shown} {self._mark(estimate.note, UNRELIABLE)}"

    def print(self) -> None:
        """Print a line for each mark that was used."""
        for note, sign in self._marks.items():
            typer.echo(f"{sign}  {note}" if sign[0] == UNRELIABLE else f"{sign}  no interval: {note}")

    def _mark(self, note: str, first: str) -> str:
        """Return the mark of a note: ? or ?? for an unreliable interval, a letter for a missing one."""
        if note and note not in self._marks:
            alike = sum((sign[0] == UNRELIABLE) == (first == UNRELIABLE) for sign in self._marks.values())
            self._marks[note] = UNRELIABLE * (alike + 1) if first == UNRELIABLE else chr(ord(first) + alike)
        return self._marks.get(note, "")
