"""What the offline judge answers: made-up scores, and the rules by which it goes wrong when told to."""

import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from random import Random
from typing import Any

NOTICE = (
    "This comes from the offline judge, which is a program for trying things out and not a language model. "
    "It has not read the essay, and the number it gives is made up from a hash of the prompt. "
    "Please do not take it for anyone's judgement."
)
_PROSE = "The offline judge is not a model and was told to ramble. An essay is a fine thing to have written."
CANNED = {"truncate": (NOTICE, "length"), "garbage": (_PROSE, "stop"), "empty": ("", "stop")}
_ERROR_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}

Kind = tuple[str, Callable[[Any], bool]]
"""What the value of one key of a fault rule must be, in words and as a check."""

_TEXT: Kind = ("a text", lambda v: isinstance(v, str))
_COUNT: Kind = ("a whole number from 0", lambda v: type(v) is int and v >= 0)
_STATUS: Kind = ("a status from 400 to 599", lambda v: type(v) is int and 400 <= v < 600)
_SECONDS: Kind = ("a number of seconds from 0", lambda v: type(v) in (int, float) and 0 <= v < math.inf)
_HEADER: Kind = ("printable ASCII text", lambda v: isinstance(v, str) and v.isascii() and v.isprintable())

_CHANCE: Kind = ("a number from 0 to 1", lambda v: type(v) in (int, float) and 0 <= v <= 1)
_RATE: Kind = ("a whole number from 1", lambda v: type(v) is int and v >= 1)

