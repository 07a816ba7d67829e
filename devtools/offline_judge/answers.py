"""The answers of the offline judge: completions with made-up scores, and errors."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

NOTICE = (
    "This comes from the offline judge, which is a program for trying things out and not a language model. "
    "It has not read the essay, and the number it gives is made up from a hash of the prompt. "
    "Please do not take it for anyone's judgement."
)
_ERROR_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One valid request: the model that it names and the texts of its messages.

    `properties` are those of the JSON schema that the reply must have; empty if the request names none.
    """

    model: str
    contents: list[str]
    prompt: str
    max_tokens: int | None = None
    properties: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """An HTTP answer; `has_text` says whether it is a completion with a text."""

    status: int
    payload: dict[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    has_text: bool = False


def error_answer(status: int, message: str, headers: Mapping[str, str] | None = None) -> Answer:
    """Make an error in the shape that OpenAI's clients read."""
    kind = "server_error" if status >= 500 else _ERROR_TYPES.get(status, "invalid_request_error")
    error = {"message": message, "type": kind, "code": None, "param": None}
    return Answer(status=status, payload={"error": error}, headers=headers or {})


def read_call(body: object) -> Call | Answer:
    """Return the call in the decoded body, or a 400 answer that says what the body must be."""
    match body:
        case {"model": str(model), "messages": [_, *_] as messages} if model:
            found = [message.get("content") for message in messages if isinstance(message, dict)]
            contents = [content for content in found if isinstance(content, str)]
            if len(contents) == len(messages):
                return Call(
                    model=model,
                    contents=contents,
                    prompt="\n".join(contents),
                    max_tokens=_limit(body),
                    properties=_properties(body),
                )
    wanted = "a JSON object with a 'model' and a list of 'messages', each with a text as its 'content'"
    return error_answer(400, f"The body is not {wanted}.")


def _limit(body: object) -> int | None:
    """Return the limit on the reply's tokens, under either of its names; None without one."""
    match body:
        case {"max_tokens": int(limit)} | {"max_completion_tokens": int(limit)} if limit >= 0:
            return limit
    return None


def _properties(body: object) -> dict[str, Any]:
    """Return the properties of the request's JSON schema; empty without a schema of objects."""
    match body:
        case {"response_format": {"json_schema": {"schema": {"properties": dict(properties)}}}}:
            return {str(name): kind for name, kind in properties.items() if isinstance(kind, dict)}
    return {}


def utf8(text: str) -> bytes:
    """Encode a text that may hold half a surrogate pair, which JSON allows and plain UTF-8 refuses."""
    return text.encode("utf-8", "surrogatepass")


def _tokens(texts: list[str]) -> int:
    return math.ceil(sum(len(utf8(text)) for text in texts) / 4)


def made_up_score(key: bytes, n: int) -> float:
    """Return a score from 2.5 to 8.5 with one decimal; `key` is the prompt's 16-byte hash, `n` the earlier replies.

    The score is a base from 3 to 8 that depends on the key alone, plus a jitter from -0.5 to 0.5 that depends on n,
    too.
    """
    jitter = int.from_bytes(blake2b(b"%b%d" % (key, n), digest_size=8).digest()) / 2**64 - 0.5
    return round(3 + 5 * int.from_bytes(key) / 2**128 + jitter, 1)


def completion(
    call: Call, number: int, content: str, finish_reason: str | None = None, model: str | None = None
) -> Answer:
    """Make a 200 answer in OpenAI's chat.completion shape; every four bytes of UTF-8 count as a token.

    A text that exceeds the call's limit of tokens is cut off at the limit, as a model's reply would be.
    """
    if call.max_tokens is not None and _tokens([content]) > call.max_tokens:
        content, finish_reason = utf8(content)[: 4 * call.max_tokens].decode("utf-8", "ignore"), "length"
    message = {"role": "assistant", "content": content, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason or "stop"}
    prompt_tokens, completion_tokens = _tokens(call.contents), _tokens([content])
    payload = {
        "id": f"chatcmpl-offline-{number}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model or f"offline-judge-not-a-model/{call.model}",
        "choices": [choice],
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
        },
    }
    return Answer(status=200, payload=payload, has_text=bool(content))
