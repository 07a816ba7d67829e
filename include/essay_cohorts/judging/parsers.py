"""Parsers: read a score, or the reason why there is none, from a judge's reply. A parser never guesses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import islice
from typing import Any

from essay_cohorts.domain import ParserRef, Template, Verdict
from essay_cohorts.judging.criteria import (
    criterion_above,
    mean_of_criteria,
    read_criteria_lines,
    read_labelled,
    unscored,
)
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
from essay_cohorts.rubric import DEFAULT_RUBRIC, Rubric, Scale, rubric_of

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

    The version also names the rubric, because another rubric reads a reply differently. With `reads_reasoning` the
    parser reads the reasoning of a judge that gave no answer.
    """

    ref: ParserRef
    read: Callable[[str, Rubric], Reading]
    deciding_line: Callable[[str, Rubric], int | None]
    rubric: Rubric = DEFAULT_RUBRIC
    reads_reasoning: bool = False


def template_parser(template: Template, parsers: Mapping[str, Parser] | None = None) -> Parser:
    """Return the parser of a template's replies. KeyError if no parser has that name, which planning checks.

    A parser that reads reasoning too has its own version, because it may score a reply that the other one refuses.
    """
    parser = (PARSERS if parsers is None else parsers)[template.parser or DEFAULT_PARSER]
    return _fitted(parser, template.rubric, reads_reasoning=template.reads == "reply_or_reasoning")


def parser_of(ref: ParserRef) -> Parser:
    """Return the parser that a verdict names, with its rubric and its way to treat reasoning.

    Raise KeyError if the name is unknown.
    """
    reads_reasoning = _AND_REASONING in ref.version
    return _fitted(PARSERS[ref.name], rubric_of(ref.version), reads_reasoning=reads_reasoning)


def _fitted(parser: Parser, rubric: Rubric, *, reads_reasoning: bool) -> Parser:
    version = parser.ref.version + (_AND_REASONING if reads_reasoning else "") + rubric.version_parts
    ref = ParserRef(parser.ref.name, version)
    return replace(parser, ref=ref, rubric=rubric, reads_reasoning=reads_reasoning)


def judge_by(parser: Parser, text: str, *, finish_reason: str = "", reasoning: str = "") -> Verdict:
    """Return a parser's verdict on a reply. A reply that did not come to its end is never scored."""
    unfinished = why_unfinished(finish_reason)
    only_reasoned = not text.strip() and bool(reasoning.strip())
    if unfinished:
        reading = unscored(parser.rubric, unfinished)
    elif only_reasoned and not parser.reads_reasoning:
        reading = unscored(parser.rubric, "the judge reasoned but gave no answer")
    else:
        reading = parser.read(reasoning if only_reasoned else text, parser.rubric)
    return Verdict(parser=parser.ref, score=reading.score, reason=reading.reason, criteria=reading.criteria)


def verdict_record(verdict: Verdict) -> dict[str, Any]:
    """Return the content of an evaluation's parsed_metadata.json."""
    record = {
        "parser_name": verdict.parser.name,
        "parser_version": verdict.parser.version,
        "success": verdict.score is not None,
        "score": verdict.score,
        "reason": verdict.reason,
    }
    if verdict.criteria:
        record["criteria"] = {
            name: {"score": score, **({"reason": reason} if reason else {})}
            for name, score, reason in verdict.criteria
        }
    return record


def score_text(score: float) -> str:
    """Return the content of an evaluation's parsed.txt: `7.0` and a newline."""
    return f"{Decimal(repr(score)):f}\n"


def parse_score_text(text: str, scale: Scale) -> float | None:
    """Return the score in a parsed.txt; None if it does not hold a number on the scale."""
    return on_scale(text.removeprefix("\ufeff").strip(), scale)


