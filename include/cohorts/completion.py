"""Reading what an OpenAI-compatible server answers, whatever its shape: many servers are only nearly compatible.

The JSON is read as plain data: a text that was paid for is kept, however odd the rest of the answer is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from include.cohorts.atomic_files import storable
from include.cohorts.model import Usage


@dataclass(frozen=True, kw_only=True, slots=True)
class Completion:
    """The parts of a chat completion that are kept; `text` is "" when there is none.

    `error` is what the server said was wrong inside an answer with status 200, as some gateways do.
    """

    text: str
    response_model: str
    finish_reason: str
    usage: Usage
    error: str | None


def read_completion(content: bytes) -> Completion | None:
    """The completion in an answer's body; None when the body is no JSON object, or none of a completion."""
    body = _object(content)
    if body is None or not ("choices" in body or "error" in body):
        return None
    choice = _first(body.get("choices"))
    usage = body.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    return Completion(
        text=storable(_words(choice)),
        response_model=storable(_text(body.get("model"))),
        finish_reason=storable(_text(choice.get("finish_reason"))),
        usage=Usage(
            prompt_tokens=_count(counts.get("prompt_tokens")),
            completion_tokens=_count(counts.get("completion_tokens")),
        ),
        error=error_message(content) if body.get("error") else None,
    )


def error_message(content: bytes) -> str:
    """The words of an error's body: OpenAI's shape, `message`, `detail` or `error` as text, else the body itself."""
    body = _object(content)
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


def _words(choice: dict[str, Any]) -> str:
    """What the model said: its message, else its refusal, else the text of an older API."""
    message = choice.get("message")
    parts = message if isinstance(message, dict) else {}
    return _text(parts.get("content")) or _text(parts.get("refusal")) or _text(choice.get("text"))


def _object(content: bytes) -> dict[str, Any] | None:
    try:
        # Lenient: a BOM, a stray byte, a raw line end in a text or an endless number must not cost a reply.
        body = json.loads(content.decode("utf-8-sig", errors="replace"), strict=False, parse_int=_whole)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _first(choices: object) -> dict[str, Any]:
    choice = choices[0] if isinstance(choices, list) and choices else None
    return choice if isinstance(choice, dict) else {}


def _text(value: object) -> str:
    """A text, or the texts of a list of parts put together."""
    if isinstance(value, list):
        texts = [part.get("text") for part in value if isinstance(part, dict)]
        return "".join(text for text in texts if isinstance(text, str))
    return value if isinstance(value, str) else ""


def _whole(digits: str) -> int | None:
    return int(digits) if len(digits) < 16 else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
