"""Finds words next to a score that name another scale or another score, so that the score is in doubt."""

from __future__ import annotations

import re
from decimal import Decimal

_WORDS = {
    word: Decimal(value)
    for value, word in enumerate(
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    )
} | {"twenty": Decimal(20), "hundred": Decimal(100)}
_DIGITS = r"[0-9]+(?:\.[0-9]+)?"
# ASCII only, because other letters that Unicode folds to s or i would match but are not keys of _WORDS.
_WORD = rf"(?a:(?:{'|'.join(_WORDS)})\b)"
_VALUE = rf"{_DIGITS}|{_WORD}"
_WANTED_RANGE, _WANTED_TOP = (Decimal(0), Decimal(9)), Decimal(9)

_BOUNDS = re.compile(
    rf"(?<![\w.])(?:(?P<low>{_DIGITS}) ?(?:[-‐-―−~]|\.{{2,3}}|to\b|through\b) ?(?P<high>{_DIGITS})"
    rf"|(?<=between )(?P<least>{_DIGITS}) and (?P<most>{_DIGITS}))(?!\w|\.[0-9])",
    re.IGNORECASE,
)
_SCALE = re.compile(r"\bscale\b", re.IGNORECASE)
_SCALE_WORDS = frozenset({"scale", "on", "a", "the", "of", "from", "to", "out", "points"})
_TOP = re.compile(rf"(?:\bout of|\bmax(?:imum)?\b\.?:?|(?<=[0-9]) ?/) ?(?P<top>{_VALUE})", re.IGNORECASE)
# A remark that holds only a scale: "7 of 10", "of 10 points", "85%".
_SCALE_ALONE = re.compile(
    rf" ?(?:{_DIGITS} ?)?(?:of (?P<top>{_VALUE})|%|per ?cent)(?: points?)? ?",
    re.IGNORECASE,
)
_OF_NINE = re.compile(
    rf"(?<![\w.])(?P<number>{_DIGITS}) ?(?:/|(?:out )?of) ?9(?:\.0+)?(?![0-9]|\.[0-9])", re.IGNORECASE
)
# A number that counts things ("the 3 drafts") is followed by their name. A number that may be a score is followed by
# the end of the text, a punctuation mark or one of these words.
_SCORE_LIKE = re.compile(
    rf"(?<![\w.-])(?P<number>-?{_DIGITS}|(?!one\b){_WORD})(?= ?(?:\Z|[^\w\s-])| (?:points?|pts?|"
    r"instead|rather|because|since|as|given|for|now|then|is|would|seems?|feels?|fits|or|to|not|on|after|but|overall)\b)",
    re.IGNORECASE,
)
# How sure a judge is of its score is not a score.
_CONFIDENCE = re.compile(
    rf"(?:my )?confidence(?: level| score| in (?:the|this|my) score)?(?: \([^()]*\))? ?[:=-] ?{_DIGITS}"
    rf"(?: ?%| ?(?:/|out of) ?{_DIGITS})? ?\.?",
    re.IGNORECASE,
)
_ONLY_A_NUMBER = re.compile(rf"\W*?(?P<number>-?{_DIGITS}|{_WORD})\W*", re.IGNORECASE)
_CUE = re.compile(
    r"→|[-=]>|\b(?:scor(?:e|es|ed|ing)|rat(?:e|es|ed|ing)|grad(?:e|es|ed|ing)|points?|revis\w*|correct\w*|actually|"
    r"reconsider\w*|instead|rather|should|chang\w*|adjust\w*|updat\w*|amend\w*|final|overall|verdict|answer|"
    r"reflection|thoughts?|think|say|mak(?:e|es|ing)|giv(?:e|es|ing)|award\w*|assign\w*|deserv\w*|merits?|worth|settl\w*|"
    r"downgrad\w*|upgrad\w*|lower\w*|rais\w*|sorry|wait|no|hmm|mistake|typo|mean|meant|edit|new|or|maybe|perhaps|"
    r"better|fair\w*|closer|almost|nearly)\b",
    re.IGNORECASE,
)


def names_another_scale(remark: str) -> bool:
    """Return True if a remark names a range or a highest score other than those of the scale from 0 to 9."""
    ranges = _ranges(remark)
    alone = _SCALE_ALONE.fullmatch(remark)
    tops = [_value(found["top"]) for found in _TOP.finditer(remark)]
    return (
        any(found != _WANTED_RANGE for found in ranges)
        or any(top != _WANTED_TOP for top in tops)
        or (not ranges and _SCALE.search(remark) is not None)
        or (alone is not None and (alone["top"] is None or _value(alone["top"]) != _WANTED_TOP))
    )


def is_wanted_scale(remark: str) -> bool:
    """Return True if a remark says only that the scale is from 0 to 9."""
    words = set(re.findall(r"[^\W\d_]+", remark.lower()))
    names_one = bool(_BOUNDS.search(remark) or _TOP.search(remark))
    return names_one and words <= _SCALE_WORDS and not names_another_scale(remark)


def states_another_score(text: str, score: float) -> bool:
    """Return True if a remark, or a line after the score line, states a number that may replace the score.

    Such a number is alone, or is out of nine, or is in a sentence about scoring or correcting. A count of things
    ("the 3 drafts") and the wanted scale are not other scores.
    """
    if _CONFIDENCE.fullmatch(text):
        return False
    if any(not _is(found["number"], score) for found in _OF_NINE.finditer(text)):
        return True
    rest = _BOUNDS.sub(lambda found: "" if _bounds(found) == _WANTED_RANGE else found[0], text)
    rest = _OF_NINE.sub("", rest)
    if re.search(r"[0-9] ?/ ?[0-9]", rest):
        return True
    alone = _ONLY_A_NUMBER.fullmatch(rest)
    if alone is not None:
        return not _is(alone["number"], score)
    others = any(not _is(found["number"], score) for found in _SCORE_LIKE.finditer(rest))
    return others and _CUE.search(rest) is not None


def _ranges(text: str) -> list[tuple[Decimal, Decimal]]:
    return [_bounds(found) for found in _BOUNDS.finditer(text)]


def _bounds(found: re.Match[str]) -> tuple[Decimal, Decimal]:
    return Decimal(found["low"] or found["least"]), Decimal(found["high"] or found["most"])


def _value(text: str) -> Decimal:
    word = _WORDS.get(text.lower())
    return Decimal(text) if word is None else word


def _is(number: str, score: float) -> bool:
    return float(_value(number)) == score
