"""One call to a judge over real HTTP: retries, stops, messages and requests."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from openai import AsyncOpenAI, DefaultAsyncHttpxClient

from essay_cohorts.calls import CallEnd, Failure, JudgeModel, Prompt, Reply, Stop, Usage
from essay_cohorts.llm_client.client import Judge
from essay_cohorts.llm_client.client_settings import CallRules, read_call_rules
from tests.judge_server import JudgeServer

KEY = "sk-test-0123456789-never-to-be-shown"
MODEL = JudgeModel(id="judge-a", model="example/judge-a")
PROMPT = "Judge this: é, 漢字, \U0001f642"
QUICK: dict[str, Any] = {"max_attempts": 4, "first_wait_s": 0.001, "longest_wait_s": 0.002}

Answer = Reply | Failure


@dataclass(kw_only=True)
class FreeSpending:
    """Lets every request be made, and notes how each that got no reply ended."""

    reserved: int = 0
    ended: list[tuple[CallEnd, Usage | None]] = field(default_factory=list)

    async def reserve(self, model: JudgeModel, prompt: Prompt) -> str | Failure:
        self.reserved += 1
        return f"call-{self.reserved}"

    async def settle(
        self,
        model: JudgeModel,
        call: str,
        end: CallEnd,
        usage: Usage | None = None,
        *,
        status: int | None = None,
    ) -> None:
        self.ended.append((end, usage))

    async def store_partial_reply(self, model: JudgeModel, prompt: Prompt, reply: Reply) -> None:
        msg = "no reply of these tests breaks off"
        raise AssertionError(msg)


def ask(
    base_url: str,
    *prompts: str,
    model: JudgeModel = MODEL,
    accept_offline: bool = True,
    stop_for: Callable[[str], Stop | None] = lambda _: None,
    key: str = KEY,
    spending: FreeSpending | None = None,
    system: str = "",
    **rules: Any,
) -> list[Answer]:
    """Ask for each prompt, one after the other, with one judge."""

    async def ask_all() -> list[Answer]:
        # The client's own retries are on: the judge must switch them off.
        http = DefaultAsyncHttpxClient(trust_env=False, verify=False)
        async with AsyncOpenAI(api_key=key, base_url=base_url, max_retries=2, http_client=http) as client:
            judge = Judge(
                client,
                CallRules(**{**QUICK, **rules}),
                accept_offline=accept_offline,
                calls_at_once=16,
                stop_for=stop_for,
            )
            return [
                await judge.ask(model, Prompt(text=prompt, system=system), spending or FreeSpending())
                for prompt in prompts
            ]

    return asyncio.run(ask_all())


def ask_once(base_url: str, **more: Any) -> Answer:
    """The answer to one prompt."""
    [answer] = ask(base_url, PROMPT, **more)
    return answer


def failure(answer: Answer) -> Failure:
    """The answer, which must be a failure."""
    assert isinstance(answer, Failure), answer
    return answer


def reply(answer: Answer) -> Reply:
    """The answer, which must be a reply."""
    assert isinstance(answer, Reply), answer
    return answer


# ---------------------------------------------------------------- replies and requests


def test_reply(judge_server: JudgeServer) -> None:
    """A reply carries the text, the model's name, why it ended, the tokens and the number of requests."""
    answer = reply(ask_once(judge_server.base_url))
    assert answer.text.splitlines()[-1].startswith("SCORE: ")
    assert answer.response_model == "offline-judge-not-a-model/example/judge-a"
    assert (answer.finish_reason, answer.truncated, answer.attempts) == ("stop", False, 1)
    assert answer.usage.prompt_tokens == -(-len(PROMPT.encode()) // 4)
    assert answer.usage.completion_tokens == -(-len(answer.text.encode()) // 4)
    assert answer.duration_s >= 0


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        pytest.param({}, {}, id="nothing set"),
        pytest.param({"temperature": 0.0}, {"temperature": 0.0}, id="temperature 0 is sent"),
        pytest.param({"max_tokens": 500}, {"max_tokens": 500}, id="limit"),
        pytest.param(
            {"max_tokens": 500, "max_tokens_field": "max_completion_tokens"},
            {"max_completion_tokens": 500},
            id="limit under its newer name",
        ),
        pytest.param({"max_tokens_field": "max_completion_tokens"}, {}, id="a name without a limit"),
        pytest.param({"input_usd_per_mtok": 1.0, "output_usd_per_mtok": 2.0}, {}, id="prices are not sent"),
        pytest.param(
            {"request": '{"provider":{"order":["a"]},"seed":7}', "temperature": 1.0, "max_tokens": 5},
            {"provider": {"order": ["a"]}, "seed": 7, "temperature": 1.0, "max_tokens": 5},
            id="more options are merged",
        ),
    ],
)
def test_request_body(judge_server: JudgeServer, fields: dict[str, Any], sent: dict[str, Any]) -> None:
    """The request holds the model, the prompt as one user message, no stream, and what the model's row sets."""
    reply(ask_once(judge_server.base_url, model=JudgeModel(id="judge-a", model="example/judge-a", **fields)))
    [request] = judge_server.requests()
    messages = [{"role": "user", "content": PROMPT}]
    assert request["body"] == {"model": "example/judge-a", "messages": messages, "stream": False, **sent}


