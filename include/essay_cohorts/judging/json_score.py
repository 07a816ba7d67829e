"""Reads a score from the last JSON object of a reply: the parser `json`.

The form may be loose: a code fence, text around the object, a comma too many, `Score` for `score`, `"7/9"` for 7. In
doubt the reply has no score: a second score in the object or after it, another scale, an object that is cut off.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from essay_cohorts.domain import CriterionScore
from essay_cohorts.judging.criteria import mean_of_criteria, read_labelled, unscored
from essay_cohorts.judging.other_scores import is_wanted_scale, states_another_score, word_for
from essay_cohorts.judging.reasoning_blocks import NO_ANSWER, find_answer
from essay_cohorts.judging.score_line import (
    LINE_END,
    Reading,
    on_scale,
    plain_line,
    quote,
    read_score_line,
    without_top,
)
from essay_cohorts.rubric import DEFAULT_RUBRIC, Rubric, Scale, criterion_key, points

# Objects are searched in so many characters at the end of a reply, at so many braces: a verdict is short, and each
# brace may cost a pass over the rest.
_SEARCHED, _MAX_BRACES = 20_000, 200
_SCORE_KEY = "score"
# Keys that name the scale of the score beside them, and keys that may state another score; without case and marks.
_SCALE_KEYS = frozenset(
    {
        *("scale", "range", "scorerange", "scorescale", "scalemax", "outof", "of", "max", "maximum", "maxscore"),
        *("maximumscore", "scoremax", "maxpoints", "maximumpoints", "totalpoints", "denominator", "highest"),
        "highestscore",
    }
)
_OTHER_SCORE = re.compile(
    r"(?:my|the)?(?:final|overall|total|revised|adjusted|corrected|updated|new|actual|true)?(?:score|rating|grade|mark)"
    r"(?:after\w*|revised|final|adjusted)?|overall|final|total"
)
# Other names of the end of a scale count if their value is a number, or holds one.
_ENDS_OF_SCALE = re.compile(r"\w*(?:possible|scale|outof|maximum)\w*|(?:max|top|best|highest)\w*|unit")
_LOW_ENDS = re.compile(r"(?:min|minimum|lowest|worst)\w*|\w*(?:scale|score)min")
# What follows the object must not speak of numbers or take the score back; a confidence may follow.
_NUMBER_WORD = re.compile(
    r"\b(?:zero|one(?! \w)|two|three|four|five|six|seven|eight|nine|ten|hundred)\b", re.IGNORECASE
)
_TAKEN_BACK = re.compile(
    r"\b(?:disregard|ignore|instead|rather|correct(?:ed|ion|ing)?|wait|sorry|mistake|scrap|actually|reflection|lower|"
    r"higher|reconsider\w*|revis\w*)\b",
    re.IGNORECASE,
)
_CONFIDENCE = re.compile(r"(?:my )?confidence(?: level)? ?[:=-] ?[0-9.]+ ?%?\.?", re.IGNORECASE)
_CRITERIA_KEYS = frozenset({"criteria", "scores", "subscores", "ratings", "criteriascores", "criterionscores"})
_NAME_KEYS = frozenset({"criterion", "name", "dimension", "category", "aspect"})
# A backslash that JSON does not know, as in LaTeX.
_BACKSLASH = re.compile(r'\\(?!["\\/bfnrtu])')
_BROKEN_OBJECT = re.compile(r'\{\s*"')
_TRAILING_COMMA = re.compile(r",(?=\s*[}\]])")
_BRACE, _KEY_IN_TEXT = re.compile(r"\{"), re.compile(r'"\s*score\s*"\s*:', re.IGNORECASE)
_FENCE = re.compile(r"\s*`{3,}\s*")

Pairs = list[tuple[str, Any]]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Found:
    """The last object of a reply: its pairs with repeated keys, its first index, and the text after it.

    `is_listed` is true when the object before is on the same line or in the same list. `is_inner` is true when an
    object that is not complete begins before this one.
    """

    pairs: Pairs
    start: int
    rest: str
    is_listed: bool
    is_inner: bool


def read_json(text: str, rubric: Rubric = DEFAULT_RUBRIC) -> Reading:
    """Read a reply as parser `json`: the field `score` of the last JSON object, and a field for each criterion."""
    answer = find_answer(text)
    if answer.reason:
        return unscored(rubric, answer.reason)
    if not text[answer.start :].strip():
        return unscored(rubric, NO_ANSWER if answer.start else "the reply is empty")
    found = _last_object(text, answer.start)
    if found is None:
        return unscored(rubric, "the reply holds no complete JSON object")
    criteria = tuple(_criterion_in(found.pairs, name, rubric.scale) for name in rubric.criteria)
    reading = mean_of_criteria(criteria) if rubric.overall == "mean" else _score_in(found.pairs, rubric)
    reading = Reading(score=reading.score, reason=reading.reason, criteria=criteria)
    doubt = _other_scale_in(found.pairs, rubric) or _doubt_about(found, reading, rubric)
    # Without a score and without criteria there is nothing to doubt, and the first reason says more.
    return unscored(rubric, doubt) if doubt and (reading.score is not None or criteria) else reading


def _doubt_about(found: _Found, reading: Reading, rubric: Rubric) -> str:
    """Return why the object may not be the judgement, or may be taken back; "" if nothing speaks against it."""
    about = [value for key, value in found.pairs if criterion_key(key) in _NAME_KEYS and isinstance(value, str)]
    if {*map(criterion_key, about)} & {*map(criterion_key, rubric.criteria)}:
        return f"the last JSON object is about one criterion: {quote(about[0])}"
    if found.is_inner or "{" in found.rest or "}" in found.rest:
        # A brace around or after the object: it is part of a larger one, or a second one was cut off.
        return "the last complete JSON object is inside another one, or another one begins after it"
    if found.is_listed:
        return "the reply lists several JSON objects"
    for line in filter(None, map(plain_line, _FENCE.sub("\n", found.rest).splitlines())):
        if _doubts(line, reading, rubric):
            return f"a later line states another score or scale: {quote(line)}"
    return ""


def _doubts(line: str, reading: Reading, rubric: Rubric) -> bool:
    later, score, scale = read_score_line(line, rubric.scale), reading.score, rubric.scale
    if later is not None:
        return rubric.overall == "reply" and later.score != score
    labelled = read_labelled(line, rubric)
    if labelled is not None:
        return all((each.criterion, each.score) != (labelled[0], labelled[1].score) for each in reading.criteria)
    if _CONFIDENCE.fullmatch(line):
        return False
    numbers = any(character.isnumeric() for character in line) or _NUMBER_WORD.search(line) is not None
    return numbers or _TAKEN_BACK.search(line) is not None or states_another_score(line, score or 0, scale)


def json_score_line(text: str, rubric: Rubric = DEFAULT_RUBRIC) -> int | None:  # noqa: ARG001  (as every parser's)
    """Return the index, from 0, of the line with the score that decides for `json`; None without such an object."""
    answer = find_answer(text)
    found = None if answer.reason else _last_object(text, answer.start)
    if found is None:
        return None
    keys = list(_KEY_IN_TEXT.finditer(text, found.start, len(text) - len(found.rest)))
    return len(LINE_END.findall(text, 0, keys[-1].start() if keys else found.start))


def _last_object(text: str, start: int) -> _Found | None:
    """Return the last outermost object that is complete; a comma before a closing bracket is read over."""
    found = _last_of(text, start)
    if found is None or "{" in found.rest:
        # Blanks in place of the commas and backslashes keep every index.
        found = _last_of(_BACKSLASH.sub(" ", _TRAILING_COMMA.sub(" ", text)), start) or found
    return found


def _last_of(text: str, start: int) -> _Found | None:
    found, end, is_inner = None, max(start, len(text) - _SEARCHED), False
    for brace in list(_BRACE.finditer(text, end))[-_MAX_BRACES:]:
        if brace.start() < end:
            continue  # inside the object before
        between = text[end : brace.start()]
        try:
            pairs, end = _DECODER.raw_decode(text, brace.start())
        except (ValueError, RecursionError):
            # Braces in prose do not matter, but an object that begins and is not complete may hold the next ones.
            is_inner = is_inner or _BROKEN_OBJECT.match(text, brace.start()) is not None
            continue
        is_listed = found is not None and (between.strip() == "," or "\n" not in between)
        found = _Found(pairs=pairs, start=brace.start(), rest=text[end:], is_listed=is_listed, is_inner=is_inner)
    return found


def _as_text(number: str) -> str:
    # A float would round 9.0000000000000001 onto the scale.
    return number


_DECODER = json.JSONDecoder(
    object_pairs_hook=list, parse_float=_as_text, parse_int=_as_text, parse_constant=_as_text, strict=False
)


def _score_in(pairs: Pairs, rubric: Rubric) -> Reading:
    """Return the score among the pairs of an object, or the reason why there is none."""
    stated = [value for key, value in pairs if key.strip().lower() == _SCORE_KEY]
    if not stated:
        return Reading(reason=f'the last JSON object has no field "{_SCORE_KEY}"')
    named = {criterion_key(name) for name in rubric.criteria}
    plain = {
        key.strip(): re.sub(r"[^a-z]", "", key.lower())
        for key, _ in pairs
        if criterion_key(key) not in {*named, _SCORE_KEY}
    }
    others = [value for key, value in pairs if _OTHER_SCORE.fullmatch(plain.get(key.strip(), ""))]
    if _differ([*stated, *others], rubric.scale):
        shown = quote(", ".join(map(str, [*stated, *others])))
        return Reading(reason=f"the JSON object states several scores: {shown}")
    return _field_score(_SCORE_KEY, stated[0], rubric.scale)


def _other_scale_in(pairs: Pairs, rubric: Rubric) -> str:
    """Return the reason if a field beside the scores names another scale; "" if none does."""
    named = {criterion_key(name) for name in rubric.criteria}
    inner = [
        pair for key, value in pairs if criterion_key(key) in _CRITERIA_KEYS and _is_object(value) for pair in value
    ]
    for key, value in [*pairs, *inner]:
        plain = re.sub(r"[^a-z]", "", key.lower())
        if criterion_key(key) not in named and not _agrees(plain, value, rubric.scale):
            return f"the JSON object uses another scale: {quote(f'{key}: {value}')}"
    return ""


def _agrees(key: str, value: Any, scale: Scale) -> bool:
    if key in _SCALE_KEYS:
        return _names_the_scale(value, scale)
    if not (isinstance(value, str) and any(map(str.isnumeric, value))):
        return True
    if _LOW_ENDS.fullmatch(key):
        return bool(_as_score(value, scale) == scale.low)
    return _ENDS_OF_SCALE.fullmatch(key) is None or _names_the_scale(value, scale)


def _criterion_in(pairs: Pairs, name: str, scale: Scale) -> CriterionScore:
    """Return the score of a criterion: a field of its name, in the object or in its field `criteria` or `scores`.

    The field holds a number, or an object with the field `score`.
    """
    inner = [value for key, value in pairs if criterion_key(key) in _CRITERIA_KEYS and _is_object(value)]
    fields = [*pairs, *(pair for value in inner for pair in value), *_listed(pairs)]
    stated = [value for key, value in fields if _is_named(key, name)]
    # Beside a score, words under the same name explain it.
    stated = [value for value in stated if _holds_a_digit(value)] or stated
    if not stated:
        return CriterionScore(name, None, f'the last JSON object has no field "{name}"')
    if _differ(stated, scale):
        shown = quote(", ".join(json.dumps(value) if _is_object(value) else str(value) for value in stated))
        return CriterionScore(name, None, f"the JSON object states several scores for it: {shown}")
    value = stated[0]
    reading = _score_in(value, Rubric(scale=scale)) if _is_object(value) else _field_score(name, value, scale)
    return CriterionScore(name, reading.score, reading.reason)


def _listed(pairs: Pairs) -> Pairs:
    """Return name and score of the objects in lists such as `"criteria": [{"name": "novelty", "score": 7}]`."""
    lists = [value for key, value in pairs if criterion_key(key) in _CRITERIA_KEYS and isinstance(value, list)]
    found: Pairs = []
    for each in (each for value in lists for each in value if _is_object(each)):
        named = next((value for key, value in each if criterion_key(key) in _NAME_KEYS), "")
        found += [(str(named), value) for key, value in each if criterion_key(key) == _SCORE_KEY]
    return found


def _is_named(key: str, name: str) -> bool:
    """Return True for the name, `<name>_score`, and `revised_<name>`, which puts the name's score in doubt."""
    bare = criterion_key(re.sub(r"\([^()]*\)$", "", key.strip()))
    before = r"(?:final|revised|adjusted|corrected|updated|new)?"
    return re.fullmatch(rf"{before}{re.escape(criterion_key(name))}(?:score)?", bare) is not None