_MATCHING = {"fault": _TEXT, "contains": _TEXT, "times": _COUNT, "model": _TEXT, "chance": _CHANCE, "seed": _COUNT}
_FAULTS: dict[str, dict[str, Kind]] = {
    "status": {"status": _STATUS, "message": _TEXT, "retry_after": _SECONDS, "retry_after_raw": _HEADER},
    "latency": {"seconds": _SECONDS},
    "rate_limit": {"per_second": _RATE, "retry_after": _SECONDS},
    "length": {"most_tokens": _COUNT},
    "reply": {"content": _TEXT, "finish_reason": _TEXT, "requested_model": _TEXT},
} | {fault: {} for fault in ("hang", "disconnect", *CANNED)}
_NEEDED = {
    ("status", "status"),
    ("latency", "seconds"),
    ("reply", "content"),
    ("rate_limit", "per_second"),
    ("length", "most_tokens"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One request that can be answered: the model it names and the texts of its messages."""

    model: str
    contents: list[str]
    prompt: str
    max_tokens: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What goes back over HTTP; `has_text` says whether it is a completion with a text in it."""

    status: int
    payload: dict[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    has_text: bool = False


def error_answer(status: int, message: str, headers: Mapping[str, str] | None = None) -> Answer:
    """Return an error in the shape that OpenAI's clients read."""
    kind = "server_error" if status >= 500 else _ERROR_TYPES.get(status, "invalid_request_error")
    error = {"message": message, "type": kind, "code": None, "param": None}
    return Answer(status=status, payload={"error": error}, headers=headers or {})


def read_call(body: object) -> Call | Answer:
    """Return the call that the decoded body makes, or the 400 that says what it lacks."""
    match body:
        case {"model": str(model), "messages": [_, *_] as messages} if model:
            found = [message.get("content") for message in messages if isinstance(message, dict)]
            contents = [content for content in found if isinstance(content, str)]
            if len(contents) == len(messages):
                return Call(model=model, contents=contents, prompt="\n".join(contents), max_tokens=_limit(body))
    wanted = "a JSON object with a 'model' and a list of 'messages', each with a text as its 'content'"
    return error_answer(400, f"The body is not {wanted}.")


def _limit(body: object) -> int | None:
    """Return the limit on the reply's tokens, under either of its names."""
    match body:
        case {"max_tokens": int(limit)} | {"max_completion_tokens": int(limit)} if limit >= 0:
            return limit
    return None


def utf8(text: str) -> bytes:
    """Return the bytes of a text that may hold half a surrogate pair."""
    # JSON can spell half a surrogate pair, which plain UTF-8 refuses.
    return text.encode("utf-8", "surrogatepass")


def _tokens(texts: list[str]) -> int:
    return math.ceil(sum(len(utf8(text)) for text in texts) / 4)


def made_up_score(key: bytes, n: int) -> float:
    """Return a number from 2.5 to 8.5 with one decimal, for the prompt of this 16-byte hash after n replies to it.

    A base from 3 to 8 that depends on the key alone, plus a jitter from -0.5 to 0.5 that depends on n too.
    """
    jitter = int.from_bytes(blake2b(b"%b%d" % (key, n), digest_size=8).digest()) / 2**64 - 0.5
    return round(3 + 5 * int.from_bytes(key) / 2**128 + jitter, 1)


def completion(
    call: Call, number: int, content: str, finish_reason: str | None = None, model: str | None = None
) -> Answer:
    """Return a 200 in OpenAI's chat.completion shape; a token is counted for every four bytes of UTF-8.

    A text beyond the call's limit of tokens is cut off there, as a model's would be.
    """
    if call.max_tokens is not None and _tokens([content]) > call.max_tokens:
        content, finish_reason = utf8(content)[: 4 * call.max_tokens].decode("utf-8", "ignore"), "length"
    message = {"role": "assistant", "content": content, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason or "stop"}
    asked, said = _tokens(call.contents), _tokens([content])
    payload = {
        "id": f"chatcmpl-offline-{number}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model or f"offline-judge-not-a-model/{call.model}",
        "choices": [choice],
        "usage": {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said},
    }
    return Answer(status=200, payload=payload, has_text=bool(content))


def rule_problems(index: int, rule: Any) -> list[str]:
    """Return all that is wrong with one rule, a sentence each; rules count from 0, and a null is as no key."""
    if not isinstance(rule, dict):
        return [f"Rule {index} is not a JSON object."]
    fault = rule.get("fault")
    if not isinstance(fault, str) or fault not in _FAULTS:
        return [f"Rule {index} names no known 'fault' but {fault!r}; known are {', '.join(_FAULTS)}."]
    place, kinds = f"Rule {index} ({fault})", _MATCHING | _FAULTS[fault]
    unknown = [key for key in rule if key not in kinds]
    problems = [f"{place} has the unknown key {key!r}; known are {', '.join(kinds)}." for key in unknown]
    for key, (words, holds) in kinds.items():
        value = rule.get(key)
        if (fault, key) in _NEEDED if value is None else not holds(value):
            problems.append(f"{place} needs {words} in {key!r}, not {value!r}.")
    return problems


@dataclass(kw_only=True, slots=True)
class Rule:
    """One checked fault rule, its keys as they were sent, and how often it was applied."""

    keys: dict[str, Any]
    fired: int = 0
    granted: deque[float] = field(default_factory=deque)
    chances: Random = field(init=False)

    def __post_init__(self) -> None:
        self.chances = Random(self.keys.get("seed") or 0)  # noqa: S311  (made-up faults)

    def applies_to(self, call: Call) -> bool:
        """Return whether the call matches and the rule is not used up."""
        if self.keys.get("times") is not None and self.fired >= self.keys["times"]:
            return False
        model = self.keys.get("requested_model" if self.keys["fault"] == "reply" else "model")
        if model not in (None, call.model) or (self.keys.get("contains") or "") not in call.prompt:
            return False
        if self.keys.get("chance") is not None and self.chances.random() >= self.keys["chance"]:
            return False
        return self.keys["fault"] != "rate_limit" or self._is_over(time.monotonic())

    def _is_over(self, now: float) -> bool:
        """Return whether as many requests as are allowed were granted within the last second.

        Else grants this one.
        """
        while self.granted and self.granted[0] <= now - 1:
            self.granted.popleft()
        if len(self.granted) >= self.keys["per_second"]:
            return True
        self.granted.append(now)
        return False

    def prose(self) -> str:
        """Words to put before a score: a text of random length, up to `most_tokens`."""
        return "Bla " * self.chances.randint(0, self.keys["most_tokens"])


def told_status(keys: Mapping[str, Any]) -> Answer:
    """Return the error answer that a fault rule asks for."""
    waits = [keys[key] for key in ("retry_after_raw", "retry_after") if keys.get(key) is not None]
    message = keys.get("message") or f"The offline judge was told to say {keys['status']}."
    return error_answer(keys["status"], message, {"Retry-After": str(waits[0])} if waits else None)
