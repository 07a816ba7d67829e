"""Asks a judge: one chat completion over an OpenAI-compatible API, with the retry rules of this project.

An expected failure is a value (`Failure`), never an exception. Connection errors, timeouts and the statuses 408, 409,
429 and 5xx are retried with exponential backoff and jitter, whether the status is that of the HTTP response or is
inside an answer. A `Retry-After` replaces the backoff of its own request. Any other answer ends the call, because a
reply without a text was paid for too.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

import openai
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    wait_random_exponential,
)

from essay_cohorts.calls import DEFAULT_CONNECTION, CallEnd, Failure, JudgeModel, Prompt, Reply, Stop, Usage
from essay_cohorts.llm_client.client_settings import CallRules
from essay_cohorts.llm_client.failure_streaks import FailureStreaks
from essay_cohorts.llm_client.pace import CallPace
from essay_cohorts.llm_client.request import GATEWAY_TIMEOUTS, Answer, ApiRequests, NoReply, TryAgain


class CallSpending(Protocol):
    """Records what the requests of one evaluation cost, and refuses requests that do not fit into the budget."""

    async def reserve(self, model: JudgeModel, prompt: Prompt) -> str | Failure:
        """Record a request before it is sent; return its name, or the reason why it must not be sent."""

    async def settle(
        self,
        model: JudgeModel,
        call: str,
        end: CallEnd,
        usage: Usage | None = None,
        *,
        status: int | None = None,
    ) -> None:
        """Record how the request `call` ended; `status` is that of the error with which the server answered."""

    async def store_partial_reply(self, model: JudgeModel, prompt: Prompt, reply: Reply) -> None:
        """Store and settle a reply that broke off, before the next request."""


class Judge:
    """Asks models over one client. Before every request `stop_for` returns the stop of a model, if there is one.

    At most `calls_at_once` requests are in flight, fewer to a model whose server answers 429. Replies of the offline
    judge are refused unless `accept_offline`. `connection` is the id that messages name.
    """

    def __init__(
        self,
        client: openai.AsyncOpenAI,
        rules: CallRules,
        *,
        accept_offline: bool,
        calls_at_once: int,
        stop_for: Callable[[str], Stop | None] = lambda _: None,
        connection: str = DEFAULT_CONNECTION,
    ) -> None:
        self._requests = ApiRequests(client, rules, accept_offline=accept_offline, connection=connection)
        self._rules, self._stop_for = rules, stop_for
        self._streaks = FailureStreaks(calls_at_once)
        self._calls_at_once = calls_at_once
        self._paces: dict[str, CallPace] = {}
        self._sending: set[asyncio.Task[Any] | None] = set()
        self._is_ending = False

    @property
    def base_url(self) -> str:
        """The API's address without user, password and query."""
        return self._requests.base_url

    def asks_at_once(self, model: JudgeModel) -> bool:
        """Return False if a request would wait because the model's server is slow, or if calls to it were stopped."""
        return self._pace(model).is_free and self._stop_for(model.id) is None

    def end_soon(self) -> frozenset[asyncio.Task[Any] | None]:
        """Retry no request from now on; return the tasks whose requests are in flight."""
        self._is_ending = True
        return frozenset(self._sending)

    async def ask(self, model: JudgeModel, prompt: Prompt, spending: CallSpending) -> Reply | Failure:
        """Return the model's reply to `prompt`, or the failure of the last request.

        Every request is settled in `spending` except the one that brought the returned reply: the caller settles that
        one once the reply is stored. A reply that broke off goes to `spending.store_partial_reply` before the next
        request. If there is no next request, that reply is returned.
        """
        started, attempts = time.monotonic(), 0
        try:
            async for attempt in self._attempts():
                with attempt:
                    async with self._pace(model).permit() as started_at:
                        stop = self._stop_for(model.id)
                        if stop is not None:
                            return Failure(
                                kind="stopped", message=stop.message, status=stop.status, attempts=attempts
                            )
                        call = await spending.reserve(model, prompt)
                        if isinstance(call, Failure):
                            return replace(call, attempts=attempts)
                        attempts += 1
                        answer = await self._send(model, prompt, spending, call, started_at)
                    if isinstance(answer, Failure):
                        return replace(answer, attempts=attempts)
                    duration_s = round(time.monotonic() - started, 3)
                    reply = replace(answer.reply, attempts=attempts, duration_s=duration_s, call=call)
                    if answer.again is None or self._is_last(attempts):
                        return reply
                    await spending.store_partial_reply(model, prompt, reply)
                    raise answer.again
        except TryAgain as last:
            return replace(last.failure, attempts=attempts)
        msg = "the retry loop ended without a value or an exception"
        raise AssertionError(msg)

    def _is_last(self, attempts: int) -> bool:
        return self._is_ending or attempts >= self._rules.max_attempts

    def _pace(self, model: JudgeModel) -> CallPace:
        if model.id not in self._paces:
            self._paces[model.id] = CallPace(self._calls_at_once)
        return self._paces[model.id]

    async def _send(
        self, model: JudgeModel, prompt: Prompt, spending: CallSpending, call: str, started_at: float
    ) -> Answer | Failure:
        """Send one request and settle it, unless it brought a reply."""
        task = asyncio.current_task()
        self._sending.add(task)
        try:
            return await self._send_and_settle(model, prompt, spending, call, started_at)
        finally:
            self._sending.discard(task)

    async def _send_and_settle(
        self, model: JudgeModel, prompt: Prompt, spending: CallSpending, call: str, started_at: float
    ) -> Answer | Failure:
        try:
            answer = await self._requests.send(model, prompt)
        except NoReply as ended:
            # Before the end is recorded, because other calls would meanwhile go on at the old pace.
            if ended.failure.status == 429:
                self._pace(model).record_429(started_at)
            failure = self._with_stop(model.id, ended)
            await spending.settle(model, call, ended.end, ended.usage, status=failure.status)
            if isinstance(ended, TryAgain) and not failure.stops:
                raise
            return failure
        if answer.again is None:
            self._streaks.record_success(model.id)
            self._pace(model).record_success()
        elif answer.again.failure.status == 429:
            self._pace(model).record_429(started_at)
        return answer

    def _with_stop(self, model_id: str, ended: NoReply) -> Failure:
        """Count the failure; return it with a stop of the model if it shows that further calls are useless."""
        failure = ended.failure
        if failure.kind == "timeout" or failure.status in GATEWAY_TIMEOUTS:
            return self._streaks.record_timeout(model_id, failure)
        if isinstance(ended, TryAgain) or ended.cause is None:
            return failure
        return self._streaks.record_refusal(model_id, failure, ended.cause)

    def _attempts(self) -> AsyncRetrying:
        return AsyncRetrying(
            retry=retry_if_exception_type(TryAgain),
            stop=lambda state: self._is_last(state.attempt_number),
            wait=_Wait(self._rules),
            reraise=True,
        )


class _Wait:
    """The wait before a retry: the server's Retry-After, else full jitter below an exponentially growing limit."""

    def __init__(self, rules: CallRules) -> None:
        self._backoff = wait_random_exponential(multiplier=rules.first_wait_s, max=rules.longest_wait_s)

    def __call__(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, TryAgain) and error.wait_s is not None:
            return error.wait_s
        return self._backoff(state)