def _holds_a_digit(value: Any) -> bool:
    return any(map(str.isnumeric, value)) if isinstance(value, str) else value is not None and value != []


def _is_object(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, tuple) for each in value)


def _differ(values: list[Any], scale: Scale) -> bool:
    return any(_as_score(value, scale) != _as_score(values[0], scale) for value in values[1:])


def _field_score(field: str, value: Any, scale: Scale) -> Reading:
    if not isinstance(value, str):
        return Reading(reason=f'the field "{field}" holds no number: {quote(json.dumps(value))}')
    number = on_scale(value.strip(), scale)
    if number is not None:
        return Reading(score=number)
    # A text such as "7/9" or "7 (strong)": the rules of the score line decide, and no second number may stand there.
    shown = plain_line(value)
    reading = read_score_line(f"SCORE: {shown}", scale) or Reading(reason=f'the field "{field}" holds no number')
    rest = without_top(re.sub(r"[0-9]+(?:\.[0-9]+)?", "", shown, count=1), scale)
    if reading.score is not None and (any(map(str.isnumeric, rest)) or _NUMBER_WORD.search(rest)):
        return Reading(reason=f"the score states several numbers: {quote(value)}")
    return reading


def _as_score(value: Any, scale: Scale) -> Any:
    number = on_scale(value.strip(), scale) if isinstance(value, str) else None
    return value if number is None else number


def _names_the_scale(value: Any, scale: Scale) -> bool:
    """Return True if a value beside the score says where the scale ends, or says nothing."""
    if isinstance(value, list):
        numbers = [_as_score(each[1] if isinstance(each, tuple) else each, scale) for each in value]
        # An object may name its ends in either order.
        return numbers == [scale.low, scale.high] or (_is_object(value) and numbers == [scale.high, scale.low])
    if not isinstance(value, str):
        return value is None
    text, top = value.strip(), points(scale.high)
    is_top = _as_score(text, scale) == scale.high or text.lower() in (f"/{top}", word_for(top))
    return not text or is_top or is_wanted_scale(text, scale)
