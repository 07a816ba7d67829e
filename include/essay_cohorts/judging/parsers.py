"""Parsers: read a score, or the reason why there is none, from a judge's reply. A parser never guesses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import islice
from typing import Any

from essay_cohorts.domain import ParserRef, Template, Verdict
from essay_cohorts.judging.finish_reasons import why_unfinished
from essay_cohorts.judging.json_score import json_score_line, read_json
from essay_cohorts.judging.other_scores import states_another_score
from essay_cohorts.judging.reasoning_blocks import NO_ANSWER, find_answer
from essay_cohorts.judging.score_line import (
    LINE_END,
    Reading,
    has_label,
    on_scale,
    plain_line,
    quote,
    read_score_line,
)

__all__ = [
    "DEFAULT_PARSER",
    "JSON_PARSER",
    "PARSERS",
    "Parser",
    "Reading",
    "judge_by",
    "last_score_line",
    "parse_score_text",
    "parser_of",
    "read_last_line",
    "score_text",
    "split_lines",
    "template_parser",
    "verdict_record",
]

DEFAULT_PARSER = "in_last_line"
JSON_PARSER = "json"
_AND_REASONING = "+reasoning"

_LINES_SEARCHED = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Parser:
    """A named, versioned way to read a reply. The version changes whenever a reply could be read differently.

    With `reads_reasoning` the parser reads the reasoning of a judge that gave no answer.
    """

    ref: ParserRef
    read: Callable[[str], Reading]
    deciding_line: Callable[[str], int | None]
    reads_reasoning: bool = False


def template_parser(template: Template, parsers: Mapping[str, Parser] | None = None) -> Parser:
    """Return the parser of a template's replies. KeyError if no parser has that name, which planning checks.

    A parser that reads reasoning too has its own version, because it may score a reply that the other one refuses.
    """
    parser = (PARSERS if parsers is None else parsers)[template.parser or DEFAULT_PARSER]
    return parser if template.reads == "reply" else _reading_reasoning(parser)


def parser_of(ref: ParserRef) -> Parser:
    """Return the parser that a verdict names, with its way to treat reasoning. KeyError if the name is unknown."""
    parser = PARSERS[ref.name]
    return _reading_reasoning(parser) if ref.version.endswith(_AND_REASONING) else parser


def _reading_reasoning(parser: Parser) -> Parser:
    ref = ParserRef(parser.ref.name, parser.ref.version + _AND_REASONING)
    return replace(parser, ref=ref, reads_reasoning=True)


def judge_by(parser: Parser, text: str, *, finish_reason: str = "", reasoning: str = "") -> Verdict:
    """Return a parser's verdict on a reply. A reply that did not come to its end is never scored."""
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
    """Return the content of an evaluation's parsed_metadata.json."""
    return {
        "parser_name": verdict.parser.name,
        "parser_version": verdict.parser.version,
        "success": verdict.score is not None,
        "score": verdict.score,
        "reason": verdict.reason,
    }


def score_text(score: float) -> str:
    """Return the content of an evaluation's parsed.txt: `7.0` and a newline."""
    return f"{Decimal(repr(score)):f}\n"


def parse_score_text(text: str) -> float | None:
    """Return the score in a parsed.txt; None if it does not hold a number from 0 to 9."""
    return on_scale(text.removeprefix("\ufeff").strip())


def read_last_line(text: str) -> Reading:
    """Read a reply as parser `in_last_line`: the last line with a score label decides, among the last three lines.

    Empty lines do not count, and reasoning between tags is removed first. The deciding line must state one number
    from 0 to 9, perhaps with decoration and a remark, and no later line may state another number. Otherwise the reply
    is unscored. An earlier line never decides instead, because it may be a draft of the judgement.
    """
    answer = find_answer(text)
    if answer.reason:
        return Reading(reason=answer.reason)
    last_first = _last_lines(text, answer.start)
    if not last_first:
        return Reading(reason=NO_ANSWER if answer.start else "the reply is empty")
    for position, (_, line) in enumerate(last_first):
        reading = read_score_line(line)
        if reading is not None:
            return _unless_taken_back(reading, [later for _, later in last_first[:position]])
    return Reading(reason="none of the last three lines begins with SCORE")


def last_score_line(text: str) -> int | None:
    """Return the index, from 0, of the line that decides for `in_last_line`; None if no line has a score label."""
    answer = find_answer(text)
    if answer.reason:
        return None
    return next((number for number, line in _last_lines(text, answer.start) if has_label(line)), None)


def split_lines(text: str) -> list[str]:
    """Return the lines of a reply, split where parsers split them."""
    return LINE_END.split(text)


def _last_lines(text: str, start: int) -> list[tuple[int, str]]:
    """Return the index and the plain form of the last non-empty lines after `start`, the last line first."""
    lines = split_lines(text[start:])
    before = len(LINE_END.findall(text, 0, start))
    from_the_end = ((before + number, plain_line(lines[number])) for number in range(len(lines) - 1, -1, -1))
    return list(islice((pair for pair in from_the_end if pair[1]), _LINES_SEARCHED))


def _unless_taken_back(reading: Reading, later_lines: list[str]) -> Reading:
    """Return the reading, or a refusal if a line after the score line states another score."""
    if reading.score is None:
        return reading
    for line in reversed(later_lines):
        if states_another_score(line, reading.score):
            return Reading(reason=f"a later line states another score: {quote(line)}")
    return reading


PARSERS: Mapping[str, Parser] = {
    parser.ref.name: parser
    for parser in [
        Parser(ref=ParserRef(DEFAULT_PARSER, "2"), read=read_last_line, deciding_line=last_score_line),
        Parser(ref=ParserRef(JSON_PARSER, "1"), read=read_json, deciding_line=json_score_line),
    ]
}
