"""An OpenAI-compatible HTTP server that replaces a judge model in trials; it has no model.

    python -m devtools.offline_judge --port 8000 --port-file judge.port

Its scores are made up from a hash of the prompt. Every reply says so, and every reply's model name begins
with `offline-judge-not-a-model/`. Each new server gives the same scores in the same order, and fails only by
its fault rules. It shares no code with the client, the parser and the retry rules that are tested with it.

| endpoint                  | what it does                                                                  |
|---------------------------|-------------------------------------------------------------------------------|
| POST /v1/chat/completions | one reply; needs a bearer token, any text that is not empty                   |
| GET /health               | `{"status": "ok"}`                                                            |
| GET /stats                | counts; requests = in_flight + the sum of by_status; replies: 200s with text; |
|                           | tokens: the billed tokens of the 200s, by model                               |
| GET, DELETE /requests     | the requests in order of arrival; DELETE removes them and resets the counts   |
| GET, PUT /faults          | the fault rules and how often each was applied; PUT replaces all              |

A fault rule is `{"fault": NAME, ...}` with these optional keys: `contains` (a text in the prompt), `model` (the
requested model), `times` (null: no limit), `chance` (0 to 1, drawn with `seed`). The first rule that matches, is not
used up and is drawn applies.

| fault                           | further keys (* needed)                                                 |
|---------------------------------|-------------------------------------------------------------------------|
| `status`                        | `status`*, `message`, `retry_after` in seconds, `retry_after_raw` text  |
| `latency`                       | `seconds`*, a pause before the ordinary reply                           |
| `length`                        | `most_tokens`*; a random number of words before the ordinary reply      |
| `rate_limit`                    | `per_second`*, `retry_after`; 429 to requests beyond that rate          |
| `reply`                         | `content`*, `finish_reason`, `model` (named by the reply; this fault    |
|                                 | has `requested_model` for the requested model)                          |
| `hang`, `disconnect`            | none; no answer while the client waits, or the connection is closed     |
| `truncate`, `garbage`, `empty`  | none; cut off before the score, prose without a score, no text at all   |
"""

import argparse
import asyncio
import ipaddress
import json
import math
import os
import signal
import socket
import sys
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Address
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from devtools.offline_judge.answers import Answer, Call, completion, error_answer, read_call
from devtools.offline_judge.faults import CANNED, Rule, rule_problems, status_answer
from devtools.offline_judge.tally import NO_REPLY, Tally