def test_the_system_message_comes_first(judge_server: JudgeServer) -> None:
    """A system message is sent before the prompt, which is sent as it is."""
    reply(ask_once(judge_server.base_url, system="Be strict.\n"))
    [request] = judge_server.requests()
    assert request["body"]["messages"] == [
        {"role": "system", "content": "Be strict.\n"},
        {"role": "user", "content": PROMPT},
    ]


def test_the_key_is_sent(judge_server: JudgeServer) -> None:
    """The request carries the client's key as bearer token."""
    ask_once(judge_server.base_url)
    assert judge_server.requests()[0]["key_sha256"] == sha256(KEY.encode()).hexdigest()


def test_a_cut_reply_is_a_reply(judge_server: JudgeServer) -> None:
    """A reply that hit its token limit is kept, and says that it was cut."""
    judge_server.faults({"fault": "truncate"})
    answer = reply(ask_once(judge_server.base_url))
    assert (answer.finish_reason, answer.truncated, judge_server.calls()) == ("length", True, 1)


def test_a_reply_that_was_cut_before_its_first_word_is_a_reply(judge_server: JudgeServer) -> None:
    """A model that spent its whole limit on thinking was paid: the empty, cut reply is kept, not asked for again."""
    judge_server.faults({"fault": "reply", "content": "", "finish_reason": "length"})
    answer = reply(ask_once(judge_server.base_url))
    assert (answer.text, answer.truncated, judge_server.calls()) == ("", True, 1)


def test_a_reply_without_a_score_is_a_reply(judge_server: JudgeServer) -> None:
    """Prose without a score was paid for: it is a reply, and is not asked for again."""
    judge_server.faults({"fault": "garbage"})
    assert reply(ask_once(judge_server.base_url)).text
    assert judge_server.calls() == 1


def test_half_a_surrogate_pair_in_a_reply(judge_server: JudgeServer) -> None:
    """A text that UTF-8 cannot hold is made storable, and its score is still in it."""
    judge_server.faults({"fault": "reply", "content": "good \ud83d\nSCORE: 7"})
    text = reply(ask_once(judge_server.base_url)).text
    text.encode("utf-8")
    assert text.endswith("\nSCORE: 7")


def test_half_a_surrogate_pair_in_the_models_name(judge_server: JudgeServer) -> None:
    """All fields of a reply's record can be stored."""
    judge_server.faults({"fault": "reply", "content": "SCORE: 7", "model": "x \ud83d"})
    reply(ask_once(judge_server.base_url)).response_model.encode("utf-8")


