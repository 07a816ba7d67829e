"""Reads the answers of OpenAI-compatible servers, in any shape, because many servers are only nearly compatible.

The JSON is read as plain data, so that a text that was paid for is kept however odd the rest of the answer is. A
server may stream although the request does not ask for that. The events of such an answer are joined first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from essay_cohorts.calls import BROKEN_OFF, Usage
from essay_cohorts.encoding import storable
from essay_cohorts.llm_client.event_stream import is_stream, join_events
from essay_cohorts.llm_client.server_errors import ServerError, error_in_answer
from essay_cohorts.records import price_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Completion:
    """The parts of a chat completion that are kept; `text` and `reasoning` are "" if there is none.

    `error` is the error that some gateways report inside an answer with status 200. A text that comes with an error
    broke off, so its `finish_reason` is BROKEN_OFF.
    """

    text: str
    reasoning: str
    response_model: str
    system_fingerprint: str
    finish_reason: str
    usage: Usage
    error: ServerError | None

    @property
    def says_something(self) -> bool:
        """True if the text or the reasoning holds more than blanks."""
        return bool(self.text.strip() or self.reasoning.strip())


def read_completion(content: bytes) -> Completion | None:
    """Return the completion in an answer's body; None if the body is not the JSON object of a completion."""
    body = _body(content)
    if body is None:
        return None
    found = _first(body.get("choices"))
    choice = found or {}
    error = error_in_answer(body, choice)
    if found is None and error is None:
        return None
    text, reasoning = storable(_words(choice)), storable(_reasoning(choice))
    finish_reason = storable(_text(choice.get("finish_reason")))
    has_words = bool(text.strip() or reasoning.strip())
    return Completion(
        text=text,
        reasoning=reasoning,
        response_model=storable(_text(body.get("model"))),
        system_fingerprint=storable(_text(body.get("system_fingerprint"))),
        finish_reason=BROKEN_OFF if error and has_words else finish_reason,
        usage=_usage(body.get("usage"), has_words=has_words),
        error=error,
    )


def error_message(content: bytes) -> str:
    """Return the message in an error's body.

    It is in `error.message` (OpenAI), `error`, `message` or `detail`; else the body itself is the message.
    """
    body = _object(_decoded(content))
    if body is not None:
        error = body.get("error")
        candidates = [
            error.get("message") if isinstance(error, dict) else error,
            body.get("message"),
            body.get("detail"),
        ]
        for candidate in candidates:
            if candidate:
                return storable(candidate if isinstance(candidate, str) else json.dumps(candidate))
    return " ".join(content.decode("utf-8", errors="replace").split())


def error_object(content: bytes) -> dict[str, Any]:
    """Return the error object in an error's body, with `code`, `param` and so on; empty if there is none."""
    body = _object(_decoded(content)) or {}
    error = body.get("error")
    return error if isinstance(error, dict) else body


def _body(content: bytes) -> dict[str, Any] | None:
    text = _decoded(content)
    body = None if is_stream(text) else _object(text)
    if body is not None and not _is_chunk(body):
        return body
    return join_events(text, parse_json=_object, read_text=_text)


def _is_chunk(body: Mapping[str, Any]) -> bool:
    choice = _first(body.get("choices")) or {}
    return "delta" in choice and "message" not in choice


def _words(choice: dict[str, Any]) -> str:
    """Return the words of the model: its message, its refusal, the text of an older API, or its tool arguments."""
    parts = _part(choice, "message")
    words = _text(parts.get("content")) or _text(parts.get("refusal")) or _text(choice.get("text"))
    return words or _tool_arguments(parts)


def _tool_arguments(message: dict[str, Any]) -> str:
    calls = message.get("tool_calls")
    functions = [call.get("function") for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    arguments = [
        function.get("arguments")
        for function in [*functions, message.get("function_call")]
        if isinstance(function, dict)
    ]
    try:
        return "\n".join(each if isinstance(each, str) else json.dumps(each) for each in arguments if each)
    except RecursionError:
        return ""


def _reasoning(choice: dict[str, Any]) -> str:
    """Return the reasoning, which servers put into `reasoning_content`, `reasoning` or `reasoning_details`."""
    parts = _part(choice, "message")
    return (
        _text(parts.get("reasoning_content"))
        or _text(parts.get("reasoning"))
        or _text(parts.get("reasoning_details"))
    )


def _usage(reported: object, *, has_words: bool) -> Usage:
    counts = reported if isinstance(reported, dict) else {}
    prompt, completion = _count(counts.get("prompt_tokens")), _count(counts.get("completion_tokens"))
    total = _count(counts.get("total_tokens"))
    # Every prompt and every text has tokens, so a server that reports 0 has not counted them.
    if prompt == 0 or (has_words and completion == 0 and (total or 0) <= (prompt or 0)):
        prompt = completion = total = None
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=total,
        cached_tokens=_count(_part(counts, "prompt_tokens_details").get("cached_tokens")),
        reasoning_tokens=_count(_part(counts, "completion_tokens_details").get("reasoning_tokens")),
        cost_usd=price_of(counts, "cost"),
    )


def _part(whole: dict[str, Any], key: str) -> dict[str, Any]:
    value = whole.get(key)
    return value if isinstance(value, dict) else {}


def _decoded(content: bytes) -> str:
    return content.decode("utf-8-sig", errors="replace")


def _object(text: str) -> dict[str, Any] | None:
    """Return the JSON object at the start of a text. Some gateways write `data: [DONE]` after it."""
    try:
        # Lenient, because a BOM, a stray byte, a raw line end in a text or an endless number must not lose a reply.
        body, _ = json.JSONDecoder(strict=False, parse_int=_whole).raw_decode(text.lstrip())
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _first(choices: object) -> dict[str, Any] | None:
    choice = choices[0] if isinstance(choices, list) and choices else None
    return choice if isinstance(choice, dict) else None


def _text(value: object) -> str:
    """Return a text, or the joined texts of a list of parts."""
    if isinstance(value, list):
        texts = [part.get("text") or part.get("summary") for part in value if isinstance(part, dict)]
        return "".join(text for text in texts if isinstance(text, str))
    return value if isinstance(value, str) else ""


def _whole(digits: str) -> int | None:
    return int(digits) if len(digits) < 16 else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
