"""Joins an answer that came as a stream of server-sent events into one completion.

A gateway may stream although the request says `"stream": false`. Such an answer is kept, because it was paid for.
Each `data:` line holds a piece of the answer. The last piece has a `finish_reason`, or the line `data: [DONE]`
follows it. A stream with neither of the two broke off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from essay_cohorts.calls import BROKEN_OFF

_DATA = "data:"
_FIELD_NAMES = (_DATA, "event:", "id:", "retry:", ":")
_DONE = "[DONE]"
_OF_THE_ANSWER = ("model", "system_fingerprint", "usage", "error")
_TEXTS = ("content", "refusal", "reasoning_content", "reasoning", "reasoning_details")

ParseJson = Callable[[str], dict[str, Any] | None]
ReadText = Callable[[object], str]


def is_stream(text: str) -> bool:
    """Return True if a text begins like a stream of server-sent events."""
    return text.lstrip().startswith(_FIELD_NAMES)


def join_events(text: str, *, parse_json: ParseJson, read_text: ReadText) -> dict[str, Any] | None:
    """Join the events in `text` into one completion; None if no event is a JSON object.

    `parse_json` returns the JSON object of an event, and `read_text` returns the text in a JSON value.
    """
    lines = [line.strip().removeprefix(_DATA).strip() for line in text.splitlines()]
    events = [event for event in map(parse_json, lines) if event is not None]
    if not events:
        return None
    completion: dict[str, Any] = {key: _last(events, key) for key in _OF_THE_ANSWER}
    choices = [choice for event in events for choice in _choices(event)]
    if choices:
        finish_reason = _last(choices, "finish_reason") or ("" if _DONE in lines else BROKEN_OFF)
        error = _last(choices, "error")
        completion["choices"] = [
            {"message": _message(choices, read_text), "finish_reason": finish_reason, "error": error}
        ]
    return completion


def _message(choices: list[Mapping[str, Any]], read_text: ReadText) -> dict[str, Any]:
    deltas = [choice["delta"] for choice in choices if isinstance(choice.get("delta"), dict)]
    messages = [choice["message"] for choice in choices if isinstance(choice.get("message"), dict)]
    # The completions API of older servers streams the text beside `delta`.
    deltas += [{"content": choice["text"]} for choice in choices if isinstance(choice.get("text"), str)]
    message: dict[str, Any] = {}
    for key in _TEXTS:
        joined = ["".join(read_text(part.get(key)) for part in parts) for parts in (deltas, messages)]
        # A last event may repeat the whole message after its pieces.
        message[key] = max(joined, key=len)
    arguments = max(("".join(_arguments(parts, read_text)) for parts in (deltas, messages)), key=len)
    return {**message, "tool_calls": [{"function": {"arguments": arguments}}]}


def _arguments(parts: list[Mapping[str, Any]], read_text: ReadText) -> Iterator[str]:
    for part in parts:
        calls = [call.get("function") for call in _list(part.get("tool_calls")) if isinstance(call, dict)]
        for function in [*calls, part.get("function_call")]:
            if isinstance(function, dict):
                yield read_text(function.get("arguments"))


def _choices(event: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return a list with the first choice of an event. The request asked for one choice, so any other is ignored."""
    return [choice for choice in _list(event.get("choices"))[:1] if isinstance(choice, dict)]


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _last(objects: list[Any], key: str) -> Any:
    """Return the last non-empty value of `key`; None if there is none."""
    return next((each[key] for each in reversed(objects) if each.get(key)), None)