# ---------------------------------------------------------------- retries


@pytest.mark.parametrize(
    ("rule", "kind", "status"),
    [
        *(
            pytest.param({"fault": "status", "status": status}, f"http_{status}", status, id=str(status))
            for status in (408, 409, 429, 500, 502, 503, 504, 599)
        ),
        pytest.param({"fault": "disconnect"}, "connection", None, id="disconnect"),
    ],
)
def test_retried(judge_server: JudgeServer, rule: dict[str, Any], kind: str, status: int | None) -> None:
    """What may pass is tried again: a reply after two failures, else a failure after the last one; all counted."""
    judge_server.faults({**rule, "times": 2})
    assert reply(ask_once(judge_server.base_url)).attempts == 3
    assert judge_server.calls() == 3
    judge_server.reset()
    judge_server.faults(rule)
    failed = failure(ask_once(judge_server.base_url))
    assert (failed.kind, failed.status, failed.attempts, failed.stops) == (kind, status, 4, None)
    assert judge_server.calls() == 4


def test_hang_is_a_timeout(judge_server: JudgeServer) -> None:
    """A server that never answers costs the read timeout, and is tried again."""
    judge_server.faults({"fault": "hang"})
    failed = failure(ask_once(judge_server.base_url, read_timeout_s=0.1, max_attempts=2))
    assert (failed.kind, failed.status, failed.attempts) == ("timeout", None, 2)
    assert "0.1 s" in failed.message
    assert judge_server.calls() == 2


def test_total_timeout(judge_server: JudgeServer) -> None:
    """A request has a limit in all, also when the read timeout is longer."""
    judge_server.faults({"fault": "latency", "seconds": 20})
    failed = failure(ask_once(judge_server.base_url, read_timeout_s=60, total_timeout_s=0.1, max_attempts=2))
    assert (failed.kind, failed.attempts, judge_server.calls()) == ("timeout", 2, 2)


def test_refused_connection() -> None:
    """If no server listens, the failure names the address, and every attempt is counted."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        failed = failure(ask_once(url))
    assert (failed.kind, failed.attempts, failed.stops) == ("connection", 4, None)
    assert url in failed.message


def test_the_address_is_shown_without_secrets() -> None:
    """User, password and query of the API's address are in no message."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://me:pass-word@127.0.0.1:{unused.getsockname()[1]}/v1?token=hidden"
        message = failure(ask_once(url, max_attempts=1)).message
    assert "127.0.0.1" in message
    assert not [secret for secret in ("pass-word", "hidden", KEY) if secret in message]


# ---------------------------------------------------------------- Retry-After


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param("0", id="no wait"),
        pytest.param("0.01", id="a fraction"),
        pytest.param("-5", id="negative"),
        pytest.param("Wed, 21 Oct 2015 07:28:00 GMT", id="a date in the past"),
        pytest.param("Wed, 21 Oct 2015 07:28:00 -0000", id="a date without a zone"),
        pytest.param("soon", id="garbage"),
        pytest.param("nan", id="not a number"),
        pytest.param("5, 6", id="two numbers"),
        pytest.param("Wed, 99 Oct 2015 07:28:00 GMT", id="no such day"),
        pytest.param("", id="empty"),
    ],
)
def test_short_or_unreadable_retry_after(judge_server: JudgeServer, raw: str) -> None:
    """A Retry-After that is short, past or unreadable does not keep the call from being tried again."""
    judge_server.faults({"fault": "status", "status": 429, "retry_after_raw": raw, "times": 1})
    assert reply(ask_once(judge_server.base_url)).attempts == 2


def test_retry_after_is_waited_for(judge_server: JudgeServer) -> None:
    """The next request comes no earlier than the server asked for, and later requests wait as usual."""
    judge_server.faults({"fault": "status", "status": 429, "retry_after": 0.3, "times": 1})
    assert reply(ask_once(judge_server.base_url)).attempts == 2
    first, second = judge_server.requests()
    assert second["at"] - first["at"] > 0.29


