"""Checks by its words whether a template asks its judge for a score line, and for a score on the right scale."""

from __future__ import annotations

import re
from collections.abc import Iterator

from essay_cohorts.rubric import DEFAULT_RUBRIC, Rubric, Scale, criterion_key

_JSON_FIELD = re.compile(r"""["']score["']""", re.IGNORECASE)
_SCORE = re.compile(r"\bscore\b", re.IGNORECASE)
# Only a line about scoring can name a scale. "Write 3 to 5 sentences" is not about scoring.
_OF_SCORING = re.compile(r"\b(?:scor|scale|rat(?:e|ing)|grad(?:e|ing)|mark|points?|judg|number)", re.IGNORECASE)
_N = r"[0-9]+(?:\.[0-9]+)?"
_RANGE = re.compile(
    rf"\b(?:from|between)\s+(?P<low>{_N})(?: \([^()]*\))?\s+(?:to|and)\s+(?P<high>{_N})\b(?!\.[0-9])"
    rf"|[:=]\s*(?P<low5>{_N})(?: \([^()]*\))? to (?P<high5>{_N})\b(?!\.[0-9])"
    rf"|\b(?P<low2>{_N})\s*[-\u2013]\s*(?P<high2>{_N})\s+(?:point\s+)?scale\b"
    rf"|[(<\[]\s*(?P<low3>{_N})\s*[-\u2013]\s*(?P<high3>{_N})\s*[)>\]]"
    rf"|\bscale\s+(?:of|from)\s+(?P<low4>{_N})\s*[-\u2013]\s*(?P<high4>{_N})\b",
    re.IGNORECASE,
)
_OUT_OF = re.compile(r"\bout\s+of\s+(?P<top>[0-9]+)\b|/\s*(?P<top2>5|10|20|100)\b", re.IGNORECASE)


def doubts_about(text: str, parser: str = "", rubric: Rubric = DEFAULT_RUBRIC) -> Iterator[str]:
    """Yield a sentence for each instruction that a rendered prompt lacks, or that its parser does not follow."""
    if rubric.overall == "reply":
        if parser == "json":
            if not _JSON_FIELD.search(text):
                yield 'it shows no JSON field "score", which its parser reads: its replies may all be unscored.'
        elif not _SCORE.search(text):
            yield "it shows no line SCORE: <number>, which its parser reads: its replies may all be unscored."
    words = criterion_key(text)
    unnamed = [name for name in rubric.criteria if criterion_key(name) not in words]
    if unnamed:
        yield f"it does not name {', '.join(unnamed)}, which its column criteria has: they may all be unscored."
    for line in text.splitlines():
        other = _other_scale(line, rubric.scale) if _OF_SCORING.search(line) else ""
        if other:
            yield f'it speaks of a score "{other}", but its scores are from {rubric.scale}.'
            return


def _other_scale(line: str, scale: Scale) -> str:
    """Return the words that name a scale other than that of the scores; "" if there are none."""
    for found in _RANGE.finditer(line):
        limits = tuple(float(end) for end in found.groups() if end)
        if limits != (scale.low, scale.high):
            return found[0]
    for found in _OUT_OF.finditer(line):
        if float(found["top"] or found["top2"]) != scale.high:
            return found[0]
    return ""
