"""Reads the scores of a rubric's criteria from lines such as `NOVELTY: 7`, and their mean."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from essay_cohorts.domain import CriterionScore
from essay_cohorts.judging.other_scores import states_another_score
from essay_cohorts.judging.score_line import Reading, has_label, quote, read_criterion_line
from essay_cohorts.rubric import Rubric


def without_criteria(rubric: Rubric, reason: str) -> Reading:
    """Return the reading of a reply that has no score for one reason, nor one of a criterion."""
    return Reading(reason=reason, criteria=tuple(CriterionScore(name, None, reason) for name in rubric.criteria))


def read_criteria_lines(lines: Iterable[str], rubric: Rubric) -> tuple[CriterionScore, ...]:
    """Read each criterion from the last plain line that has its name and a colon; that line alone decides.

    The lines below it, up to the next label, must not state another score.
    """
    found: dict[str, Reading] = {}
    current = ""
    for line in lines:
        labelled = _labelled(line, rubric)
        if labelled is not None:
            current, found[labelled[0]] = labelled[0], labelled[1]
        elif has_label(line):
            current = ""
        elif current and _takes_back(line, found[current], rubric):
            found[current] = Reading(reason=f"a later line states another score: {quote(line)}")
    missing = Reading(reason="no line begins with its name and a colon")
    readings = ((name, found.get(name, missing)) for name in rubric.criteria)
    return tuple(CriterionScore(name, reading.score, reading.reason) for name, reading in readings)


def _labelled(line: str, rubric: Rubric) -> tuple[str, Reading] | None:
    readings = ((name, read_criterion_line(line, name, rubric.scale)) for name in rubric.criteria)
    return next(((name, reading) for name, reading in readings if reading is not None), None)


def _takes_back(line: str, reading: Reading, rubric: Rubric) -> bool:
    return reading.score is not None and states_another_score(line, reading.score, rubric.scale)


def scores_a_criterion(line: str, rubric: Rubric) -> bool:
    """Return True if a plain line has the label of a criterion, so that it says nothing about the overall score."""
    return _labelled(line, rubric) is not None


def mean_of_criteria(criteria: Sequence[CriterionScore]) -> Reading:
    """Return the mean of the criteria as the score; no score if one of them has none."""
    for name, score, reason in criteria:
        if score is None:
            return Reading(reason=f'the criterion "{name}" has no score: {reason}', criteria=tuple(criteria))
    total = sum(Decimal(repr(score)) for _, score, _ in criteria)
    return Reading(score=float(total / len(criteria)), criteria=tuple(criteria))
