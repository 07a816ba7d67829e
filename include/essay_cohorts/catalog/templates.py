"""Reads a row of 1_raw/evaluation_templates.csv: a template's parser, scale, criteria and the form of its replies."""

from __future__ import annotations

from typing import Literal

from essay_cohorts.catalog.rows import Row
from essay_cohorts.domain import Template
from essay_cohorts.rubric import (
    DEFAULT_SCALE,
    HIGHEST_BOUND,
    LOWEST_BOUND,
    Rubric,
    Scale,
    criteria_findings,
    criterion_key,
    points,
    read_criteria,
)

TEMPLATES = "1_raw/evaluation_templates.csv"
TEMPLATE_TEXTS = "1_raw/templates/evaluation"
# Every column that has a meaning, also the columns that only the original system reads.
TEMPLATE_COLUMNS = (
    *("template_id", "template_name", "description", "parser", "generator", "active", "reads"),
    *("score_min", "score_max", "criteria", "overall", "response_format"),
)

_READS: dict[str, Literal["reply", "reply_or_reasoning"]] = {
    "reply": "reply",
    "reply_or_reasoning": "reply_or_reasoning",
}
_OVERALL: dict[str, Literal["reply", "mean"]] = {"reply": "reply", "mean": "mean"}
# The most decimals of an end of a scale.
_DECIMALS = 4
_RESPONSE_FORMATS: dict[str, Literal["text", "json_schema"]] = {"text": "text", "json_schema": "json_schema"}


def read_template(template_id: str, row: Row) -> Template:
    """Return the template in a row, without its texts; the row collects the problems."""
    template = Template(
        template_id=template_id,
        text="",
        parser=row.text("parser"),
        place=f"{TEMPLATE_TEXTS}/{template_id}.txt",
        row_place=f"{TEMPLATES}:{row.line}",
        system_place=f"{TEMPLATE_TEXTS}/{template_id}.system.txt",
        reads=row.one_of("reads", _READS) or "reply",
        rubric=_rubric(row),
        response_format=row.one_of("response_format", _RESPONSE_FORMATS) or "text",
    )
    if template.response_format == "json_schema" and any(map(_is_explanation, template.rubric.criteria)):
        finding = "json_schema has a field of its own for the explanation, so no criterion can have this name."
        row.problems.append(row.problem("criteria", finding, "Choose another name for the criterion."))
    if template.response_format == "json_schema" and template.parser != "json":
        finding = "json_schema asks for JSON replies, which only the parser json reads."
        row.problems.append(row.problem("response_format", finding, "Write json into the column parser."))
    return template


def _is_explanation(criterion: str) -> bool:
    return criterion_key(criterion) == "explanation"


def _rubric(row: Row) -> Rubric:
    criteria = read_criteria(row.text("criteria"))
    for finding in criteria_findings(criteria):
        row.problems.append(
            row.problem("criteria", finding, "Correct the list; a semicolon separates the names: novelty;clarity")
        )
    overall = row.one_of("overall", _OVERALL) or "reply"
    if overall == "mean" and not criteria:
        finding = "the mean of the criteria is asked for, but the column criteria is empty."
        row.problems.append(row.problem("overall", finding, "Name the criteria, or leave overall empty."))
    return Rubric(scale=_scale(row), criteria=criteria, overall=overall)


def _scale(row: Row) -> Scale:
    low = row.number("score_min", float, low=LOWEST_BOUND, high=HIGHEST_BOUND)
    high = row.number("score_max", float, low=LOWEST_BOUND, high=HIGHEST_BOUND)
    scale = Scale(DEFAULT_SCALE.low if low is None else low, DEFAULT_SCALE.high if high is None else high)
    for column, end in (("score_min", scale.low), ("score_max", scale.high)):
        if round(end, _DECIMALS) != end:
            finding = f"{points(end)} has more than {_DECIMALS} decimals."
            row.problems.append(row.problem(column, finding, f"Round it to {_DECIMALS} decimals."))
            return DEFAULT_SCALE
    if scale.low < scale.high:
        return scale
    column = "score_min" if low is not None else "score_max"
    finding = f"the lowest score is {points(scale.low)} and the highest is {points(scale.high)}."
    row.problems.append(row.problem(column, finding, "Write a score_min below score_max, for example 1 and 5."))
    return DEFAULT_SCALE
