"""The form of the offline judge's reply: the scale, labels and JSON fields that a prompt or a request asks for."""

import json
import re
from collections.abc import Callable
from typing import Any

from devtools.offline_judge.answers import NOTICE, Call

# Numbers after "from" are a scale if a word about scoring stands before them in the sentence.
_END = r"([0-9]+(?:\.[0-9]+)?)(?: \([^()]*\))?"
_SCALE = re.compile(
    rf"(?:scor|scale|number|rat(?:e|ing)|grad|point)[^.!?<>]{{0,80}}?\bfrom {_END} to {_END}", re.IGNORECASE
)
# `NOVELTY: <number>` on a line of its own, and `"novelty": <number>` in an object.
_LABEL = re.compile(r"^[*_ ]*([A-Za-z][A-Za-z0-9 _-]{0,39}?)[*_ ]*: ?<[^<>\n]*>", re.MULTILINE)
_FIELD = re.compile(r'"([A-Za-z][A-Za-z0-9 _-]{0,39})" ?: ?<[^<>\n]*>')
_OVERALL = "score"


def reply_text(call: Call, made_up: Callable[[str], float]) -> str:
    """Return a reply with made-up scores. `made_up` returns a score from 0 to 9 for the name of a criterion.

    A request with a JSON schema gets only an object. A prompt that shows the JSON field "score" gets an object before
    the score line, and a prompt that shows labels gets a line for each.
    """
    scale = _scale_in(call.prompt)

    def score(name: str) -> float:
        return round(scale[0] + (scale[1] - scale[0]) * made_up(name) / 9, 1)

    if call.properties:
        return json.dumps(_object_of(call.properties, made_up))
    words, fields = NOTICE, _FIELD.findall(call.prompt)
    if fields or '"score"' in call.prompt:
        values = {name: score(name) for name in dict.fromkeys([*_numbers(fields), _OVERALL])}
        words = f"```json\n{json.dumps({'reason': NOTICE, **values}, indent=2)}\n```"
    lines = [f"{name}: {score(name):.1f}" for name in _numbers(_LABEL.findall(call.prompt))]
    return "\n".join([words, "", *lines, f"SCORE: {score(_OVERALL):.1f}"])


def _numbers(names: list[str]) -> list[str]:
    """Return the names that stand for numbers, each once, without the overall score."""
    words = {"reason", "reasoning", "explanation", "comment", "why"}
    kept = (name.strip() for name in names if name.strip().lower() not in words)
    return [name for name in dict.fromkeys(kept) if not name.lower().endswith(_OVERALL)]


def _object_of(properties: dict[str, Any], made_up: Callable[[str], float]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, kind in properties.items():
        low, high = kind.get("minimum", 0), kind.get("maximum", 9)
        is_text = kind.get("type") == "string"
        found[name] = NOTICE if is_text else round(low + (high - low) * made_up(name) / 9, 1)
    return found


def _scale_in(prompt: str) -> tuple[float, float]:
    """Return the last scale that the prompt names; 0 to 9 if there is none."""
    scales = ((float(low), float(high)) for low, high in _SCALE.findall(" ".join(prompt.split())))
    return next((scale for scale in reversed(list(scales)) if scale[0] < scale[1]), (0.0, 9.0))