def _date(days: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(days=days), usegmt=True)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param("3", id="seconds"),
        pytest.param(_date(1), id="a date"),
        pytest.param("inf", id="for ever"),
        pytest.param("1e400", id="a number beyond floats"),
        pytest.param("Fri, 31 Dec 9999 23:59:59 GMT", id="the last date"),
    ],
)
def test_too_long_a_retry_after(judge_server: JudgeServer, raw: str) -> None:
    """A call fails at once if the server asks for a longer wait than the rules allow; the message names the wait."""
    judge_server.faults({"fault": "status", "status": 503, "message": "Maintenance.", "retry_after_raw": raw})
    failed = failure(ask_once(judge_server.base_url, longest_retry_after_s=2))
    assert (failed.kind, failed.status, failed.attempts, failed.stops) == ("http_503", 503, 1, None)
    assert "Maintenance." in failed.message
    assert "asks to wait" in failed.message
    assert judge_server.calls() == 1


# ---------------------------------------------------------------- stops


@pytest.mark.parametrize(
    ("status", "stops", "hint"),
    [
        pytest.param(401, "connection", "valid API key", id="401"),
        pytest.param(402, "connection", "Top up", id="402"),
        pytest.param(403, "model", "may not use this model", id="403"),
        pytest.param(404, "model", "1_raw/llm_models.csv", id="404"),
    ],
)
def test_useless_to_go_on(judge_server: JudgeServer, status: int, stops: str, hint: str) -> None:
    """A cause that concerns every call stops the run or the model at once, with what the server said and a hint."""
    judge_server.faults({"fault": "status", "status": status, "message": "Said so."})
    failed = failure(ask_once(judge_server.base_url))
    assert (failed.kind, failed.status, failed.attempts, failed.stops) == (f"http_{status}", status, 1, stops)
    assert f"the server said {status}: Said so." in failed.message
    assert hint in failed.message
    assert judge_server.calls() == 1


@pytest.mark.parametrize(
    "status", [pytest.param(status, id=str(status)) for status in (400, 405, 410, 413, 415, 418, 422, 451)]
)
def test_three_equal_refusals_stop_the_model(judge_server: JudgeServer, status: int) -> None:
    """Another 4xx fails its evaluation only, until three in a row with the same message stop the model."""
    judge_server.faults({"fault": "status", "status": status, "message": "Too long."})
    answers = [failure(answer) for answer in ask(judge_server.base_url, "a", "b", "c")]
    assert [answer.stops for answer in answers] == [None, None, "model"]
    assert [answer.attempts for answer in answers] == [1, 1, 1]
    assert all("Too long." in answer.message for answer in answers)
    assert judge_server.calls() == 3


@pytest.mark.parametrize(
    ("prompts", "stops"),
    [
        pytest.param(["fine", "long", "long", "long", "long"], [None] * 4, id="after a success"),
        pytest.param(["long", "long", "fine", "long", "long"], [None] * 4, id="a success in between"),
        pytest.param(["long", "odd", "long", "odd"], [None] * 4, id="different messages in turn"),
        pytest.param(["odd", "long", "long", "long"], [None, None, None, "model"], id="three after another one"),
        pytest.param(["broken", "long", "long", "long"], [None, None, None, "model"], id="a 500 does not count"),
    ],
)
def test_refusals_that_do_not_stop(judge_server: JudgeServer, prompts: list[str], stops: list[str | None]) -> None:
    """Only three refusals in a row with one message, and no success, stop the model."""
    judge_server.faults(
        {"fault": "status", "status": 400, "message": "Too long.", "contains": "long"},
        {"fault": "status", "status": 400, "message": "Odd.", "contains": "odd"},
        {"fault": "status", "status": 500, "contains": "broken"},
    )
    answers = ask(judge_server.base_url, *prompts)
    assert [answer.stops for answer in answers if isinstance(answer, Failure)] == stops


