"""The tally of the offline judge: the requests that it received, and the counts of its answers."""

import time
from collections import Counter, deque
from dataclasses import dataclass, field
from hashlib import blake2b, sha256
from typing import Any

from devtools.offline_judge.answers import Answer, Call, completion, made_up_score, utf8
from devtools.offline_judge.reply_form import reply_text

NO_REPLY = 499
"""The status recorded for a request whose connection was closed, by either side, before an answer was sent."""


@dataclass(kw_only=True, slots=True)
class Tally:
    """The requests to one server since its start or since the last DELETE /requests."""

    records: deque[dict[str, Any]]
    requests: int = 0
    replies: int = 0
    peak_in_flight: int = 0
    by_status: Counter[int] = field(default_factory=Counter)
    answered: Counter[bytes] = field(default_factory=Counter)
    tokens: dict[str, Counter[str]] = field(default_factory=dict)

    @property
    def in_flight(self) -> int:
        """How many requests have no answer yet."""
        return self.requests - self.by_status.total()

    def arrive(self, token: str, body: object, call: Call | Answer) -> dict[str, Any]:
        """Count a new request and return its record, whose `status` is null until `end`."""
        self.requests += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
        model, prompt = (call.model, call.prompt) if isinstance(call, Call) else (None, "")
        # Headers were decoded as latin-1, so this encoding restores the bytes that the client sent.
        digest = sha256(token.encode("latin-1")).hexdigest() if token else None
        record = {"n": self.requests, "at": time.time(), "model": model, "prompt": prompt, "body": body}
        record |= {"key_sha256": digest, "status": None}
        self.records.append(record)
        return record

    def end(self, record: dict[str, Any], answer: Answer | None) -> None:
        """Count the request as ended; None means that the connection closed without an answer."""
        record["status"] = answer.status if answer else NO_REPLY
        self.by_status[record["status"]] += 1
        self.replies += bool(answer and answer.has_text)
        if answer and answer.status == 200:
            usage, bill = answer.payload["usage"], self.tokens.setdefault(str(record["model"]), Counter())
            bill.update({name: usage[name] for name in ("prompt_tokens", "completion_tokens")})

    def scored(self, call: Call, number: int, prose: str = "") -> Answer:
        """Make the ordinary reply; only this reply advances the prompt's sequence of scores.

        The scores are on the scale that the prompt names, with a score for each criterion that it asks for.
        """
        key = blake2b(b"\0".join((utf8(call.model), utf8(call.prompt))), digest_size=16).digest()
        n = self.answered[key]
        self.answered[key] += 1

        def made_up(name: str) -> float:
            own = key if name == "score" else blake2b(key + name.encode(), digest_size=16).digest()
            return made_up_score(own, n)

        return completion(call, number, prose + reply_text(call, made_up))
