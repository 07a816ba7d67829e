"""Words of a judge beside its score that name another scale or another score, so that the score is in doubt."""

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
# In ASCII, because Unicode's other s and i would match without being found among the words.
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
# A remark that is nothing but a scale: "7 of 10", "of 10 points", "85%".
_SCALE_ALONE = re.compile(
    rf" ?(?:{_DIGITS} ?)?(?:of (?P<top>{_VALUE})|%|per ?cent)(?: points?)? ?",
    re.IGNORECASE,
)
_OF_NINE = re.compile(
    rf"(?<![\w.])(?P<number>{_DIGITS}) ?(?:/|(?:out )?of) ?9(?:\.0+)?(?![0-9]|\.[0-9])", re.IGNORECASE
)
# A number that counts things ("the 3 drafts") is followed by their name, a score by an end, a mark or such a word.
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
    """Return True when a remark names a range, or a highest score, that is not the scale from 0 to 9."""
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
    """Return True when a remark says nothing but that the scale is from 0 to 9."""
    words = set(re.findall(r"[^\W\d_]+", remark.lower()))
    names_one = bool(_BOUNDS.search(remark) or _TOP.search(remark))
    return names_one and words <= _SCALE_WORDS and not names_another_scale(remark)


def states_another_score(text: str, score: float) -> bool:
    """Return True when a remark, or a line behind the score line, states a number that may replace the score.

    A number alone does, one of nine does, and one in a sentence that speaks of scoring or correcting does. A count
    of things ("the 3 drafts") and the wanted scale do not.
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