def read_last_line(text: str, rubric: Rubric = DEFAULT_RUBRIC) -> Reading:
    """Read a reply as parser `in_last_line`: the last line with a score label decides, among the last three lines.

    Empty lines, and lines that score a criterion, do not count, and reasoning between tags is removed first. The
    deciding line must state one number on the scale, perhaps with decoration and a remark, and no later line may
    state another number. Otherwise the reply is unscored. An earlier line never decides instead, because it may be a
    draft of the judgement.
    """
    answer = find_answer(text)
    if answer.reason:
        return unscored(rubric, answer.reason)
    lines = _plain_lines(text, answer.start, rubric)
    if not lines:
        return unscored(rubric, NO_ANSWER if answer.start else "the reply is empty")
    plain = [line for _, line in lines]
    criteria = read_criteria_lines(plain, rubric)
    if rubric.overall == "mean":
        return mean_of_criteria(criteria)
    return replace(_read_overall(plain, rubric), criteria=criteria)


def _read_overall(lines: Sequence[str], rubric: Rubric) -> Reading:
    decides = _deciding(lines, rubric)
    if decides is None:
        return Reading(reason="none of the last three lines begins with SCORE")
    reading = read_score_line(lines[decides], rubric.scale) or Reading()
    criterion = criterion_above(lines[: decides + 1], rubric) if rubric.criteria else ""
    if criterion:
        return Reading(reason=f'the last score line stands below the criterion "{criterion}"')
    return _unless_taken_back(reading, lines[decides + 1 :], rubric)


def last_score_line(text: str, rubric: Rubric = DEFAULT_RUBRIC) -> int | None:
    """Return the index, from 0, of the line that decides for `in_last_line`; None if no line has a score label."""
    answer = find_answer(text)
    if answer.reason:
        return None
    lines = _plain_lines(text, answer.start, rubric)
    decides = _deciding([line for _, line in lines], rubric)
    return None if decides is None else lines[decides][0]


def split_lines(text: str) -> list[str]:
    """Return the lines of a reply, split where parsers split them."""
    return LINE_END.split(text)


def _plain_lines(text: str, start: int, rubric: Rubric) -> list[tuple[int, str]]:
    """Return the index and the plain form of the lines after `start` that are not empty.

    Without criteria only the last ones that count are read, because a reply may be long.
    """
    lines, before = split_lines(text[start:]), len(LINE_END.findall(text, 0, start))
    last_first = ((before + number, plain_line(lines[number])) for number in range(len(lines) - 1, -1, -1))
    found = (pair for pair in last_first if pair[1])
    return list(found if rubric.criteria else islice(found, _LINES_SEARCHED))[::-1]


def _deciding(lines: Sequence[str], rubric: Rubric) -> int | None:
    """Return the index of the last line with a score label among the last lines that count; None without one."""
    counted = 0
    for number in range(len(lines) - 1, -1, -1):
        if read_labelled(lines[number], rubric) is not None:
            continue
        if has_label(lines[number]):
            return number
        counted += 1
        if counted == _LINES_SEARCHED:
            return None
    return None


def _unless_taken_back(reading: Reading, later_lines: Sequence[str], rubric: Rubric) -> Reading:
    """Return the reading, or a refusal if a line after the score line states another score.

    A line that gives a criterion its score says nothing about the overall score.
    """
    if reading.score is None:
        return reading
    for line in later_lines:
        labelled = read_labelled(line, rubric)
        of_criterion = labelled is not None and labelled[1].score is not None
        if not of_criterion and states_another_score(line, reading.score, rubric.scale):
            return Reading(reason=f"a later line states another score: {quote(line)}")
    return reading


PARSERS: Mapping[str, Parser] = {
    parser.ref.name: parser
    for parser in [
        Parser(ref=ParserRef(DEFAULT_PARSER, "2"), read=read_last_line, deciding_line=last_score_line),
        Parser(ref=ParserRef(JSON_PARSER, "1"), read=read_json, deciding_line=json_score_line),
    ]
}
