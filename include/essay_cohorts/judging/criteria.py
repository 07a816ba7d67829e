"""Reads the scores of a rubric's criteria from lines such as `NOVELTY: 7`, and their mean."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal

from essay_cohorts.domain import CriterionScore
from essay_cohorts.judging.other_scores import states_another_score
from essay_cohorts.judging.score_line import Reading, has_label, names_criterion, quote, read_criterion_line
from essay_cohorts.rubric import Rubric, criterion_key

_OVERALL = re.compile(r"\W*overall\b", re.IGNORECASE)


def unscored(rubric: Rubric, reason: str) -> Reading:
    """Return a reading in which, for one reason, neither the reply nor any criterion has a score."""
    return Reading(reason=reason, criteria=tuple(CriterionScore(name, None, reason) for name in rubric.criteria))


def read_criteria_lines(lines: Iterable[str], rubric: Rubric) -> tuple[CriterionScore, ...]:
    """Read each criterion from the last plain line that has its name and a colon; that line alone decides.

    A later line takes the score back if it states another one, and names the criterion or stands between its label
    and the next one.
    """
    found: dict[str, Reading] = {}
    current: tuple[str, ...] = ()
    for line in lines:
        labelled = read_labelled(line, rubric)
        if labelled is not None:
            current, found[labelled[0]] = labelled[:1], labelled[1]
            continue
        if has_label(line) or _OVERALL.match(line):
            current = ()
        for name in tuple(name for name in found if names_criterion(line, name)) or current:
            if _takes_back(line, found[name], rubric):
                found[name] = Reading(reason=f"a later line states another score: {quote(line)}")
    missing = Reading(reason="no line begins with its name and a colon")
    readings = ((name, found.get(name, missing)) for name in rubric.criteria)
    return tuple(CriterionScore(name, reading.score, reading.reason) for name, reading in readings)


def read_labelled(line: str, rubric: Rubric) -> tuple[str, Reading] | None:
    """Return the criterion whose label a plain line has, and what it states; None without such a label."""
    readings = ((name, read_criterion_line(line, name, rubric.scale)) for name in rubric.criteria)
    return next(((name, reading) for name, reading in readings if reading is not None), None)


def _takes_back(line: str, reading: Reading, rubric: Rubric) -> bool:
    return reading.score is not None and states_another_score(line, reading.score, rubric.scale)


def criterion_above(lines: Sequence[str], rubric: Rubric) -> str:
    """Return the criterion whose section the last of these plain lines is in; "" if there is none.

    Such a section begins with the criterion's name alone, or with its label and no score, and holds the first score
    line after that. Only replies with several score lines have sections.
    """
    *before, _ = lines
    if not any(map(has_label, before)):
        return ""
    for line in reversed(before):
        if has_label(line):
            return ""
        labelled = read_labelled(line, rubric)
        if labelled is not None:
            return labelled[0] if labelled[1].score is None else ""
        heading = next((name for name in rubric.criteria if _bare_key(line) == criterion_key(name)), "")
        if heading:
            return heading
    return ""


def _bare_key(line: str) -> str:
    return criterion_key(re.sub(r"^[\W\d]+|\W+$", "", line))


def mean_of_criteria(criteria: Sequence[CriterionScore]) -> Reading:
    """Return the mean of the criteria as the score; no score if one of them has none."""
    for name, score, reason in criteria:
        if score is None:
            return Reading(reason=f'the criterion "{name}" has no score: {reason}', criteria=tuple(criteria))
    total = sum(Decimal(repr(score)) for _, score, _ in criteria)
    return Reading(score=float(total / len(criteria)), criteria=tuple(criteria))
