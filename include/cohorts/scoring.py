"""Parsers: from a judge's reply to a score, or to the reason why there is none. Never a guess."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import islice
from typing import Any

from include.cohorts.finish_reasons import why_unfinished
from include.cohorts.model import HIGHEST_SCORE, LOWEST_SCORE, ParserRef, Template, Verdict

DEFAULT_PARSER = "in_last_line"
_AND_REASONING = "+reasoning"
LOWEST, HIGHEST = Decimal(LOWEST_SCORE), Decimal(HIGHEST_SCORE)

# What editors count as the end of a line; str.splitlines() knows more, and would make a 7 of "7\x0b/10".
_LINE_END = re.compile(r"\r\n|\r|\n")
_MARKS = str.maketrans("", "", "*#_`")
# Marks inside a number: with nothing left in their place, 1.5*2 would read as 1.52.
_MARKS_IN_NUMBER = re.compile(r"(?<=[0-9.-])[*#_`]+(?=[0-9.])")
_LABELLED = re.compile(r"(?:final\s+score|total\s+score|score)\b\s*:?\s*(?P<rest>.*)", re.IGNORECASE)
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
# A remark that is nothing but a scale, "(out of 10)" or "(7/10)"; one of 9 is the scale that is asked for.
_SCALE_REMARK = re.compile(
    r"\(\s*(?:[0-9]+(?:\.[0-9]+)?\s*)?(?:(?:out\s+of|of|/)\s*(?P<top>[0-9]+(?:\.[0-9]+)?)|%)(?:\s+points?)?\s*\)",
    re.IGNORECASE,
)
_WANTED_SCALE = re.compile(r"(?<![\w.])0\s*(?:-|to)\s*9(?!\w|\.[0-9])")
_REMARK = re.compile(r"\([^()]*\)")
_LINES_SEARCHED = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What a parser makes of a text: a score from 0 to 9, or None and why."""

    score: float | None = None
    reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parser:
    """A named, versioned way to read a reply; the version grows whenever a reply could be read differently.

    `reads_reasoning`: where a judge gave no answer but reasoning, that is read in the answer's place.
    """

    ref: ParserRef
    read: Callable[[str], Reading]
    deciding_line: Callable[[str], int | None]
    reads_reasoning: bool = False


def template_parser(template: Template, parsers: Mapping[str, Parser] | None = None) -> Parser:
    """The parser of a template's replies. KeyError when no parser has that name; planning checks it.

    One that reads reasoning too has a version of its own: what is refused by the one may be scored by the other.
    """
    parser = (PARSERS if parsers is None else parsers)[template.parser or DEFAULT_PARSER]
    return parser if template.reads == "reply" else _reading_reasoning(parser)


def parser_of(ref: ParserRef) -> Parser:
    """The parser of this name that reads what the version says. KeyError when no parser has that name."""
    parser = PARSERS[ref.name]
    return _reading_reasoning(parser) if ref.version.endswith(_AND_REASONING) else parser


def _reading_reasoning(parser: Parser) -> Parser:
    ref = ParserRef(parser.ref.name, parser.ref.version + _AND_REASONING)
    return replace(parser, ref=ref, reads_reasoning=True)


def judge_by(parser: Parser, text: str, *, finish_reason: str = "", reasoning: str = "") -> Verdict:
    """A parser's verdict on a reply. One that did not come to its end is unscored whatever it says."""
    unfinished = why_unfinished(finish_reason)
    only_reasoned = not text.strip() and bool(reasoning.strip())
    if unfinished:
        reading = Reading(reason=unfinished)
    elif only_reasoned and not parser.reads_reasoning:
        reading = Reading(reason="the judge reasoned but gave no answer")
    else:
        reading = parser.read(reasoning if only_reasoned else text)
    return Verdict(parser=parser.ref, score=reading.score, reason=reading.reason)