def test_refusals_count_a_model_each(judge_server: JudgeServer) -> None:
    """Refusals of one model say nothing about another."""
    judge_server.faults({"fault": "status", "status": 400, "message": "Too long."})

    async def ask_both() -> list[Answer]:
        http = DefaultAsyncHttpxClient(trust_env=False, verify=False)
        async with AsyncOpenAI(api_key=KEY, base_url=judge_server.base_url, http_client=http) as client:
            judge, spending = Judge(client, CallRules(**QUICK), accept_offline=True, calls_at_once=16), FreeSpending()
            return [
                await judge.ask(JudgeModel(id=name, model=name), Prompt(text="x"), spending)
                for name in ("a", "b", "a", "b", "a")
            ]

    assert [failure(answer).stops for answer in asyncio.run(ask_both())] == [None, None, None, None, "model"]


@pytest.mark.parametrize("accept", [pytest.param(True, id="accepted"), pytest.param(False, id="refused")])
def test_offline_replies(judge_server: JudgeServer, accept: bool) -> None:
    """A reply that says it is made up is refused, and stops the run, unless made-up replies are accepted."""
    answer = ask_once(judge_server.base_url, accept_offline=accept)
    if accept:
        assert isinstance(answer, Reply)
    else:
        refused = failure(answer)
        assert (refused.kind, refused.stops, refused.attempts) == ("offline_reply", "connection", 1)
        assert "offline-judge-not-a-model" in refused.message
        assert "OFFLINE_OK" in refused.message
    assert judge_server.calls() == 1


def test_a_real_models_reply_needs_no_permission(judge_server: JudgeServer) -> None:
    """A reply under a real model's name is taken whether or not made-up replies are accepted."""
    judge_server.faults({"fault": "reply", "content": "SCORE: 7", "model": "example/judge-a-2026"})
    assert reply(ask_once(judge_server.base_url, accept_offline=False)).response_model == "example/judge-a-2026"


# ---------------------------------------------------------------- stop_for


@dataclass
class StopAfter:
    """Returns a stop once it was called `calls_before` times, and records the models that it was called for."""

    calls_before: int
    asked: list[str] = field(default_factory=list)

    def __call__(self, model_id: str) -> Stop | None:
        """Return a stop after `calls_before` calls without one."""
        self.asked.append(model_id)
        if len(self.asked) <= self.calls_before:
            return None
        return Stop(model_id=None, kind="http_401", message="another slice was told so", status=401)


@pytest.mark.parametrize(
    "calls_before", [pytest.param(number, id=f"after {number} requests") for number in (0, 1, 3)]
)
def test_a_stop_is_looked_for_before_every_request(judge_server: JudgeServer, calls_before: int) -> None:
    """The stop is asked for before each request, retries included; from then on there are none."""
    judge_server.faults({"fault": "status", "status": 500})
    stop_for = StopAfter(calls_before)
    failed = failure(ask_once(judge_server.base_url, stop_for=stop_for))
    assert (failed.kind, failed.status, failed.attempts) == ("stopped", 401, calls_before)
    assert failed.message == "another slice was told so"
    assert stop_for.asked == ["judge-a"] * (calls_before + 1)
    assert judge_server.calls() == calls_before


# ---------------------------------------------------------------- the key is in no message


@pytest.mark.parametrize("status", [pytest.param(status, id=str(status)) for status in (400, 401, 403, 429, 500)])
def test_an_echoed_key_is_in_no_message(judge_server: JudgeServer, status: int) -> None:
    """A server that repeats the key in its error does not get it into our files."""
    message = f"Incorrect API key provided: {KEY}. " + "x" * 450 + KEY
    judge_server.faults({"fault": "status", "status": status, "message": message})
    failed = failure(ask_once(judge_server.base_url))
    assert "Incorrect API key provided: ***" in failed.message
    assert KEY not in failed.message
    assert KEY[:12] not in failed.message


