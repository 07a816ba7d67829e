"""One request to a judge: sends it, reads the answer, and explains why there is no reply."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import httpx2
import openai

from essay_cohorts.calls import CallEnd, Failure, JudgeModel, Prompt, Reply, Usage
from essay_cohorts.llm_client.client_settings import CallRules
from essay_cohorts.llm_client.completion import Completion, error_message, error_object, read_completion
from essay_cohorts.llm_client.key_mask import KeyMask
from essay_cohorts.llm_client.retry_after import retry_after_s
from essay_cohorts.llm_client.server_errors import ServerError, error_of_status
from essay_cohorts.provenance import OFFLINE_OK, says_made_up

# The client takes these from OPENAI_ORG_ID and OPENAI_PROJECT_ID, and would send them to every server.
_FROM_ENVIRONMENT: Any = {"OpenAI-Organization": openai.Omit(), "OpenAI-Project": openai.Omit()}
# With these statuses a gateway gave up waiting. The model behind it may still have answered, and charged for it.
GATEWAY_TIMEOUTS = frozenset({504, 524})
_NO_COMPLETION = "not_a_completion"
_NEVER_SENT = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol"})


class NoReply(Exception):
    """A request ended without a reply: the failure, and what is known about its cost.

    Two refusals with the same `cause` suggest that further calls to the model would be refused too. `cause` is None
    if the failure says nothing about other calls.
    """

    def __init__(
        self,
        failure: Failure,
        end: CallEnd,
        usage: Usage | None = None,
        *,
        wait_s: float | None = None,
        cause: object = None,
    ) -> None:
        super().__init__(failure.message)
        self.failure, self.end, self.usage, self.wait_s, self.cause = failure, end, usage, wait_s, cause


class TryAgain(NoReply):
    """The next request may succeed, after `wait_s` seconds if the server asked for a wait."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """A reply; `again` is set if the reply broke off and the next request may bring a whole one."""

    reply: Reply
    again: TryAgain | None = None


class ApiRequests:
    """Sends requests over one client, each once. Retries are up to the caller.

    Replies of the offline judge are refused unless `accept_offline`. Messages name the `connection`.
    """

    def __init__(
        self, client: openai.AsyncOpenAI, rules: CallRules, *, accept_offline: bool, connection: str
    ) -> None:
        timeout = openai.Timeout(rules.total_timeout_s, connect=rules.connect_timeout_s, read=rules.read_timeout_s)
        # The client's own retries would be requests that no budget counts and no stop prevents.
        self._client = client.with_options(max_retries=0, timeout=timeout, default_headers=_FROM_ENVIRONMENT)
        self._key = KeyMask(client.api_key)
        self._rules, self._accept_offline, self._connection = rules, accept_offline, connection

    @cached_property
    def base_url(self) -> str:
        """The API's address without user, password and query."""
        return self._key.address(str(self._client.base_url.copy_with(userinfo=b"", query=None)))

    @property
    def _too_slow(self) -> str:
        place = f"the extra of the Connection {self._connection}"
        return f"Raise read_timeout_s in {place}: a request that times out may be billed"

    async def send(self, model: JudgeModel, prompt: Prompt) -> Answer:
        """Send one request and return its reply. NoReply if there is none, TryAgain if a retry makes sense."""
        try:
            async with asyncio.timeout(self._rules.total_timeout_s):
                # `chat.completions.create` would spend a fifth of a call's time on arguments that are never given.
                request = self._client.post("/chat/completions", cast_to=httpx2.Response, body=_body(model, prompt))
                answer = await request
        except (TimeoutError, openai.APITimeoutError) as error:
            end = _end_of(error)
            if end is CallEnd.NOT_CHARGED:
                message = f"cannot reach {self.base_url} within {self._rules.connect_timeout_s:g} s"
                raise TryAgain(Failure(kind="connection", message=message), end) from None
            waited = f"read {self._rules.read_timeout_s:g} s, total {self._rules.total_timeout_s:g} s"
            message = f"no answer in time ({waited}). {self._too_slow}"
            raise TryAgain(Failure(kind="timeout", message=message), end) from None
        except openai.APIStatusError as error:
            answered = error.response
            server_error = error_of_status(
                error.status_code,
                error_object(answered.content),
                error_message(answered.content),
                {name.lower(): value for name, value in answered.headers.items()},
            )
            raise self._no_reply(server_error) from None
        except openai.APIConnectionError as error:
            message = self._key.message(f"cannot reach {self.base_url}: {error.__cause__ or error}")
            raise TryAgain(Failure(kind="connection", message=message), _end_of(error)) from None
        except (openai.APIError, ValueError) as error:
            failure = Failure(kind=_NO_COMPLETION, message=self._key.message(f"unreadable answer: {error}"))
            raise NoReply(failure, CallEnd.UNKNOWN, cause=_NO_COMPLETION) from None
        return self._read(answer.content)

    def _read(self, content: bytes) -> Answer:
        completion = read_completion(content)
        if completion is None:
            begins = self._key.message(content[:200].decode("utf-8", errors="replace"))
            message = (
                f"{self.base_url} answered with something that is not a chat completion; is it the API's base URL?"
            )
            failure = Failure(kind=_NO_COMPLETION, message=f"{message} It begins: {begins}")
            raise NoReply(failure, CallEnd.UNKNOWN, cause=_NO_COMPLETION)
        self._refuse_made_up(completion)
        error = completion.error
        if error is not None and not completion.says_something:
            raise self._no_reply(error, completion.usage)
        reply = Reply(
            text=completion.text,
            reasoning=completion.reasoning,
            response_model=self._key.kept(completion.response_model),
            system_fingerprint=self._key.kept(completion.system_fingerprint),
            finish_reason=self._key.kept(completion.finish_reason),
            usage=completion.usage,
            attempts=1,
            duration_s=0.0,
        )
        ended = None if error is None else self._no_reply(error)
        return Answer(reply=reply, again=ended if isinstance(ended, TryAgain) else None)

    def _refuse_made_up(self, completion: Completion) -> None:
        """Raise NoReply for a reply of the offline judge, unless such replies are accepted."""
        if self._accept_offline or not says_made_up(completion.response_model):
            return
        message = (
            f"the reply says that it comes from {completion.response_model}, which is not a model. Point "
            f"the Connection {self._connection} at a real API: "
            f"made-up scores are accepted only if there is a {OFFLINE_OK}"
        )
        failure = Failure(kind="offline_reply", message=message, stops="connection")
        raise NoReply(failure, CallEnd.CHARGED, completion.usage)

    def _no_reply(self, error: ServerError, usage: Usage | None = None) -> NoReply:
        """Return the end of a request that met this error, as an HTTP status or inside an answer."""
        status = error.status
        message = self._key.message(f"the server said {status or 'an error'}: {error.message}")
        next_step = error.next_step(self._connection)
        if next_step:
            message = f"{message}. {next_step}"
        if status in GATEWAY_TIMEOUTS:
            message = f"{message}. The gateway in front of the model gave up waiting. {self._too_slow}"
        kind = f"http_{status}" if status else "error_in_answer"
        failure = Failure(kind=kind, message=message, status=status, stops=error.stops)
        end = CallEnd.UNKNOWN if status is None or status in GATEWAY_TIMEOUTS else CallEnd.NOT_CHARGED
        cause = None if error.is_about_one_essay else error.signature
        if not error.is_temporary:
            return NoReply(failure, end, usage if status is None else None, cause=cause)
        wait = retry_after_s(error.headers, time.time())
        if wait is not None and wait > self._rules.longest_retry_after_s:
            return NoReply(replace(failure, message=f"{message} (it asks to wait {wait:g} s)"), end, cause=cause)
        return TryAgain(failure, end, wait_s=wait)


def _end_of(error: Exception) -> CallEnd:
    """Return NOT_CHARGED for a request that was never sent; any other request may be on the bill."""
    return CallEnd.NOT_CHARGED if type(error.__cause__).__name__ in _NEVER_SENT else CallEnd.UNKNOWN


def _body(model: JudgeModel, prompt: Prompt) -> dict[str, Any]:
    """Return the body of a request. It asks for no stream, because a gateway may stream by default."""
    system = [{"role": "system", "content": prompt.system}] if prompt.system else []
    body: dict[str, Any] = {
        "model": model.model,
        "messages": [*system, {"role": "user", "content": prompt.text}],
        "stream": False,
        **({"response_format": json.loads(prompt.response_format)} if prompt.response_format else {}),
        **(json.loads(model.request) if model.request else {}),
    }
    if model.temperature is not None:
        body["temperature"] = model.temperature
    if model.max_tokens is not None:
        body[model.max_tokens_field] = model.max_tokens
    return body
