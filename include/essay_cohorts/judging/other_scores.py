"""Finds words next to a score that name another scale or another score, so that the score is in doubt."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal

from essay_cohorts.rubric import DEFAULT_SCALE, Scale

_TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "hundred": 100}
_WORDS = {
    word: Decimal(value)
    for value, word in enumerate(
        [
            *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
            *("eleven", "twelve", "thirteen", "fourteen", "fifteen"),
        ]
    )
} | {word: Decimal(value) for word, value in _TENS.items()}
_DIGITS = r"[0-9]+(?:\.[0-9]+)?"
# ASCII only, because other letters that Unicode folds to s or i would match but are not keys of _WORDS.
_WORD = rf"(?a:(?:{'|'.join(_WORDS)})\b)"
_VALUE = rf"{_DIGITS}|{_WORD}"

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
_OF_A_TOP = re.compile(
    rf"(?<![\w.])(?P<number>{_DIGITS}) ?(?:/|(?:out )?of) ?(?P<top>{_DIGITS})(?![0-9]|\.[0-9])", re.IGNORECASE
)
# A number that counts things ("the 3 drafts") is followed by their name. A number that may be a score is followed by
# the end of the text, a punctuation mark or one of these words.
_SCORE_LIKE = re.compile(
    rf"(?<![\w.-])(?P<number>-?{_DIGITS}|(?!one\b){_WORD})(?= ?(?:\Z|[^\w\s-])| (?:points?|pts?|"
    r"instead|rather|because|since|as|given|for|now|then|is|would|seems?|feels?|fits|or|to|not|on|after|but|overall)\b)",
    re.IGNORECASE,
)
# A number that no name of things follows: what follows is the end, a mark, or a letter of another script.
_ALONE = re.compile(
    rf"(?<![\w.-])(?P<number>{_DIGITS}|(?!one\b){_WORD})"
    r"(?= ?(?:\Z|[^\w\s.%-]|\.(?![0-9])|[^\x00-\x7f])| (?:is|points?|pts?)\b)",
    re.IGNORECASE,
)
_NAMED_TOP = re.compile(rf"\b(?:max(?:imum)?\b\.?:?|(?:out )?of) ?(?P<top>{_DIGITS})(?![0-9]|\.[0-9])", re.IGNORECASE)
# A year is not a score.
_YEARS = (Decimal(1500), Decimal(2100))
_YEAR = re.compile(r"(?<![\w.-])(?:1[5-9]|20)[0-9]{2}(?![\w-]|\.[0-9])")
# `Korrektur: 3`, `eher 3`: few words and then a number, in any language.
_STATED = re.compile(rf"[^0-9:：=]{{1,40}}[:：=] ?(?P<number>-?{_DIGITS}|{_WORD})\W*", re.IGNORECASE)
_SHORT = re.compile(
    rf"(?:(?:[^\W\d]+[^\w]{{1,3}}){{2,3}}|(?-i:[a-zà-ÿ])[^\W\d]*[^\w]{{1,3}})(?P<number>{_DIGITS})\W*", re.IGNORECASE
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
    r"better|fair\w*|closer|almost|nearly|eigentlich|eher|korrektur|korrigiert|gesamt\w*|plut[oô]t|finalement|note|mejor|"
    r"correcci[oó]n|puntuaci[oó]n)\b",
    re.IGNORECASE,
)


def names_another_scale(remark: str, scale: Scale = DEFAULT_SCALE) -> bool:
    """Return True if a remark names a range or a highest score other than those of the scale."""
    highest = scale.bounds[1]
    ranges = _ranges(remark)
    alone = _SCALE_ALONE.fullmatch(remark)
    tops = [_value(found["top"]) for found in _TOP.finditer(remark)]
    return (
        any(found != scale.bounds for found in ranges)
        or any(top != highest for top in tops)
        or (not ranges and _SCALE.search(remark) is not None)
        or _goes_beyond(remark, scale)
        or (alone is not None and (alone["top"] is None or _value(alone["top"]) != highest))
    )


def is_wanted_scale(remark: str, scale: Scale = DEFAULT_SCALE) -> bool:
    """Return True if a remark says only what the scale is."""
    words = set(re.findall(r"[^\W\d_]+", remark.lower()))
    names_one = bool(_BOUNDS.search(remark) or _TOP.search(remark))
    return names_one and words <= _SCALE_WORDS and not names_another_scale(remark, scale)


def states_another_score(text: str, score: float, scale: Scale = DEFAULT_SCALE) -> bool:
    """Return True if a remark, or a line after the score line, states a number that may replace the score.

    Such a number is alone, or is out of the highest score, or is in a sentence about scoring or correcting. A count
    of things ("the 3 drafts") and the wanted scale are not other scores.
    """
    if _CONFIDENCE.fullmatch(text):
        return False
    if any(not _is(found["number"], score) for found in _OF_A_TOP.finditer(text) if _names_top(found, scale)):
        return True
    rest = _BOUNDS.sub(lambda found: "" if _bounds(found) == scale.bounds else found[0], text)
    for named in (_OF_A_TOP, _NAMED_TOP):
        rest = named.sub(lambda found: "" if _names_top(found, scale) else found[0], rest)
    if re.search(r"[0-9] ?/ ?[0-9]", rest):
        return True
    if scale.high < _YEARS[0]:
        rest = _YEAR.sub("", rest)
    if _goes_beyond(rest, scale) or any(unicodedata.category(character) == "No" for character in rest):
        return True
    for form in (_ONLY_A_NUMBER, _STATED, _SHORT):
        alone = form.fullmatch(rest)
        if alone is not None:
            return not _is(alone["number"], score)
    others = any(not _is(found["number"], score) for found in _SCORE_LIKE.finditer(rest))
    return others and _CUE.search(rest) is not None


def _goes_beyond(text: str, scale: Scale) -> bool:
    """Return True if a number above the scale stands alone, so that it may be the end of another scale."""
    highest = scale.bounds[1]
    numbers = (_value(found["number"]) for found in _ALONE.finditer(text))
    return any(number > highest and not (highest < _YEARS[0] <= number <= _YEARS[1]) for number in numbers)


def _names_top(found: re.Match[str], scale: Scale) -> bool:
    return Decimal(found["top"]) == scale.bounds[1]


def word_for(number: str) -> str:
    """Return the English word for a number if this module knows one; otherwise the number itself."""
    return next((word for word, value in _WORDS.items() if value == Decimal(number)), number)


def _ranges(text: str) -> list[tuple[Decimal, Decimal]]:
    return [_bounds(found) for found in _BOUNDS.finditer(text)]


def _bounds(found: re.Match[str]) -> tuple[Decimal, Decimal]:
    return Decimal(found["low"] or found["least"]), Decimal(found["high"] or found["most"])


def _value(text: str) -> Decimal:
    word = _WORDS.get(text.lower())
    return Decimal(text) if word is None else word


def _is(number: str, score: float) -> bool:
    return float(_value(number)) == score
