"""Asking a judge: one chat completion over an OpenAI-compatible API, with the retry rules of this project.

An expected failure is a value (`Failure`), never an exception. What is retried: connection errors, timeouts, 408,
409, 429 and 5xx, be they HTTP statuses or told inside an answer, with exponential backoff and jitter; a `Retry-After`
is obeyed for its own request. Whatever else a server answers is asked once: a reply without a text was paid for too.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import httpx2
import openai
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    wait_random_exponential,
)

from essay_cohorts.calls import CallEnd, Failure, JudgeModel, Prompt, Reply, Stop, Usage
from essay_cohorts.files.crash_points import reach_under_way
from essay_cohorts.llm_client.client_settings import CallRules
from essay_cohorts.llm_client.completion import Completion, error_message, error_object, read_completion
from essay_cohorts.llm_client.failure_streaks import FailureStreaks
from essay_cohorts.llm_client.key_mask import KeyMask
from essay_cohorts.llm_client.pace import CallPace
from essay_cohorts.llm_client.retry_after import retry_after_s
from essay_cohorts.llm_client.server_errors import ServerError, error_of_status
from essay_cohorts.provenance import OFFLINE_OK, says_made_up

# How a reply's model name begins when a stand-in made it up.
# A gateway gave up waiting: the model behind it may have answered, and the answer may be on the bill.
_GATEWAY_TIMEOUTS = frozenset({504, 524})
_NO_COMPLETION = "not_a_completion"
_NEVER_SENT = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol"})
_TOO_SLOW = "Raise read_timeout_s in the extra of the Connection llm_default: a request that times out may be billed"


class CallSpending(Protocol):
    """What the requests for one evaluation are paid from."""

    async def reserve(self, model: JudgeModel, prompt: Prompt) -> str | Failure:
        """Called before each request: its name once it is written down, or why it may not be made."""

    async def settle(self, model: JudgeModel, call: str, end: CallEnd, usage: Usage | None = None) -> None:
        """Called once it is known how the request ended."""

    async def keep(self, model: JudgeModel, prompt: Prompt, reply: Reply) -> None:
        """Called with a reply that broke off, before it is asked for again: stores and settles it."""


class Judge:
    """Asks models over one client. Before every request `stop_for` says whether calls to a model still make sense.

    At most `calls_at_once` requests are under way, fewer to a model whose server answers 429. Replies that say they
    are made up are refused unless `accept_offline`.
    """

    def __init__(
        self,
        client: openai.AsyncOpenAI,
        rules: CallRules,
        *,
        accept_offline: bool,
        calls_at_once: int,
        stop_for: Callable[[str], Stop | None] = lambda _: None,
    ) -> None:
        timeout = openai.Timeout(rules.total_timeout_s, connect=rules.connect_timeout_s, read=rules.read_timeout_s)
        # The client's own retries would be calls that nobody counts and no stop prevents.
        self._client = client.with_options(max_retries=0, timeout=timeout)
        self._key = KeyMask(client.api_key)
        self._rules, self._accept_offline, self._stop_for = rules, accept_offline, stop_for
        self._streaks = FailureStreaks(calls_at_once)
        self._calls_at_once = calls_at_once
        self._paces: dict[str, CallPace] = {}
        self._asking: set[asyncio.Task[Any] | None] = set()
        self._is_ending = False

    @cached_property
    def base_url(self) -> str:
        """The API's address without user, password and query."""
        return self._key.address(str(self._client.base_url.copy_with(userinfo=b"", query=None)))

    def asks_at_once(self, model: JudgeModel) -> bool:
        """False when a request to the model would wait, for its server is slow or calls to it were stopped."""
        return self._pace(model).is_free and self._stop_for(model.id) is None

    def end_soon(self) -> frozenset[asyncio.Task[Any] | None]:
        """From now on no request is tried again; returns the tasks whose requests are under way."""
        self._is_ending = True
        return frozenset(self._asking)

    async def ask(self, model: JudgeModel, prompt: Prompt, spending: CallSpending) -> Reply | Failure:
        """The model's reply to `prompt`, or why there is none.

        All requests are settled in `spending` but the one that a reply answers: the caller settles that one once the
        reply is stored. A reply that broke off is kept there before the next request, or is the answer when there is
        no next one.
        """
        started, attempts = time.monotonic(), 0
        try:
            async for attempt in self._attempts():
                with attempt:
                    async with self._pace(model).turn() as turn:
                        stop = self._stop_for(model.id)
                        if stop is not None:
                            return Failure(
                                kind="stopped", message=stop.message, status=stop.status, attempts=attempts
                            )
                        call = await spending.reserve(model, prompt)
                        if isinstance(call, Failure):
                            return replace(call, attempts=attempts)
                        attempts += 1
                        answer = await self._send(model, prompt, spending, call, turn)
                    if isinstance(answer, Failure):
                        return replace(answer, attempts=attempts)
                    duration_s = round(time.monotonic() - started, 3)
                    reply = replace(answer.reply, attempts=attempts, duration_s=duration_s, call=call)
                    if answer.again is None or self._is_last(attempts):
                        return reply
                    await spending.keep(model, prompt, reply)
                    raise answer.again
        except _TryAgain as last:
            return replace(last.failure, attempts=attempts)
        raise AssertionError("a retry loop ends with a value or an exception")

    def _is_last(self, attempts: int) -> bool:
        return self._is_ending or attempts >= self._rules.max_attempts

    def _pace(self, model: JudgeModel) -> CallPace:
        if model.id not in self._paces:
            self._paces[model.id] = CallPace(self._calls_at_once)
        return self._paces[model.id]

    async def _send(
        self, model: JudgeModel, prompt: Prompt, spending: CallSpending, call: str, turn: float
    ) -> _Answer | Failure:
        """Sends one request and settles it, unless it got a reply."""
        task = asyncio.current_task()
        self._asking.add(task)
        try:
            return await self._send_and_settle(model, prompt, spending, call, turn)
        finally:
            self._asking.discard(task)

    async def _send_and_settle(
        self, model: JudgeModel, prompt: Prompt, spending: CallSpending, call: str, turn: float
    ) -> _Answer | Failure:
        try:
            answer = await self._request(model, prompt)
        except _NoReply as ended:
            # Told at once: while the end is written down, others would go on at the old pace.
            if ended.failure.status == 429:
                self._pace(model).refused(turn)
            failure = self._counted(model.id, ended)
            await spending.settle(model, call, ended.end, ended.usage)
            if isinstance(ended, _TryAgain) and not failure.stops:
                raise
            return failure
        if answer.again is None:
            self._streaks.record_success(model.id)
            self._pace(model).answered()
        elif answer.again.failure.status == 429:
            self._pace(model).refused(turn)
        return answer

    def _counted(self, model_id: str, ended: _NoReply) -> Failure:
        """The failure, as one that stops the model when it shows that further calls are useless."""
        failure = ended.failure
        if failure.kind == "timeout" or failure.status in _GATEWAY_TIMEOUTS:
            return self._streaks.record_timeout(model_id, failure)
        if isinstance(ended, _TryAgain) or ended.cause is None:
            return failure
        return self._streaks.record_refusal(model_id, failure, ended.cause)

    def _attempts(self) -> AsyncRetrying:
        return AsyncRetrying(
            retry=retry_if_exception_type(_TryAgain),
            stop=lambda state: self._is_last(state.attempt_number),
            wait=_Wait(self._rules),
            reraise=True,
        )

    async def _request(self, model: JudgeModel, prompt: Prompt) -> _Answer:
        """One request. _NoReply, or _TryAgain where that makes sense, when no reply comes of it."""
        try:
            async with asyncio.timeout(self._rules.total_timeout_s):
                # Not `chat.completions.create`: it takes a fifth of a call's time to sort out arguments that we lack.
                request = self._client.post("/chat/completions", cast_to=httpx2.Response, body=_body(model, prompt))
                answer = await reach_under_way("after_send", request)
        except (TimeoutError, openai.APITimeoutError) as error:
            end = _end_of(error)
            if end is CallEnd.NOT_CHARGED:
                message = f"cannot reach {self.base_url} within {self._rules.connect_timeout_s:g} s"
                raise _TryAgain(Failure(kind="connection", message=message), end) from None
            waited = f"read {self._rules.read_timeout_s:g} s, total {self._rules.total_timeout_s:g} s"
            message = f"no answer in time ({waited}). {_TOO_SLOW}"
            raise _TryAgain(Failure(kind="timeout", message=message), end) from None
        except openai.APIStatusError as error:
            answered = error.response
            told = error_of_status(
                error.status_code,
                error_object(answered.content),
                error_message(answered.content),
                {name.lower(): value for name, value in answered.headers.items()},
            )
            raise self._no_reply(told) from None
        except openai.APIConnectionError as error:
            message = self._key.message(f"cannot reach {self.base_url}: {error.__cause__ or error}")
            raise _TryAgain(Failure(kind="connection", message=message), _end_of(error)) from None
        except (openai.APIError, ValueError) as error:
            failure = Failure(kind=_NO_COMPLETION, message=self._key.message(f"unreadable answer: {error}"))
            raise _NoReply(failure, CallEnd.UNKNOWN, cause=_NO_COMPLETION) from None
        return self._read(answer.content)

    def _read(self, content: bytes) -> _Answer:
        completion = read_completion(content)
        if completion is None:
            begins = self._key.message(content[:200].decode("utf-8", errors="replace"))
            message = (
                f"{self.base_url} answered with something that is not a chat completion; is it the API's base URL?"
            )
            failure = Failure(kind=_NO_COMPLETION, message=f"{message} It begins: {begins}")
            raise _NoReply(failure, CallEnd.UNKNOWN, cause=_NO_COMPLETION)
        self._refuse_made_up(completion)
        error = completion.error
        if error is not None and not completion.says_something:
            raise self._no_reply(error, completion.usage)
        reply = Reply(
            text=completion.text,
            reasoning=completion.reasoning,
            response_model=self._key.kept(completion.response_model),
            finish_reason=self._key.kept(completion.finish_reason),
            usage=completion.usage,
            attempts=1,
            duration_s=0.0,
        )
        ended = None if error is None else self._no_reply(error)
        return _Answer(reply=reply, again=ended if isinstance(ended, _TryAgain) else None)

    def _refuse_made_up(self, completion: Completion) -> None:
        """_NoReply for a reply that says it is made up, where such replies are not accepted."""
        if self._accept_offline or not says_made_up(completion.response_model):
            return
        message = (
            f"the reply says that it comes from {completion.response_model}, which is not a model. Point "
            f"the Connection llm_default at a real API: made-up scores are kept only where {OFFLINE_OK} is"
        )
        failure = Failure(kind="offline_reply", message=message, stops="run")
        raise _NoReply(failure, CallEnd.CHARGED, completion.usage)

    def _no_reply(self, error: ServerError, usage: Usage | None = None) -> _NoReply:
        """What an error makes of a request, be it an HTTP status or told inside an answer."""
        status = error.status
        said = self._key.message(f"the server said {status or 'an error'}: {error.message}")
        if error.next_step:
            said = f"{said}. {error.next_step}"
        if status in _GATEWAY_TIMEOUTS:
            said = f"{said}. The gateway before the model gave up waiting. {_TOO_SLOW}"
        kind = f"http_{status}" if status else "error_in_answer"
        failure = Failure(kind=kind, message=said, status=status, stops=error.stops)
        end = CallEnd.UNKNOWN if status is None or status in _GATEWAY_TIMEOUTS else CallEnd.NOT_CHARGED
        cause = None if error.is_about_one_essay else error.signature
        if not error.is_temporary:
            return _NoReply(failure, end, usage if status is None else None, cause=cause)
        wait = retry_after_s(error.headers, time.time())
        if wait is not None and wait > self._rules.longest_retry_after_s:
            return _NoReply(replace(failure, message=f"{said} (it asks to wait {wait:g} s)"), end, cause=cause)
        return _TryAgain(failure, end, wait_s=wait)


