"""From scores to a selection file of the essays that one template ranks high and another has not judged yet.

A file that this module wrote begins with a line that says so; a file without this line belongs to a person.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from essay_cohorts.catalog.catalog import SELECTIONS, Catalog
from essay_cohorts.catalog.models import MODELS
from essay_cohorts.catalog.templates import TEMPLATES
from essay_cohorts.domain import one_form
from essay_cohorts.errors import BadInput, Problem, choose_from
from essay_cohorts.files.atomic import check_inside, make_folder, storing, write_text
from essay_cohorts.files.json_files import read_text
from essay_cohorts.planning.selection_file import selection_text
from essay_cohorts.selecting.aggregated_scores import AGGREGATED, read_aggregated
from essay_cohorts.selecting.essay_ranking import (
    JudgedEvaluation,
    MissingSelection,
    RankedEssay,
    choose_missing,
    rank_by_best,
)

MARK = "# Written by cohorts"
# Version 0.1.0 wrote the former name of the package.
_OWN_MARKS = (MARK, "# Written by include.cohorts")


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranking:
    """The basis of a ranking: a template, models (default: all), and a file of scores (default: the data root's)."""

    template_id: str
    models: tuple[str, ...] = ()
    scores: Path | None = None


def conf_models(root: Path, models: Sequence[str]) -> dict[str, Any]:
    """Return the part of a conf that names the models; empty for a data root whose column says which are used."""
    return {} if Catalog(root=root).marks_models() else {"models": list(models)}


def missing_essays(
    root: Path,
    ranking: Ranking,
    *,
    target: str,
    top_n: int,
    any_model: bool = False,
    retry_unscored: bool = False,
) -> MissingSelection:
    """Find what `target` lacks in the top of a ranking; BadInput for names that do not exist or have no scores."""
    catalog = Catalog(root=root)
    templates, models = catalog.templates([target]), catalog.models(_judges_of(ranking))
    replicates = catalog.replicates()
    problems = [*templates.problems, *models.problems, *replicates.problems]
    active = [template.template_id for template in templates.value]
    if not templates.problems and target not in active:
        finding, choices = f'"{target}" is not active in {TEMPLATES}.', catalog.choices(TEMPLATES)
        problems.append(Problem(place="target template", finding=finding, next_step=choose_from(target, choices)))
    rows, ranked = _ranked(root, ranking, [model.id for model in models.value], problems)
    return choose_missing(
        rows,
        ranked[:top_n],
        template_id=target,
        models=[model.id for model in models.value],
        replicates=replicates.value,
        any_model=any_model,
        retry_unscored=retry_unscored,
    )


def top_essays(root: Path, ranking: Ranking, *, first: int, last: int) -> tuple[RankedEssay, ...]:
    """Return the essays of the ranks `first` to `last`, counted from 1 and included; BadInput as `missing_essays`."""
    models = Catalog(root=root).models(_judges_of(ranking))
    _, ranked = _ranked(root, ranking, [model.id for model in models.value], list(models.problems))
    return ranked[first - 1 : last]


def write_selection(root: Path, output: Path | None, essay_ids: Iterable[str], about: str, *, force: bool) -> Path:
    """Write the selection file and return its path; BadInput when there is a file that this module did not write."""
    path = selection_path(root, output, force=force)
    make_folder(root, path.parent) if output is None else path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, f"{MARK} {about}\n{selection_text(tuple(essay_ids), include_existing=True)}")
    return path


def remove_selection(root: Path, output: Path | None) -> Path | None:
    """Remove an outdated selection file that this module wrote; return its path, or None when there was none."""
    path = output or root / SELECTIONS[0]
    if not _is_own(path):
        return None
    with storing(path):
        path.unlink()
    return path


def selection_path(root: Path, output: Path | None, *, force: bool) -> Path:
    """Return where a selection is written; BadInput if a person's file is there and `force` is false."""
    path, drafts = output or root / SELECTIONS[0], root / SELECTIONS[1]
    if output is None:
        check_inside(root, path.parent)
    problems = []
    if output is None and drafts.exists():
        finding = f"{SELECTIONS[1]} exists, and there may be only one selection."
        problems.append(Problem(place=str(drafts), finding=finding, next_step="Delete it, or give --output."))
    if path.exists() and not _is_own(path) and not force:
        finding = "not written by this command."
        problems.append(Problem(place=str(path), finding=finding, next_step="--force overwrites it."))
    if problems:
        raise BadInput(problems)
    return path


def _is_own(path: Path) -> bool:
    return (read_text(path) or "").startswith(_OWN_MARKS)


def _judges_of(ranking: Ranking) -> list[str] | None:
    """Return the judges that the ranking names; None, for all judges for evaluation, when it names none."""
    return [one_form(name) for name in ranking.models] or None


def _ranked(
    root: Path, ranking: Ranking, active: Sequence[str], problems: list[Problem]
) -> tuple[tuple[JudgedEvaluation, ...], tuple[RankedEssay, ...]]:
    """Return the rows, and all essays in rank order; BadInput with `problems` and those of the ranking."""
    judges = _judges_of(ranking) or ()
    for name in judges:
        if name not in active:
            finding = f'"{name}" is not a model for evaluation in {MODELS}.'
            next_step = choose_from(name, Catalog(root=root).choices(MODELS))
            problems.append(Problem(place="average models", finding=finding, next_step=next_step))
    rows: tuple[JudgedEvaluation, ...] = ()
    path = ranking.scores or root / AGGREGATED
    try:
        rows = read_aggregated(path, made_up_counts=Catalog(root=root).offline_replies_allowed())
        if not problems:  # otherwise a misspelt judge would seem to have no scores
            problems += _without_scores(rows, ranking.template_id, judges or active, path)
    except BadInput as error:
        problems += error.problems
    if problems:
        raise BadInput(problems)
    return rows, rank_by_best(rows, ranking.template_id, judges or active)


def _without_scores(
    rows: Sequence[JudgedEvaluation], template_id: str, models: Collection[str], path: Path
) -> list[Problem]:
    scored = [row for row in rows if row.score is not None and row.cell.model_id in models]
    if any(row.cell.template_id == template_id for row in scored):
        return []
    finding = f'it has no score by the template "{template_id}" from {", ".join(models)}.'
    known = sorted({row.cell.template_id for row in scored})
    next_step = choose_from(template_id, known) if known else "Judge essays by it, then run cohorts aggregate."
    return [Problem(place=str(path), finding=finding, next_step=next_step)]
