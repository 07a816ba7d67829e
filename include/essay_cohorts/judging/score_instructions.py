"""What a template asks its judge to write, as far as a text tells: a score line, and the scale of the score."""

from __future__ import annotations

import re
from collections.abc import Iterator

from essay_cohorts.domain import HIGHEST_SCORE, LOWEST_SCORE

_SCORE = re.compile(r"\bscore\b", re.IGNORECASE)
# Only a line that speaks of scoring names a scale: "write 3 to 5 sentences" does not.
_OF_SCORING = re.compile(r"\b(?:scor|scale|rat(?:e|ing)|grad(?:e|ing)|mark|points?)", re.IGNORECASE)
_RANGE = re.compile(
    r"\b(?:from|between)\s+(?P<low>[0-9]+)\s+(?:to|and)\s+(?P<high>[0-9]+)\b"
    r"|\b(?P<low2>[0-9]+)\s*[-\u2013]\s*(?P<high2>[0-9]+)\s+(?:point\s+)?scale\b",
    re.IGNORECASE,
)
_OUT_OF = re.compile(r"\bout\s+of\s+(?P<top>[0-9]+)\b|/\s*(?P<top2>5|10|20|100)\b", re.IGNORECASE)


def doubts_about(text: str) -> Iterator[str]:
    """Sentences on what a template's text lacks, or says that its parser does not read; none when all is well."""
    if not _SCORE.search(text):
        yield "it shows no line SCORE: <number>, which its parser reads: its replies may all be unscored."
    for line in text.splitlines():
        scale = _other_scale(line) if _OF_SCORING.search(line) else ""
        if scale:
            yield f'it speaks of a score "{scale}", but scores are from {LOWEST_SCORE} to {HIGHEST_SCORE}.'
            return


def _other_scale(line: str) -> str:
    """Return the words that name another scale than the one that scores have; "" when there are none."""
    for found in _RANGE.finditer(line):
        limits = int(found["low"] or found["low2"]), int(found["high"] or found["high2"])
        if limits != (LOWEST_SCORE, HIGHEST_SCORE):
            return found[0]
    for found in _OUT_OF.finditer(line):
        if int(found["top"] or found["top2"]) != HIGHEST_SCORE:
            return found[0]
    return ""
