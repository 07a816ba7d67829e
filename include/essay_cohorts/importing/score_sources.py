"""Reads people's scores from a table, and checks each rating. Nothing is written here.

A row is one score: of an essay, under a template, by a rater, for one criterion or overall. The rows of one (essay,
template, rater) make a rating, which becomes one evaluation.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from essay_cohorts.domain import HUMAN, HUMAN_PREFIX, Cell, CriterionScore, ParserRef, Template, Verdict
from essay_cohorts.errors import Checked, Problem
from essay_cohorts.importing.score_rows import COLUMNS, RowReader, ScoreColumns, ScoredRow
from essay_cohorts.importing.source_rows import READERS, SourceTable, choose_columns, read_table_file
from essay_cohorts.judging.criteria import mean_of_criteria
from essay_cohorts.rubric import Rubric, points

# The version of the rules below; the end of a parser's version names the rubric.
HUMAN_VERSION = "1"
NOT_RATED = "not rated"
# A mean that a person rounded to two decimals is the mean.
_ROUNDING = 0.005


@dataclass(frozen=True, kw_only=True, slots=True)
class Rating:
    """One rater's scores of an essay under a template; `place` names the first row.

    `notes` has the rater's remarks by criterion, "" for the overall score; rows without a remark have none.
    """

    place: str
    cell: Cell
    verdict: Verdict
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class RatingSource:
    """The ratings of a file; `unrated` counts the rows that nobody has filled in yet."""

    ratings: tuple[Rating, ...] = ()
    unrated: int = 0


def read_ratings(
    source: Path, names: ScoreColumns, templates: Mapping[str, Template], essays: Collection[str]
) -> Checked[RatingSource]:
    """Return the ratings in a file, and all problems together; the same row twice counts once.

    `templates` and `essays` are those of the data root. A row without rater, score and note is not rated yet.
    """
    if not source.is_file() or source.suffix.lower() not in READERS:
        finding = "it is not a plain file of a known kind." if source.exists() else "there is no such file."
        next_step = f"Give one {', '.join(READERS)} file."
        problem = Problem(place=str(source), finding=finding, next_step=next_step)
        return Checked(value=RatingSource(), problems=(problem,))
    table = read_table_file(source)
    if table.problem is not None:
        return Checked(value=RatingSource(), problems=(table.problem,))
    chosen, problems = choose_columns(table, COLUMNS, asdict(names))
    if not table.columns:  # no row could be read, or all are empty
        problems = [row for row in table.rows if isinstance(row, Problem)] or [_nothing_rated(table.place)]
    if problems:
        return Checked(value=RatingSource(), problems=tuple(problems))
    # Only the cells of a CSV are escaped.
    reader = RowReader(chosen, templates, essays, escaped=source.suffix.lower() == ".csv")
    return _read(table, reader, templates)


def _read(table: SourceTable, reader: RowReader, templates: Mapping[str, Template]) -> Checked[RatingSource]:
    """Return the ratings of a table, and its problems: of rows in their order, then of whole ratings."""
    problems: list[Problem] = []
    scored: list[ScoredRow] = []
    doubtful: set[tuple[str, str, str]] = set()  # ratings of which a row is wrong
    unrated = 0
    for row in table.rows:
        if isinstance(row, Problem):
            problems.append(row)
        elif reader.is_unrated(row):
            unrated += 1
        elif found := list(reader.problems(row)):
            problems += found
            doubtful.add(reader.rating(row))
        else:
            scored.append(reader.scored(row))
    has_unreadable = any(isinstance(row, Problem) for row in table.rows)
    ratings: list[Rating] = []
    for key, (rows, twice) in _by_rating(scored).items():
        problems += twice
        rating = _rating_of(rows, templates[rows[0].cell.template_id].rubric)
        if isinstance(rating, Rating):
            ratings.append(rating)
        elif not twice and not has_unreadable and key not in doubtful:
            problems.append(rating)
    named = {problem.place for problem in problems}
    problems += [problem for problem in _raters_in_two_cases(scored) if problem.place not in named]
    if not ratings and not problems:
        problems.append(_nothing_rated(table.place))
    return Checked(value=RatingSource(ratings=tuple(ratings), unrated=unrated), problems=tuple(problems))


def _raters_in_two_cases(rows: Sequence[ScoredRow]) -> list[Problem]:
    """Return a problem for the first row of each rater whose name is written in another case before."""
    first: dict[str, ScoredRow] = {}
    spelled: dict[str, ScoredRow] = {}
    for row in rows:
        spelled.setdefault(row.cell.model_id, row)
    problems = []
    for row in spelled.values():
        former = first.setdefault(row.cell.model_id.lower(), row)
        if former is not row:
            mine, other = (each.cell.model_id.removeprefix(HUMAN_PREFIX) for each in (row, former))
            finding = f'the rater "{mine}" differs only by case from "{other}" at {former.place}.'
            problems.append(Problem(place=row.place, finding=finding, next_step="Write both in the same way."))
    return problems


def _nothing_rated(place: str) -> Problem:
    return Problem(place=place, finding="it has no score.", next_step="Fill in the columns rater and score.")


def _by_rating(rows: Sequence[ScoredRow]) -> dict[tuple[str, str, str], tuple[list[ScoredRow], list[Problem]]]:
    """Return the rows of each rating, each criterion once, and a problem for each row that contradicts another one.

    The keys have no case, because gen_ids ignore it.
    """
    groups: dict[tuple[str, str, str], list[ScoredRow]] = {}
    for row in rows:
        essay, template, model = row.cell
        groups.setdefault((essay.lower(), template.lower(), model.lower()), []).append(row)
    return {key: _without_repeats(group) for key, group in groups.items()}


def _without_repeats(group: Sequence[ScoredRow]) -> tuple[list[ScoredRow], list[Problem]]:
    first: dict[str, ScoredRow] = {}
    problems = []
    for row in group:
        former = first.setdefault(row.criterion, row)
        if row.cell != group[0].cell:
            finding, next_step = _other_case(row.cell, group[0]), "Write both in the same way."
            problems.append(Problem(place=row.place, finding=finding, next_step=next_step))
        elif (former.score, former.note) != (row.score, row.note):
            finding = f"the same rater scored the same{' criterion' if row.criterion else ''} at {former.place}."
            problems.append(Problem(place=row.place, finding=finding, next_step="Delete one of the two rows."))
    return list(first.values()), problems


def _other_case(cell: Cell, first: ScoredRow) -> str:
    pairs = [(mine, other) for mine, other in zip(cell, first.cell, strict=True) if mine != other]
    mine, other = (name.removeprefix(HUMAN_PREFIX) for name in pairs[0])
    return f'"{mine}" differs only by case from "{other}" at {first.place}.'


def _rating_of(rows: Sequence[ScoredRow], rubric: Rubric) -> Rating | Problem:
    """Return the rating that the rows make; a problem if it has no overall score, or another one than its mean."""
    by_criterion = {row.criterion: row for row in rows}
    criteria = tuple(
        CriterionScore(name, by_criterion[name].score)
        if name in by_criterion
        else CriterionScore(name, None, NOT_RATED)
        for name in rubric.criteria
    )
    overall = by_criterion.get("")
    score = overall.score if overall else None
    if rubric.overall == "mean" and all(each.score is not None for each in criteria):
        mean = mean_of_criteria(criteria).score or 0.0
        if overall is not None and abs(overall.score - mean) > _ROUNDING:
            given, computed = points(overall.score), points(round(mean, 2))
            finding = f"the overall score is {given}, but the mean of the criteria is {computed}."
            return Problem(place=overall.place, finding=finding, next_step="Delete this row: the mean counts.")
        score = mean
    if score is None:
        return _no_overall(rows[0], rubric, [each.criterion for each in criteria if each.score is None])
    return Rating(
        place=rows[0].place,
        cell=rows[0].cell,
        verdict=Verdict(
            parser=ParserRef(HUMAN, HUMAN_VERSION + rubric.version_parts), score=score, reason="", criteria=criteria
        ),
        notes={row.criterion: row.note for row in rows if row.note},
    )


def _no_overall(row: ScoredRow, rubric: Rubric, missing: Sequence[str]) -> Problem:
    rater = row.cell.model_id.removeprefix(HUMAN_PREFIX)
    finding = f"{rater} gave {row.cell.essay_id} no overall score under {row.cell.template_id}."
    next_step = "Add a row without a criterion."
    if rubric.overall == "mean":
        next_step = f"Add the rows of {', '.join(missing)}, or a row without a criterion."
    return Problem(place=row.place, finding=finding, next_step=next_step)
