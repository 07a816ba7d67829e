"""Interprets a server's error: what else it concerns, whether a retry makes sense, and what a person can do.

An error may come as an HTTP status or inside an answer with status 200. Both become the same `ServerError`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from essay_cohorts.calls import BROKEN_OFF
from essay_cohorts.llm_client.connection import variable_of

_RETRIED = frozenset({408, 409, 429})
_STOPS: Mapping[int, Literal["connection", "model"]] = {
    401: "connection",
    402: "connection",
    403: "model",
    404: "model",
}
_MODELS, _TEMPLATES = "1_raw/llm_models.csv", "1_raw/evaluation_templates.csv"
_HINTS = {
    401: "Put a valid API key into the Connection {connection} (Admin > Connections, or {variable})",
    402: "Top up the account behind the Connection {connection}",
    403: "The key of the Connection {connection} may not use this model",
    404: f"Check the column model of {_MODELS} and the host of the Connection {{connection}}",
}
_UNCLEAR = f"Check the key and the host of the Connection {{connection}}, and the model's row in {_MODELS}"
# Refusals of one essay's text say nothing about the model, because the next essay may be accepted.
_OF_ONE_ESSAY = re.compile(
    r"content_filter|content_policy|context_length|context_window|responsibleaipolicy|data_inspection|moderation"
    r"|invalid_prompt|string_above_max_length|flagged|content management policy|content filter|maximum context length"
    r"|context window|prompt is too long|too many tokens",
    re.IGNORECASE,
)
# LiteLLM passes on only the message of OpenAI's insufficient_quota. Without the name of the API the words are not
# enough, because Gemini sends them for a limit per minute, too.
_NO_CREDIT_BEHIND_LITELLM = "OpenAIException - You exceeded your current quota"
_ESSAY_STATUSES = frozenset({400, 403, 413, 422, 451})
# The statuses of errors that come as a name without a number.
_BY_NAME = {
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "insufficient_quota": 429,
    "invalid_api_key": 401,
    "authentication_error": 401,
    "model_not_found": 404,
    "overloaded_error": 503,
    "server_error": 500,
    "internal_error": 500,
    "api_error": 500,
    "content_filter": 400,
    "context_length_exceeded": 400,
    "invalid_request_error": 400,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerError:
    """An error as a server reports it: status (None if not reported), code, message, and the headers of the response.

    `broke_off` is True if the server met the error in the middle of its answer.
    """

    message: str
    status: int | None = None
    code: str = ""
    param: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    broke_off: bool = False

    @property
    def is_about_one_essay(self) -> bool:
        """True if the server refuses this prompt, not the model or the key."""
        words = f"{self.code} {self.message}"
        return self.status in _ESSAY_STATUSES and _OF_ONE_ESSAY.search(words) is not None

    @property
    def is_out_of_credit(self) -> bool:
        """True if the account has no credit. OpenAI reports this as a 429, although waiting does not help."""
        says_so = self.code == "insufficient_quota" or _NO_CREDIT_BEHIND_LITELLM in self.message
        return self.status == 402 or (self.status == 429 and says_so)

    @property
    def is_temporary(self) -> bool:
        """True if the same request may succeed later."""
        if self.status is None:
            return self.broke_off
        return not self.is_out_of_credit and (self.status in _RETRIED or self.status >= 500)

    @property
    def stops(self) -> Literal["connection", "model"] | None:
        """Whether the cause makes all further calls over the connection, or to the model, useless."""
        if self.is_about_one_essay:
            return None
        return "connection" if self.is_out_of_credit else _STOPS.get(self.status or 0)

    def next_step(self, connection: str) -> str:
        """Return the step that a person can take; "" if there is none but waiting."""
        if self.is_temporary or self.is_about_one_essay:
            return ""
        if self.status is None:
            return "Clear the run to ask again once the server works"
        words = f"{self.param} {self.message}"
        for parameter, step in (
            ("max_tokens", f"Write max_completion_tokens into the column max_tokens_field of {_MODELS}"),
            ("temperature", f"Empty the column temperature of {_MODELS}"),
            ("response_format", f"Empty the column response_format of {_TEMPLATES}, and let the prompt ask for JSON"),
            ("json_schema", f"Empty the column response_format of {_TEMPLATES}, and let the prompt ask for JSON"),
        ):
            if self.status in (400, 422) and parameter in words:
                return step
        hint = _HINTS.get(402 if self.is_out_of_credit else self.status or 0, _UNCLEAR)
        return hint.format(connection=connection, variable=variable_of(connection))

    @property
    def signature(self) -> tuple[object, ...]:
        """Equal for two refusals with the same cause: the status with the code, or with the message without ids."""
        cause = self.code if self.code and not self.code.isdecimal() else _without_ids(self.message)
        return self.status, cause


def error_in_answer(body: Mapping[str, Any], choice: Mapping[str, Any]) -> ServerError | None:
    """Return the error in an answer with status 200, in its choice or in its body; None if there is none."""
    broke_off = choice.get("finish_reason") == BROKEN_OFF
    reported = choice.get("error") or body.get("error")
    if not reported and body.get("object") == "error":
        reported = body
    if not reported:
        return ServerError(message="the reply broke off", broke_off=True) if broke_off else None
    error = reported if isinstance(reported, dict) else {"message": reported}
    return ServerError(
        message=_message(error),
        status=_status(error),
        code=_word(error, "code") or _word(error, "type"),
        param=_word(error, "param"),
        headers=_headers(error.get("metadata")),
        broke_off=broke_off,
    )


def error_of_status(status: int, error: Mapping[str, Any], message: str, headers: Mapping[str, str]) -> ServerError:
    """Return the error of an HTTP status and the error object in its body."""
    inner = error.get("innererror")
    code = _word(error, "code") or (_word(inner, "code") if isinstance(inner, dict) else "")
    return ServerError(message=message, status=status, code=code, param=_word(error, "param"), headers=headers)


def _status(error: Mapping[str, Any]) -> int | None:
    words = [_word(error, key) for key in ("code", "status", "status_code")]
    found = [int(word) for word in words if word.isascii() and word.isdigit() and len(word) == 3]
    named = [_BY_NAME[word] for word in (_word(error, "code"), _word(error, "type")) if word in _BY_NAME]
    return next((status for status in [*found, *named] if 400 <= status < 600), None)


def _word(error: Mapping[str, Any], key: str) -> str:
    """Return a text, or a whole number as text; "" for any other value."""
    value = error.get(key)
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _message(error: Mapping[str, Any]) -> str:
    message = error.get("message") or error
    if isinstance(message, str):
        return message
    try:
        return json.dumps(message)[:1_000]
    except RecursionError:
        return "an error nested too deep to show"


def _headers(metadata: object) -> dict[str, str]:
    headers = metadata.get("headers") if isinstance(metadata, dict) else None
    return {str(name).lower(): str(value) for name, value in headers.items()} if isinstance(headers, dict) else {}


def _without_ids(message: str) -> str:
    return " ".join(re.sub(r"\S*\d\S*", "#", message.lower()).split())