def test_a_long_message_is_cut(judge_server: JudgeServer) -> None:
    """A server's essay about its error is cut to a length that fits a log line."""
    judge_server.faults({"fault": "status", "status": 400, "message": "x" * 10_000})
    assert 400 < len(failure(ask_once(judge_server.base_url)).message) <= 700


def test_half_a_surrogate_pair_in_a_message(judge_server: JudgeServer) -> None:
    """An error message that UTF-8 cannot hold is made storable."""
    judge_server.faults({"fault": "status", "status": 400, "message": "bad \ud83d text"})
    failure(ask_once(judge_server.base_url)).message.encode("utf-8")


# ---------------------------------------------------------------- servers that are not an API


@dataclass
class OddServer:
    """A server that gives one answer to every POST and counts them."""

    status: int
    content_type: str
    body: bytes
    requests: int = 0
    base_url: str = ""

    @contextmanager
    def running(self) -> Iterator[OddServer]:
        """Serves within the block."""
        with ThreadingHTTPServer(("127.0.0.1", 0), self._handler()) as server:
            self.base_url = f"http://127.0.0.1:{server.server_port}/v1"
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
            thread.start()
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        answer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                answer.requests += 1
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.content_type)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Says nothing."""

        return Handler


def odd(body: object, content_type: str = "application/json", status: int = 200) -> OddServer:
    """A server that answers with this body: bytes as they are, all else as JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return OddServer(status=status, content_type=content_type, body=raw)


def completion(**more: Any) -> dict[str, Any]:
    """A completion with `SCORE: 5`; `more` replaces its fields."""
    message = {"role": "assistant", "content": "SCORE: 5"}
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "real/model",
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
        **more,
    }


def choice(**more: Any) -> list[dict[str, Any]]:
    """The completion's one choice; `more` replaces its fields."""
    return [{**completion()["choices"][0], **more}]


@pytest.mark.parametrize(
    "server",
    [
        pytest.param(odd(b"<html>Log in</html>", "text/html"), id="HTML"),
        pytest.param(odd(b"<html>Log in</html>"), id="HTML called JSON"),
        pytest.param(odd(b""), id="nothing"),
        pytest.param(odd(b'{"id": '), id="torn JSON"),
        pytest.param(odd(b'{"id": "\xff"}'), id="no UTF-8"),
        pytest.param(odd([]), id="a list"),
        pytest.param(odd({"status": "ok"}), id="another object"),
        pytest.param(odd(None), id="null"),
        pytest.param(odd("hello"), id="a text"),
        pytest.param(odd(b"data: x", "text/event-stream"), id="a stream"),
    ],
)
def test_what_is_no_completion(server: OddServer) -> None:
    """A 200 without a completion fails the call at once, because another request may cost as much for nothing."""
    with server.running():
        failed = failure(ask_once(server.base_url))
    assert (failed.kind, failed.attempts, failed.stops) == ("not_a_completion", 1, None)
    assert KEY not in failed.message
    assert server.requests == 1


@pytest.mark.parametrize(
    "server",
    [
        pytest.param(odd({"error": {"message": "Upstream is down"}}), id="an error with status 200"),
        pytest.param(odd(completion(choices=None)), id="choices null"),
        pytest.param(odd(completion(choices=[])), id="no choices"),
        pytest.param(odd(completion(choices=[None])), id="a choice null"),
        pytest.param(odd(completion(choices="abc")), id="choices a text"),
        pytest.param(odd(b"[" * 100_000), id="nested without end"),
    ],
)
def test_answers_without_a_reply(server: OddServer) -> None:
    """JSON without a choice is a failure after one request, for values of any type, and never raises."""
    with server.running():
        failed = failure(ask_once(server.base_url))
    assert failed.kind in ("not_a_completion", "error_in_answer")
    assert (failed.attempts, server.requests) == (1, 1)


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(None, id="null"),
        pytest.param("hi", id="a text"),
        pytest.param({"content": 5}, id="a number"),
        pytest.param({"content": ""}, id="empty"),
        pytest.param({"content": " \n\t"}, id="blank"),
    ],
)
def test_a_choice_without_a_text_is_a_reply(message: object) -> None:
    """A choice that says nothing was paid for: it is a reply without a text, and is asked for once."""
    server = odd(completion(choices=choice(message=message)))
    with server.running():
        answer = reply(ask_once(server.base_url))
    assert (answer.text.strip(), answer.attempts, server.requests) == ("", 1, 1)


