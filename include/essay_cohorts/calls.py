"""What is sent to a judge and what comes back, as frozen values. See docs/glossary.md for the words."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Literal

# The finish_reason of a reply that the server cut off, and of one that broke off.
TRUNCATED, BROKEN_OFF = "length", "error"

# The connection of a judge whose row names none: the id of an address and a key of an LLM's API.
DEFAULT_CONNECTION = "llm_default"

# The kind of a failure that is none: the run's budget had no room for the call.
DEFERRED = "deferred"


class CallEnd(StrEnum):
    """How a request to a judge ended: what it cost is known for all but the last."""

    REPLY = "reply"
    CHARGED = "charged"
    NOT_CHARGED = "not_charged"
    UNKNOWN = "unknown"


class Room(StrEnum):
    """Whether a budget has room for one more request; LATER: perhaps once those under way have ended."""

    YES = "yes"
    LATER = "later"
    NO = "no"


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompt:
    """What a judge is sent: `text` as the user's message and before it `system`, unless that is empty.

    `response_format` is the form that the reply must have, as JSON text; "" leaves the form to the judge.
    """

    text: str
    system: str = ""
    response_format: str = ""

    @property
    def whole(self) -> str:
        """Everything that a server counts as input, as one text."""
        return self.system + self.text + self.response_format


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgeModel:
    """A judge: `id` names it in gen_ids and metadata, `model` is what the API is sent; prices are per 1e6 tokens.

    `request` is a JSON object as canonical text, merged into the request's body; "" when there is nothing to merge.
    `connection` names the address and the key of the API. The last three limit the requests of all runs together.
    """

    id: str
    model: str
    temperature: float | None = None
    max_tokens: int | None = None
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    input_usd_per_mtok: float | None = None
    output_usd_per_mtok: float | None = None
    request: str = ""
    cached_input_usd_per_mtok: float | None = None
    connection: str = DEFAULT_CONNECTION
    max_in_flight: int | None = None
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """Tokens as the server counted them, and the cost in USD that it told; None where it did not say.

    `cached_tokens` are part of the prompt's, `reasoning_tokens` of the completion's or, at some servers, only of the
    total's.
    """

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None

    @property
    def tokens(self) -> int:
        """All tokens, 0 if the server did not count them."""
        return self.total_tokens or (self.prompt_tokens or 0) + (self.completion_tokens or 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Spending:
    """What a DagRun's requests have cost so far, in USD; retried and failed ones count as calls too.

    `settled_usd` is known. `in_flight_usd` is the worst case of requests under way, `unknown_usd` that of requests of
    which nobody will learn whether they were paid for. A request without a known price counts 0.
    """

    calls: int = 0
    settled_usd: float = 0.0
    in_flight: int = 0
    in_flight_usd: float = 0.0
    unknown: int = 0
    unknown_usd: float = 0.0

    def __add__(self, other: Spending) -> Spending:
        """Return the sum, field by field."""
        return Spending(**{each.name: getattr(self, each.name) + getattr(other, each.name) for each in fields(self)})

    def with_request(self, worst_usd: float | None) -> Spending:
        """Return the spending with one more request in flight."""
        usd = self.in_flight_usd + (worst_usd or 0.0)
        return replace(self, calls=self.calls + 1, in_flight=self.in_flight + 1, in_flight_usd=usd)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """What an LLM answered; `duration_s` covers all attempts and the waits between them, in seconds.

    `call` is the name under which the journal of calls knows the request that it answers. `reasoning` is what the
    server returned apart from the text. `system_fingerprint` is the server's name for the state of its machinery, or
    "" if it does not send one.
    """

    text: str
    reasoning: str = ""
    response_model: str
    finish_reason: str
    usage: Usage
    attempts: int
    duration_s: float
    call: str = ""
    system_fingerprint: str = ""

    @property
    def truncated(self) -> bool:
        """True when the server cut the reply off at its token limit."""
        return self.finish_reason == TRUNCATED


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """Why a call got no reply. `stops` says how far the cause reaches: to the model, or to all of its connection."""

    kind: str
    message: str
    status: int | None = None
    attempts: int = 0
    stops: Literal["connection", "model"] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Stop:
    """A cause that makes further calls useless: for one model, or for the whole run when `model_id` is None.

    A cause that concerns a connection is written as one stop for each of its judges, or as a stop of the run if the
    connection has all judges of the run. Versions that know only one connection read both.

    `try_number` is that of the task that met it: a later try was started because the cause is thought to be fixed.
    """

    model_id: str | None
    kind: str
    message: str
    status: int | None = None
    try_number: int = 1

    def concerns(self, model_id: str) -> bool:
        """Return True when calls to this model must not be made."""
        return self.model_id is None or self.model_id == model_id