class _NoReply(Exception):
    """A request ended without a reply: why, and what is known of its cost.

    `cause` is equal for refusals that more calls to the model would meet too; None where nothing follows for others.
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


class _TryAgain(_NoReply):
    """The next request may do better, after `wait_s` where the server said so."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Answer:
    """A reply; `again` when it broke off and the next request may bring a whole one."""

    reply: Reply
    again: _TryAgain | None = None


def _end_of(error: Exception) -> CallEnd:
    """A request that never left cannot be on the bill; any other may be."""
    return CallEnd.NOT_CHARGED if type(error.__cause__).__name__ in _NEVER_SENT else CallEnd.UNKNOWN


class _Wait:
    """The server's Retry-After where it gave one, else full jitter below an exponentially growing limit."""

    def __init__(self, rules: CallRules) -> None:
        self._backoff = wait_random_exponential(multiplier=rules.first_wait_s, max=rules.longest_wait_s)

    def __call__(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, _TryAgain) and error.wait_s is not None:
            return error.wait_s
        return self._backoff(state)


def _body(model: JudgeModel, prompt: Prompt) -> dict[str, Any]:
    """The body of a request; a gateway may stream its answer unless it is told not to."""
    system = [{"role": "system", "content": prompt.system}] if prompt.system else []
    body: dict[str, Any] = {
        "model": model.model,
        "messages": [*system, {"role": "user", "content": prompt.text}],
        "stream": False,
        **(json.loads(model.request) if model.request else {}),
    }
    if model.temperature is not None:
        body["temperature"] = model.temperature
    if model.max_tokens is not None:
        body[model.max_tokens_field] = model.max_tokens
    return body