PARTS = [{"type": "text", "text": "SCORE: 5"}]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(completion(), id="all in order"),
        pytest.param(completion(model=None), id="model null"),
        pytest.param({k: v for k, v in completion().items() if k != "model"}, id="no model"),
        pytest.param(completion(model=5), id="model a number"),
        pytest.param(completion(usage=None), id="usage null"),
        pytest.param({k: v for k, v in completion().items() if k != "usage"}, id="no usage"),
        pytest.param(completion(usage="x"), id="usage a text"),
        pytest.param(completion(usage={"prompt_tokens": 1}), id="half of usage"),
        pytest.param(completion(choices=choice(finish_reason=None)), id="finish_reason null"),
        pytest.param(
            completion(choices=choice(message={"role": "assistant", "content": PARTS})),
            id="content in parts",
        ),
    ],
)
def test_a_text_that_was_paid_for_is_kept(answer: dict[str, Any]) -> None:
    """The text of a completion is the reply, even if other fields are missing or odd."""
    server = odd(answer)
    with server.running():
        assert reply(ask_once(server.base_url)).text == "SCORE: 5"


@pytest.mark.parametrize(
    "usage",
    [
        pytest.param({"prompt_tokens": 3, "completion_tokens": 4}, id="numbers"),
        pytest.param(
            {"prompt_tokens": "3", "completion_tokens": "4"},
            id="texts",
        ),
    ],
)
def test_tokens_are_numbers_or_unknown(usage: dict[str, Any]) -> None:
    """Token counts are whole numbers or unknown: they are multiplied with prices while a reply is being stored."""
    server = odd(completion(usage=usage))
    with server.running():
        found = reply(ask_once(server.base_url)).usage
    assert found in (Usage(prompt_tokens=3, completion_tokens=4), Usage())


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        pytest.param({"error": {"message": "No such model"}}, "application/json", id="OpenAI's shape"),
        pytest.param({"message": "No such model"}, "application/json", id="message on top"),
        pytest.param({"error": "No such model"}, "application/json", id="error text"),
        pytest.param({"detail": "No such model"}, "application/json", id="FastAPI's shape"),
        pytest.param(b"No such model", "text/plain", id="plain text"),
        pytest.param(b"<p>No such model</p>", "text/html", id="HTML"),
    ],
)
def test_the_message_says_what_the_server_said(body: object, content_type: str) -> None:
    """The message holds the words of an error, for each shape of its body."""
    server = odd(body, content_type, status=404)
    with server.running():
        assert "No such model" in failure(ask_once(server.base_url)).message


def test_an_error_inside_a_200_is_said() -> None:
    """A gateway that answers 200 with an error object in it is quoted, not called empty."""
    server = odd({"error": {"message": "Provider returned error: overloaded", "code": 502}})
    with server.running():
        assert "overloaded" in failure(ask_once(server.base_url)).message


NO_CREDIT = "You exceeded your current quota"


@pytest.mark.parametrize(
    ("message", "code", "stops"),
    [
        pytest.param(NO_CREDIT, "insufficient_quota", "connection", id="OpenAI"),
        pytest.param(f"litellm.RateLimitError: OpenAIException - {NO_CREDIT}.", "429", "connection", id="LiteLLM"),
        pytest.param(f"{NO_CREDIT}. Please retry in 22 s.", "429", None, id="a limit of Gemini per minute"),
    ],
)
def test_an_account_without_credit_stops_its_connection(message: str, code: str, stops: str | None) -> None:
    """A 429 that says that the account has no credit is not waited out; one about a limit is tried again."""
    server = odd({"error": {"message": message, "code": code}}, status=429)
    with server.running():
        failed = failure(ask_once(server.base_url, max_attempts=2))
    assert (failed.kind, failed.status, failed.stops) == ("http_429", 429, stops)
    assert NO_CREDIT in failed.message
    assert server.requests == failed.attempts == (1 if stops else 2)


