"""Structured output: the `response_format` of a request, made from a template's criteria and scale."""

from __future__ import annotations

import json
from typing import Any

from essay_cohorts.rubric import Rubric


def json_schema_of(rubric: Rubric) -> str:
    """Return the `response_format` that asks for an object with an explanation, the criteria and the score.

    The explanation comes first, because a judge writes the fields in order and should reason before it scores. The
    form is that of OpenAI's structured outputs, with every field required, as canonical JSON text.
    """
    number = {"type": "number", "minimum": rubric.scale.low, "maximum": rubric.scale.high}
    scored = [*rubric.criteria, *(["score"] if rubric.overall == "reply" else [])]
    properties: dict[str, Any] = {"explanation": {"type": "string"}, **dict.fromkeys(scored, number)}
    schema = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    judgement = {"name": "judgement", "strict": True, "schema": schema}
    return json.dumps({"type": "json_schema", "json_schema": judgement}, separators=(",", ":"))
