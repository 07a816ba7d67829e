"""Reads the line of a reply that states the score: its label, its decorated number, and the reasons to refuse it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from essay_cohorts.domain import CriterionScore
from essay_cohorts.judging.other_scores import is_wanted_scale, names_another_scale, states_another_score
from essay_cohorts.rubric import DEFAULT_SCALE, Scale, criterion_key, points

# The line ends of editors. str.splitlines() knows more of them, and would read a 7 in "7\x0b/10".
LINE_END = re.compile(r"\r\n|\r|\n")

# Zero-width characters and direction marks. Overrides (U+202D, U+202E) are not among them, because they reverse a
# number.
_INVISIBLE = "\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202c\u2060-\u2064\u2066-\u2069\ufeff"
# Marks inside a number are kept, so that 1.5*2 is never read as 1.52.
_MARKS = re.compile(rf"(?<=[0-9.-])(?P<inside>[*#_`{_INVISIBLE}]+)(?=\.?[0-9])|[*#_`{_INVISIBLE}]+")
# NFKC is not used, because it turns 8² into 82 and 7½ into 71/2.
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
# The end tokens after the marks were removed: <|eot_id|> is <|eotid|>, </s> is the same, <end_of_turn> is
# <endofturn>.
_END_TOKEN = re.compile(r"(?:<\|[^<>|0-9]{1,40}\|>|</s>|<eos>|<endofturn>|\[/INST\])\Z", re.IGNORECASE)
_LONGEST_TOKEN = 44

_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_N, _REMARK = _NUMBER.pattern, r"\([^()]*\)"
_POINTS = r"(?: ?(?:points?|pts?)\b)"
# What may stand before a label, and between a label and what it states.
_BULLETS = r"(?:[-+>•–—] ?|[0-9]{1,3}[.)] )*"
_SCALE_BESIDE = r"(?: ?(?P<scale>\([^()]*\)|\[[^\[\]]*\])(?= ?[:=]| [-–—] ))?"
# A heading above the scores of criteria is not a score line.
_HEADING_WORDS = r"(?! (?:breakdown|justification|explanation|rationale|summary|details)\b)"
_TABLE_ROW = re.compile(r"\| ?([^|:]+?) ?\| ?([^|]*?) ?\|(?:[^|]*\|)*")
_LABELLED = re.compile(
    rf"{_BULLETS}(?:(?:final|overall|total) )?score\b{_HEADING_WORDS}{_SCALE_BESIDE}"
    r"(?: ?[:=]| [-–—](?= ))? ?(?P<statement>.*)",
    re.IGNORECASE,
)
_MOST_WRAPS = 4
_SCALE_AFTER = re.compile(rf"(?<=[0-9]) ?(?:%|per ?cent\b|(?:/|(?:out )?of\b) ?(?P<top>{_N})?)", re.IGNORECASE)
_RANGE = re.compile(r"[0-9] ?(?:[-–—]|to) ?[0-9]", re.IGNORECASE)


class _Patterns(NamedTuple):
    """What a statement may look like on one scale.

    `of_top` is "/9" or "out of 9", `wrapped` a number in brackets, `reasoned` a number and a reason.
    """

    of_top: re.Pattern[str]
    wrapped: re.Pattern[str]
    stated: re.Pattern[str]
    reasoned: re.Pattern[str]


@lru_cache(maxsize=64)
def _patterns(scale: Scale) -> _Patterns:
    whole, _, decimals = points(scale.high).partition(".")
    top = rf"{whole}\.{decimals}0*" if decimals else rf"{whole}(?:\.0+)?"
    of_top = rf"(?: ?(?:/|(?:out )?of) ?{top}(?![0-9]|\.[0-9]))"
    pairs = ((r"\[", r"\]"), ("<", ">"), (r"\$", r"\$"), (r"\\boxed\{", r"\}"), (r"\\\(", r"\\\)"))
    return _Patterns(
        of_top=re.compile(of_top),
        wrapped=re.compile("|".join(rf"{left} ?({_N}{of_top}?) ?{right}" for left, right in pairs)),
        stated=re.compile(
            rf"(?P<before>(?:{_REMARK} ?)*)(?P<number>{_N}){_POINTS}?{of_top}?{_POINTS}?(?: ?[.。])?"
            rf"(?P<remarks>(?: ?{_REMARK})*)(?:(?: - | ?[–—] ?)(?P<comment>.+?))?(?:(?<![.。]) ?[.。])?",
            re.IGNORECASE,
        ),
        reasoned=re.compile(rf"({_N}{of_top}?)(?:[.,;:]| because| as) ?([^0-9()]+)", re.IGNORECASE),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """The result of a parser: a score on the scale, or None and the reason; and the scores of the criteria."""

    score: float | None = None
    reason: str = ""
    criteria: tuple[CriterionScore, ...] = ()


def plain_line(line: str) -> str:
    """Return the line without marks, invisible characters and end tokens, in ASCII width and with single blanks."""
    bare = _MARKS.sub(lambda found: found["inside"] or "", line.translate(_FULL_WIDTH))
    plain = " ".join(bare.split())
    while found := _END_TOKEN.search(plain, max(0, len(plain) - _LONGEST_TOKEN)):
        plain = plain[: found.start()].rstrip()
    return plain


def has_label(line: str) -> bool:
    """Return True if a plain line begins with a score label."""
    return _LABELLED.fullmatch(line) is not None


def read_score_line(line: str, scale: Scale = DEFAULT_SCALE) -> Reading | None:
    """Return the score that a plain line states, or the reason why there is none; None if the line has no label."""
    labelled = _LABELLED.fullmatch(line)
    return labelled and _read_statement(labelled["statement"], labelled["scale"], scale)


def read_criterion_line(line: str, criterion: str, scale: Scale) -> Reading | None:
    """Return the score that a plain line states for a criterion; None if the line does not begin with its label.

    A row of a table, `| Novelty | 4 |`, counts as a label and a score. Unlike in a score line, a comma or a full stop
    and words without a number may follow: `Novelty: 4, fresh ideas`.
    """
    row = _TABLE_ROW.fullmatch(line)
    labelled = _criterion_label(criterion).fullmatch(f"{row[1]}: {row[2]}" if row else line)
    if labelled is None:
        return None
    reading = _read_statement(labelled["statement"], labelled["scale"], scale)
    if reading.score is None:
        reasoned = _patterns(scale).reasoned.fullmatch(labelled["statement"])
        if reasoned is not None:
            return _read_statement(f"{reasoned[1]} ({reasoned[2]})", labelled["scale"], scale)
    return reading


def names_criterion(line: str, criterion: str) -> bool:
    """Return True if the name of a criterion is among the words of a line."""
    return _criterion_words(criterion).search(line) is not None


@lru_cache(maxsize=256)
def _criterion_label(criterion: str) -> re.Pattern[str]:
    bullets = r"(?:[-+>•–—] ?|\(?(?:[0-9]{1,3}|[a-z])[.)] |[^\w\s(]{1,2} )*"
    label = rf"[\"'\[(]?{_letters(criterion)}(?: score)?[\"'\])]?"
    return re.compile(rf"{bullets}{label}{_SCALE_BESIDE}(?: ?[:=]| [-–—](?= )) ?(?P<statement>.*)", re.IGNORECASE)


@lru_cache(maxsize=256)
def _criterion_words(criterion: str) -> re.Pattern[str]:
    return re.compile(rf"\b{_letters(criterion)}\b", re.IGNORECASE)


def _letters(criterion: str) -> str:
    """Return a pattern of a name in which blanks, hyphens and underscores may stand anywhere or be missing."""
    return "[ _-]?".join(map(re.escape, criterion_key(criterion)))


def on_scale(number: str, scale: Scale = DEFAULT_SCALE) -> float | None:
    """Return the number as a score; None if it is not on the scale, or if the text is not a number."""
    if not _NUMBER.fullmatch(number):
        return None
    # Compared as a decimal, because a float would round a number just beyond the scale onto it.
    exact, (lowest, highest) = Decimal(number), scale.bounds
    return abs(float(exact)) if lowest <= exact <= highest else None


def without_top(text: str, scale: Scale) -> str:
    """Return the text without the words that name the highest score: "/9" or "out of 9"."""
    return _patterns(scale).of_top.sub("", text)


def quote(text: str) -> str:
    """Return the text in quotes, cut to a length that fits a table."""
    return repr(text if len(text) <= 80 else text[:77] + "...")


def _read_statement(shown: str, beside: str | None, scale: Scale) -> Reading:
    """Read what follows a label; `beside` is a remark between the label and its colon."""
    with_scale = f"{beside} {shown}" if beside else shown
    statement = _unwrapped(shown, scale)
    if _uses_another_scale(statement, scale) or (beside and names_another_scale(beside[1:-1], scale)):
        return Reading(reason=f"the score line uses another scale: {quote(with_scale)}")
    stated = _patterns(scale).stated.fullmatch(statement)
    comment = (stated["comment"] or "") if stated else ""
    if stated is None or any(character.isnumeric() for character in comment):
        return Reading(reason=_refusal(statement, shown, scale))
    if beside and not is_wanted_scale(beside[1:-1], scale):
        return Reading(reason=f"the score line states more than a number: {quote(with_scale)}")
    score = on_scale(stated["number"], scale)
    if score is None:
        return Reading(reason=f"the score is not from {scale}: {quote(stated['number'])}")
    if any(states_another_score(remark, score, scale) for remark in (*_remarks(statement), comment)):
        return Reading(reason=f"the score line states several numbers, one in a remark: {quote(shown)}")
    return Reading(score=score)


def _unwrapped(statement: str, scale: Scale) -> str:
    r"""Return the statement without brackets around its number: `[[8]]`, `<8>`, `$\boxed{8}$`."""
    for _ in range(_MOST_WRAPS):
        # The blanks make sure that 0[5] stays two numbers.
        statement = " ".join(_patterns(scale).wrapped.sub(r" \1\2\3\4\5 ", statement).split())
    return statement


def _remarks(statement: str) -> list[str]:
    return [remark[1:-1] for remark in re.findall(_REMARK, statement)]


def _without_remarks(statement: str) -> str:
    return " ".join(re.sub(_REMARK, " ", statement).split())


def _uses_another_scale(statement: str, scale: Scale) -> bool:
    bare = _without_remarks(statement)
    comment = re.split(" - | ?[–—] ?", bare, maxsplit=1)[1:]
    tops = (found["top"] for found in _SCALE_AFTER.finditer(bare))
    return any(top is None or Decimal(top) != scale.bounds[1] for top in tops) or any(
        names_another_scale(remark, scale) for remark in [*_remarks(statement), *comment]
    )


def _refusal(statement: str, shown: str, scale: Scale) -> str:
    bare = _patterns(scale).of_top.sub("", _without_remarks(statement))
    numbers = _NUMBER.findall(bare)
    if not numbers:
        return f"the score line states no number: {quote(shown)}"
    if len(numbers) == 1:
        return f"the score line states more than a number: {quote(shown)}"
    if _RANGE.search(bare):
        return f"the score line states several numbers, a range: {quote(shown)}"
    if re.search(r"[0-9],[0-9]", bare):
        return f"the score line states several numbers, or a decimal comma: {quote(shown)}"
    return f"the score line states several numbers: {quote(shown)}"
