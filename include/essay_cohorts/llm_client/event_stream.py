"""Joins an answer that came as a stream of events into one completion.

A gateway may stream although the request says `"stream": false`. Such an answer was paid for, so it is kept. Each
`data:` line holds a piece of the answer, and the last piece says why the answer ended. A stream without such a piece
broke off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from essay_cohorts.calls import BROKEN_OFF

_DATA = "data:"
_FIELD_NAMES = (_DATA, "event:", "id:", "retry:", ":")
_DONE = "[DONE]"
_TEXTS = ("content", "refusal", "reasoning_content", "reasoning")

Parse = Callable[[str], dict[str, Any] | None]
Words = Callable[[object], str]


def is_stream(text: str) -> bool:
    """Return True if a text begins as a stream of server-sent events does."""
    return text.lstrip().startswith(_FIELD_NAMES)


def joined_events(text: str, *, parse: Parse, words: Words) -> dict[str, Any] | None:
    """Return the completion that the events form; None if no event is a JSON object.

    `parse` reads the JSON of an event, and `words` reads the text in a value.
    """
    lines = [line.strip().removeprefix(_DATA).strip() for line in text.splitlines()]
    events = [event for event in map(parse, lines) if event is not None]
    if not events:
        return None
    whole: dict[str, Any] = {key: _last(events, key) for key in ("model", "usage", "error")}
    choices = [choice for event in events for choice in _choices(event)]
    if choices:
        finish_reason = _last(choices, "finish_reason")
        ended = finish_reason or ("" if _DONE in lines else BROKEN_OFF)
        error = _last(choices, "error")
        whole["choices"] = [{"message": _message(choices, words), "finish_reason": ended, "error": error}]
    return whole


def _message(choices: list[Mapping[str, Any]], words: Words) -> dict[str, Any]:
    parts = list(_parts(choices))
    message: dict[str, Any] = {key: "".join(words(part.get(key)) for part in parts) for key in _TEXTS}
    calls = [call for part in parts for call in _list(part.get("tool_calls"))]
    functions = [
        call["function"] for call in calls if isinstance(call, dict) and isinstance(call.get("function"), dict)
    ]
    arguments = "".join(words(function.get("arguments")) for function in functions)
    return {**message, "tool_calls": [{"function": {"arguments": arguments}}]}


def _parts(choices: list[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for choice in choices:
        for part in (choice.get("delta"), choice.get("message")):
            if isinstance(part, dict):
                yield part


def _choices(event: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the first choice of an event. Any other choice is an answer that the request did not ask for."""
    return [choice for choice in _list(event.get("choices"))[:1] if isinstance(choice, dict)]


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _last(objects: list[Any], key: str) -> Any:
    """Return the last value of a key that is not empty."""
    return next((each[key] for each in reversed(objects) if each.get(key)), None)