# ---------------------------------------------------------------- rules


def test_rules_default() -> None:
    """An empty extra leaves the defaults: 5 s to connect, 120 s to read, 300 s in all."""
    rules = read_call_rules({}, "here").value
    assert (rules.connect_timeout_s, rules.read_timeout_s, rules.total_timeout_s) == (5.0, 120.0, 300.0)


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        pytest.param({"read_timeout_s": 30}, CallRules(read_timeout_s=30.0), id="a whole number"),
        pytest.param({"total_timeout_s": 0.5}, CallRules(total_timeout_s=0.5), id="a fraction"),
        pytest.param({"max_attempts": 1}, CallRules(max_attempts=1), id="one attempt"),
        pytest.param({"longest_retry_after_s": 3600}, CallRules(longest_retry_after_s=3600.0), id="an hour"),
        pytest.param({"openai_client_kwargs": {"x": 1}, "org": "y"}, CallRules(), id="keys of the provider"),
    ],
)
def test_rules(extra: dict[str, Any], expected: CallRules) -> None:
    """What the extra sets is taken, and keys of the provider's own are left to it."""
    checked = read_call_rules(extra, "here")
    assert (checked.value, checked.problems) == (expected, ())


@pytest.mark.parametrize(
    ("extra", "place", "next_step"),
    [
        pytest.param({"read_timeout_s": 0}, "read_timeout_s", "above 0", id="zero"),
        pytest.param({"read_timeout_s": -1}, "read_timeout_s", "above 0", id="negative"),
        pytest.param({"read_timeout_s": 3601}, "read_timeout_s", "up to 3600", id="too long"),
        pytest.param({"read_timeout_s": "30"}, "read_timeout_s", "Write a number", id="a text"),
        pytest.param({"read_timeout_s": True}, "read_timeout_s", "Write a number", id="a boolean"),
        pytest.param({"read_timeout_s": None}, "read_timeout_s", "Write a number", id="null"),
        pytest.param({"read_timeout_s": float("nan")}, "read_timeout_s", "Write a number", id="not a number"),
        pytest.param({"read_timeout_s": [1]}, "read_timeout_s", "Write a number", id="a list"),
        pytest.param({"read_timout_s": 30}, "read_timout_s", 'Did you mean "read_timeout_s"?', id="a slip"),
        pytest.param({"max_retries": 3}, "max_retries", "max_attempts", id="the client's own retries"),
        pytest.param(
            {"max_attempts": 0.5},
            "max_attempts",
            "whole number",
            id="half an attempt",
        ),
        pytest.param(
            {"read_timeout": 30},
            "read_timeout",
            'Did you mean "read_timeout_s"?',
            id="without the unit",
        ),
    ],
)
def test_bad_rules(extra: dict[str, Any], place: str, next_step: str) -> None:
    """An invalid value, or a key that resembles a setting, is a problem with its place; the default is kept."""
    checked = read_call_rules(extra, "Connection llm_default, extra")
    [problem] = checked.problems
    assert problem.place == f"Connection llm_default, extra: {place}"
    assert next_step in problem.next_step
    assert checked.value == CallRules()


def test_all_bad_rules_are_reported() -> None:
    """Several mistakes of an extra come together, and the right keys count."""
    checked = read_call_rules({"read_timeout_s": 0, "max_attempt": 1, "max_attempts": 2}, "x")
    assert len(checked.problems) == 2
    assert checked.value.max_attempts == 2