def verdict_record(verdict: Verdict) -> dict[str, Any]:
    """The content of an evaluation's parsed_metadata.json."""
    return {
        "parser_name": verdict.parser.name,
        "parser_version": verdict.parser.version,
        "success": verdict.score is not None,
        "score": verdict.score,
        "reason": verdict.reason,
    }


def score_text(score: float) -> str:
    """The content of an evaluation's parsed.txt: `7.0` and a newline."""
    return f"{Decimal(repr(score)):f}\n"


def parse_score_text(text: str) -> float | None:
    """The score in a parsed.txt, None when it holds no number from 0 to 9."""
    content = text.removeprefix("\ufeff").strip()
    return _on_scale(content) if _NUMBER.fullmatch(content) else None


def read_last_line(text: str) -> Reading:
    """Parser `in_last_line`: the last line with a score label among the last three non-empty lines decides.

    That line must state one number from 0 to 9 and nothing else but a remark in parentheses; if it does not, the
    reply is unscored: an earlier line may be a draft of the judgement, and is never fallen back to.
    """
    last_first = _last_lines(text)
    if not last_first:
        return Reading(reason="the reply is empty")
    for _, line in last_first:
        labelled = _LABELLED.fullmatch(line)
        if labelled:
            return _read_statement(labelled.group("rest"))
    return Reading(reason="none of the last three lines begins with SCORE")


def last_score_line(text: str) -> int | None:
    """The number, from 0, of the line by which `in_last_line` decides; None when no line has a score label."""
    return next((number for number, line in _last_lines(text) if _LABELLED.fullmatch(line)), None)


def split_lines(text: str) -> list[str]:
    """The lines of a reply as parsers count them."""
    return _LINE_END.split(text)


def _last_lines(text: str) -> list[tuple[int, str]]:
    """The last non-empty lines, bare of marks, with their numbers from 0; the last one first."""
    lines = split_lines(text)
    from_the_end = ((number, _without_marks(lines[number])) for number in range(len(lines) - 1, -1, -1))
    return list(islice((pair for pair in from_the_end if pair[1]), _LINES_SEARCHED))


def _without_marks(line: str) -> str:
    return _MARKS_IN_NUMBER.sub(" ", line).translate(_MARKS).strip().strip("\ufeff").strip()


def _read_statement(statement: str) -> Reading:
    bare = _REMARK.sub(" ", statement).strip()
    numbers = _NUMBER.findall(bare)
    if re.search(r"[0-9]\s*(?:/|%|out of|of\b)", bare, re.IGNORECASE) or any(
        _is_another_scale(remark) for remark in _REMARK.findall(statement)
    ):
        return Reading(reason=f"the score line uses another scale: {_quote(statement)}")
    if not numbers:
        return Reading(reason=f"the score line states no number: {_quote(statement)}")
    if len(numbers) > 1:
        return Reading(reason=f"the score line states several numbers: {_quote(statement)}")
    if not _NUMBER.fullmatch(bare):
        return Reading(reason=f"the score line states more than a number: {_quote(statement)}")
    score = _on_scale(bare)
    if score is None:
        return Reading(reason=f"the score is not from 0 to 9: {_quote(bare)}")
    return Reading(score=score)


def _on_scale(number: str) -> float | None:
    # Compared as a decimal: as a float, a number just beyond the scale would be rounded onto it.
    exact = Decimal(number)
    return abs(float(exact)) if LOWEST <= exact <= HIGHEST else None


def _is_another_scale(remark: str) -> bool:
    if re.search(r"\bscale\b", remark, re.IGNORECASE):
        return _WANTED_SCALE.search(remark) is None
    named = _SCALE_REMARK.fullmatch(remark)
    return named is not None and (named.group("top") is None or Decimal(named.group("top")) != HIGHEST)


def _quote(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")


PARSERS: Mapping[str, Parser] = {
    parser.ref.name: parser
    for parser in [
        Parser(ref=ParserRef(DEFAULT_PARSER, "1"), read=read_last_line, deciding_line=last_score_line),
    ]
}