def _decoded(raw: bytes) -> Any:
    """Return the JSON value in `raw`; None when there is none, because no valid body is null."""
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def _json(payload: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(json.dumps(payload), status, headers, media_type="application/json")


def _token(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


async def _closed(request: Request, seconds: float | None = None) -> bool:
    """Wait for `seconds` (None: without limit); return True as soon as either side closes the connection."""
    try:
        async with asyncio.timeout(seconds):
            while (await request.receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return False
    return True


class Judge:
    """The endpoints, and the fault rules and the tally that they share."""

    def __init__(self, latency_s: float, keep_requests: int, hang_up: Callable[[Address | None], None]) -> None:
        self._latency_s = latency_s
        self._hang_up = hang_up
        self._tally = Tally(records=deque(maxlen=keep_requests))
        self._rules: list[Rule] = []

    def app(self) -> Starlette:
        """Return the application with all endpoints."""
        return Starlette(
            routes=[
                Route("/v1/chat/completions", self.chat_completions, methods=["POST"]),
                Route("/health", self.health),
                Route("/stats", self.stats),
                Route("/requests", self.requests, methods=["GET", "DELETE"]),
                Route("/faults", self.faults, methods=["GET", "PUT"]),
            ]
        )

    async def chat_completions(self, request: Request) -> Response:
        """Answer as the rules say, and count the request."""
        try:
            body = _decoded(await request.body())
        except ClientDisconnect:
            return Response(status_code=NO_REPLY)
        token = _token(request)
        call = read_call(body) if token else error_answer(401, "The request has no 'Authorization: Bearer KEY'.")
        # A request ends in the tally in which it began, so that the counts still add up after a DELETE in between.
        tally, answer = self._tally, None
        record = tally.arrive(token, body, call)
        try:
            answer = await self._answer(request, call, tally, record["n"])
        finally:
            tally.end(record, answer)
        if answer is None:
            return Response(status_code=NO_REPLY)
        return _json(answer.payload, answer.status, answer.headers)

    async def _answer(self, request: Request, call: Call | Answer, tally: Tally, number: int) -> Answer | None:
        """Return the answer after its pause; None when the connection was closed before."""
        keys = self._next_fault(call) if isinstance(call, Call) else {}
        # A server refuses a request beyond its rate at once, without asking the model.
        pause = 0 if keys.get("fault") == "rate_limit" else self._latency_s + keys.get("seconds", 0)
        if pause and await _closed(request, pause):
            return None
        if isinstance(call, Answer):
            return call
        match keys.get("fault"):
            case "disconnect" | "hang" as fault:
                if fault == "disconnect":
                    self._hang_up(request.client)
                await _closed(request)
                return None
            case "status":
                return status_answer(keys)
            case "rate_limit":
                return status_answer({**keys, "status": 429})
            case "reply":
                return completion(call, number, keys["content"], keys.get("finish_reason"), keys.get("model"))
            case "truncate" | "garbage" | "empty" as fault:
                return completion(call, number, *CANNED[fault])
            case _:
                return tally.scored(call, number, keys.get("prose", ""))

    def _next_fault(self, call: Call) -> Mapping[str, Any]:
        rule = next((rule for rule in self._rules if rule.applies_to(call)), None)
        if rule is None:
            return {}
        rule.fired += 1
        return rule.keys | ({"prose": rule.prose()} if rule.keys["fault"] == "length" else {})

    async def health(self, _: Request) -> Response:
        """Say that the server is up."""
        return _json({"status": "ok"})

    async def stats(self, _: Request) -> Response:
        """Return the counts."""
        names = ("requests", "replies", "in_flight", "peak_in_flight", "by_status", "tokens")
        return _json({name: getattr(self._tally, name) for name in names})

    async def requests(self, request: Request) -> Response:
        """Return what was asked, or forget it."""
        if request.method == "DELETE":
            self._tally = Tally(records=deque(maxlen=self._tally.records.maxlen))
        return _json(list(self._tally.records))

    async def faults(self, request: Request) -> Response:
        """Return the rules, or replace all of them."""
        if request.method == "PUT":
            rules, problems = _decoded(await request.body()), ["The body is not a JSON list of fault rules."]
            if isinstance(rules, list):
                problems = [problem for i, rule in enumerate(rules) for problem in rule_problems(i, rule)]
            if problems:
                return _json(error_answer(400, " ".join(problems)).payload, 400)
            self._rules = [Rule(keys=rule) for rule in rules]
        return _json([rule.keys | {"fired": rule.fired} for rule in self._rules])


class Server(uvicorn.Server):
    """A uvicorn server that reports its port, can close one connection, and stops without waiting for connections."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._port_file: Path | None = options.port_file
        app = Judge(options.latency_s, options.keep_requests, self.hang_up).app()
        quiet: dict[str, Any] = {"log_config": None, "log_level": "error", "access_log": False}
        plain: dict[str, Any] = {"lifespan": "off", "ws": "none", "proxy_headers": False}
        # Keep-alive is longer than any client's pause, because a call could otherwise use a connection being closed.
        waits: dict[str, Any] = {"timeout_keep_alive": 300, "timeout_graceful_shutdown": 1}
        super().__init__(uvicorn.Config(app, **quiet, **plain, **waits))

    def hang_up(self, client: Address | None) -> None:
        """Close this client's connection without an answer."""
        for connection in self.server_state.connections:
            if client and getattr(connection, "client", None) == (client.host, client.port):
                connection.transport.close()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, write the port file and print the address."""
        await super().startup(sockets)
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        if self._port_file:
            temporary = self._port_file.with_name(f".{self._port_file.name}.{os.getpid()}.tmp")
            temporary.write_text(f"{port}\n", encoding="ascii")
            temporary.replace(self._port_file)
        url = f"http://[{host}]:{port}/v1" if ":" in host else f"http://{host}:{port}/v1"
        print(f"offline judge: NOT a model, its scores are made up; listening on {url}", flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close all connections and stop."""
        # Requests that hang or pause end when their connection is closed.
        for connection in list(self.server_state.connections):
            connection.transport.close()
        await super().shutdown(sockets)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _options(arguments: list[str] | None) -> argparse.Namespace:
    about = "An OpenAI-compatible server for trying things out. NOT a model: its scores are made up."
    parser = argparse.ArgumentParser(prog="python -m devtools.offline_judge", description=about)
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address, unless --in-container")
    parser.add_argument("--in-container", action="store_true", help="--host may be any address of this container")
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    parser.add_argument("--latency-s", type=float, default=0.0, help="pause before each answer, in seconds")
    parser.add_argument("--port-file", type=Path, help="the server writes its port here once it listens")
    parser.add_argument("--keep-requests", type=int, default=20_000, help="how many requests GET /requests can show")
    options = parser.parse_args(arguments)
    if not (options.in_container or _is_loopback(options.host)):
        parser.error(f"{options.host!r} is not a loopback host; use one of 127.0.0.0/8, localhost or ::1.")
    if not 0 <= options.latency_s < math.inf or options.keep_requests < 0:
        parser.error("--latency-s and --keep-requests take numbers from 0.")
    return options


def main(arguments: list[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT, then exit 0; exit 2 when an option is invalid or the port cannot be used."""
    # uvicorn raises the signal again after its clean stop, which would end in a traceback or a failed exit code.
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: sys.exit(0))
    options = _options(arguments)
    try:
        if options.port_file:
            options.port_file.parent.mkdir(parents=True, exist_ok=True)
            # The port file of an earlier server must not be taken for this server's.
            options.port_file.unlink(missing_ok=True)
        family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
        listener = socket.create_server((options.host, options.port), family=family, backlog=2048)
        # Each connection inherits this option. Without it Nagle's algorithm delays a body by 40 ms, because asyncio
        # does not set the option on the connections of a socket that it was given.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except (OSError, OverflowError) as error:
        print(f"The offline judge cannot start on {options.host} port {options.port}: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    Server(options).run(sockets=[listener])
