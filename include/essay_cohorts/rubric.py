"""Rubrics: the scale of a template's scores, and the criteria that its judge scores one by one.

A parser's version names the rubric that a reply was read by, for example `2+scale=1..5`. A stored verdict therefore
tells the scale of its score, whatever its template says today.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

# The bounds of a scale, in points.
LOWEST_BOUND, HIGHEST_BOUND = 0, 1000
# A scale of whole numbers with so few steps is shown point by point.
FEWEST_STEPS, MOST_STEPS = 3, 10
# Names of criteria that would be read as the overall score.
OVERALL_NAMES = frozenset({"score", "overall", "final", "total", "overallscore", "finalscore", "totalscore"})
MAX_CRITERIA = 20

# A letter of any language first; a hyphen between blanks would be read as the end of the name.
_CRITERION = re.compile(r"[^\W\d_](?:[ _-]?\w)*")
_LONGEST_NAME = 40
_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_SCALE_PART = re.compile(rf"scale=({_NUMBER})\.\.({_NUMBER})")
_CRITERIA_PART, _MEAN_PART = "criteria=", "overall=mean"


@dataclass(frozen=True, order=True, slots=True)
class Scale:
    """The lowest and the highest score, both included."""

    low: float = 0
    high: float = 9

    def __contains__(self, score: float) -> bool:
        return self.low <= score <= self.high

    def __str__(self) -> str:
        return f"{points(self.low)} to {points(self.high)}"

    @property
    def span(self) -> float:
        """The distance from the lowest to the highest score."""
        return self.high - self.low

    @property
    def whole_points(self) -> tuple[int, ...]:
        """The whole numbers from the lowest to the highest score; empty unless there are few and both are whole."""
        low, high = self.bounds
        few = low % 1 == 0 and high % 1 == 0 and FEWEST_STEPS <= high - low <= MOST_STEPS
        return tuple(range(int(low), int(high) + 1)) if few else ()

    @property
    def bounds(self) -> tuple[Decimal, Decimal]:
        """The lowest and the highest score as exact numbers."""
        return Decimal(points(self.low)), Decimal(points(self.high))


DEFAULT_SCALE = Scale()


def most_used_scales(scales: Mapping[tuple[str, Scale], int]) -> dict[str, Scale]:
    """Return the scale of each template, from the number of scores by template and scale.

    The scale with the most scores counts; of two with as many, the one that ends higher.
    """
    ranked = sorted((count, scale.high, scale, template) for (template, scale), count in scales.items())
    return {template: scale for _, _, scale, template in ranked}


@dataclass(frozen=True, kw_only=True, slots=True)
class Rubric:
    """A scale, the criteria in order, and where the overall score comes from: the reply, or the criteria's mean."""

    scale: Scale = DEFAULT_SCALE
    criteria: tuple[str, ...] = ()
    overall: Literal["reply", "mean"] = "reply"

    @property
    def measure(self) -> Rubric:
        """The part of the rubric that decides what an overall score means; two measures are never pooled."""
        return self if self.overall == "mean" else Rubric(scale=self.scale)

    def __str__(self) -> str:
        return f"{self.scale}, the mean of {', '.join(self.criteria)}" if self.overall == "mean" else str(self.scale)

    @property
    def version_parts(self) -> str:
        """The rubric as the end of a parser's version; "" for a score from 0 to 9 without criteria."""
        scale = "" if self.scale == DEFAULT_SCALE else f"+scale={points(self.scale.low)}..{points(self.scale.high)}"
        criteria = f"+{_CRITERIA_PART}{';'.join(self.criteria)}" if self.criteria else ""
        return f"{scale}{criteria}" + (f"+{_MEAN_PART}" if self.overall == "mean" else "")


DEFAULT_RUBRIC = Rubric()


def rubric_of(parser_version: str) -> Rubric:
    """Return the rubric that a parser's version names; one criterion-free score from 0 to 9 if it names none."""
    parts = parser_version.split("+")[1:]
    if not parts:
        return DEFAULT_RUBRIC
    scale = next((found for found in map(_SCALE_PART.fullmatch, parts) if found), None)
    criteria = next((part for part in parts if part.startswith(_CRITERIA_PART)), _CRITERIA_PART)
    return Rubric(
        scale=Scale(float(scale[1]), float(scale[2])) if scale else DEFAULT_SCALE,
        criteria=read_criteria(criteria.removeprefix(_CRITERIA_PART)),
        overall="mean" if _MEAN_PART in parts else "reply",
    )


def scale_in(low: str, high: str) -> Scale:
    """Return the scale that two cells name; the default one if they are empty or not numbers, as in older files."""
    try:
        return Scale(float(low), float(high)) if low and high else DEFAULT_SCALE
    except ValueError:
        return DEFAULT_SCALE


def score_of(text: str, scale: Scale) -> float | None:
    """Return the score in a CSV cell; None if it is not a number on the scale."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if value in scale else None


def points(score: float) -> str:
    """Return a score or a bound as short text: 5 for 5.0."""
    # Adding 0 makes 0 of -0.
    return f"{Decimal(repr(float(score) + 0.0)).normalize():f}"


def criterion_key(name: str) -> str:
    """Return a criterion's name as it is compared: without case, blanks, hyphens, underscores and asterisks."""
    return re.sub(r"[\s_*-]", "", name).casefold()


def read_criteria(cell: str) -> tuple[str, ...]:
    """Return the names in a cell such as `novelty;clarity`."""
    return tuple(filter(None, (name.strip() for name in cell.split(";"))))


def criteria_findings(names: Sequence[str]) -> Iterator[str]:
    """Yield what is wrong with the names of criteria, one sentence each."""
    seen: set[str] = set()
    for name in names:
        key = criterion_key(name)
        if not _CRITERION.fullmatch(name) or len(name) > _LONGEST_NAME:
            yield (
                f"{name!r} is not a name of a criterion: a letter first, then letters, digits, and single blanks, "
                f"hyphens or underscores, at most {_LONGEST_NAME} characters."
            )
        elif key in OVERALL_NAMES:
            yield f'"{name}" is the overall score, which every template has, not a criterion.'
        elif key in seen:
            yield f'"{name}" is named twice.'
        elif {key.removesuffix("score"), f"{key}score"} & seen:
            yield f'"{name}" and another name differ only by the word "score".'
        seen.add(key)
    if len(names) > MAX_CRITERIA:
        yield f"it names {len(names)} criteria, more than {MAX_CRITERIA}."
