"""The offline judge over real HTTP: a process of its own, asked as any client would ask it."""

import contextlib
import hashlib
import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "devtools.offline_judge"]
KEY = "sk-a-key-that-must-not-be-kept"
PATIENCE_S = 30.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    """A started judge: its process, the line it printed, and a client whose paths start at the server's root."""

    process: subprocess.Popen[str]
    line: str
    http: httpx.Client

    def ask(
        self, prompt: str = "An essay.", *, model: str = "m", timeout: float = PATIENCE_S, **more: Any
    ) -> httpx.Response:
        body = {"model": model, "messages": [{"role": "user", "content": prompt}], **more}
        return self.http.post("/v1/chat/completions", json=body, timeout=timeout)

    def read(self, path: str) -> Any:
        return self.http.get(path).raise_for_status().json()

    def go_wrong(self, *rules: dict[str, Any]) -> None:
        self.http.put("/faults", json=list(rules)).raise_for_status()


@contextlib.contextmanager
def started(*options: str, stderr: IO[str] | None = None) -> Iterator[Running]:
    command = [*COMMAND, *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=stderr, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            url = line.split()[-1].removesuffix("/v1")
            headers = {"Authorization": f"Bearer {KEY}"}
            with httpx.Client(base_url=url, headers=headers, timeout=PATIENCE_S, trust_env=False) as http:
                yield Running(process=process, line=line, http=http)
        finally:
            process.kill()


@pytest.fixture(scope="module")
def only_judge() -> Iterator[Running]:
    with started() as running:
        yield running


@pytest.fixture
def judge(only_judge: Running) -> Running:
    only_judge.go_wrong()
    only_judge.http.delete("/requests").raise_for_status()
    return only_judge


def content(reply: httpx.Response) -> str:
    text: str = reply.raise_for_status().json()["choices"][0]["message"]["content"]
    return text


def score(reply: httpx.Response) -> float:
    found = re.fullmatch(r"SCORE: (\d\.\d)", content(reply).splitlines()[-1])
    assert found, content(reply)
    return float(found[1])


def wait_until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


@contextlib.contextmanager
def waiting(judge: Running, count: int) -> Iterator[list[socket.socket]]:
    """That many requests, each on its own connection and all in flight; at the end their clients go away."""
    body = b'{"model": "m", "messages": [{"role": "user", "content": "x"}]}'
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: judge\r\nAuthorization: Bearer k\r\nContent-Length: {len(body)}"
    )
    url = judge.http.base_url
    with contextlib.ExitStack() as stack:
        clients = [
            stack.enter_context(socket.create_connection((url.host, url.port or 80), timeout=PATIENCE_S))
            for _ in range(count)
        ]
        for client in clients:
            client.sendall(head.encode() + b"\r\n\r\n" + body)
        wait_until(lambda: judge.read("/stats")["in_flight"] == count)
        yield clients


def test_first_line_says_that_it_is_no_model(judge: Running) -> None:
    """The one line on start-up says that this is no model and where it listens."""
    said = "offline judge: NOT a model, its scores are made up; listening on"
    assert re.fullmatch(rf"{said} http://127\.0\.0\.1:\d+/v1\n", judge.line)


def test_health(judge: Running) -> None:
    """A started judge is healthy."""
    assert judge.read("/health") == {"status": "ok"}


def test_reply_has_the_shape_of_a_chat_completion(judge: Running) -> None:
    """A reply is OpenAI's chat.completion, names no real model, says so in prose and ends in a score."""
    messages = [{"role": "system", "content": "Be fair."}, {"role": "user", "content": "Über 9"}]
    body = {"model": "gpt-x", "messages": messages, "temperature": 0}
    reply = judge.http.post("/v1/chat/completions", json=body).raise_for_status().json()
    choice = reply["choices"][0]
    text = choice["message"]["content"]
    said = -(-len(text.encode()) // 4)
    assert reply["object"] == "chat.completion"
    assert reply["id"]
    assert isinstance(reply["created"], int)
    assert reply["model"] == "offline-judge-not-a-model/gpt-x"
    assert (choice["message"]["role"], choice["finish_reason"]) == ("assistant", "stop")
    assert "not a language model" in text
    assert re.search(r"\nSCORE: \d\.\d\Z", text)
    assert reply["usage"] == {"prompt_tokens": 4, "completion_tokens": said, "total_tokens": 4 + said}


@pytest.mark.parametrize(
    "prompt",
    [
        pytest.param("", id="empty"),
        pytest.param("SCORE: 11", id="asks for a score"),
        pytest.param("é漢字🙂", id="beyond ASCII"),
        pytest.param("half a surrogate pair: \ud83d", id="half a surrogate pair"),
        pytest.param("word " * 50_000, id="long"),
        *(pytest.param(f"essay {i}", id=f"essay {i}") for i in range(20)),
    ],
)
def test_score_is_one_decimal_from_0_to_9(judge: Running, prompt: str) -> None:
    """Whatever the prompt, the last line is a score from 0 to 9 with one decimal."""
    body = {"model": "m", "messages": [{"role": "user", "content": prompt}]}
    reply = judge.http.post("/v1/chat/completions", content=json.dumps(body))
    assert 0 <= score(reply) <= 9
    assert judge.read("/requests")[0]["prompt"] == prompt


def test_replicates_differ_a_little(judge: Running) -> None:
    """Repeats of one prompt give several scores, no two of them more than 1.1 apart."""
    scores = [score(judge.ask()) for _ in range(12)]
    assert len(set(scores)) > 1
    assert max(scores) - min(scores) <= 1.1


def test_models_and_prompts_differ(judge: Running) -> None:
    """The score depends on the prompt and on the model asked."""
    assert len({score(judge.ask(f"essay {i}")) for i in range(10)}) > 3
    assert len({score(judge.ask(model=f"model {i}")) for i in range(10)}) > 3


def test_fresh_servers_give_the_same_sequence() -> None:
    """Two servers started afresh, and one told to forget, answer the same questions with the same scores."""
    questions = ["a", "b", "a", "a", "b"]
    with started() as first, started() as second:
        sequences = [[score(running.ask(question)) for question in questions] for running in (first, second)]
        first.http.delete("/requests")
        sequences.append([score(first.ask(question)) for question in questions])
    assert sequences[0] == sequences[1] == sequences[2]


def test_failed_replies_do_not_move_the_sequence_on(judge: Running) -> None:
    """A fault on the way changes no later score."""
    undisturbed = [score(judge.ask()) for _ in range(3)]
    judge.http.delete("/requests")
    judge.go_wrong({"fault": "garbage", "times": 1}, {"fault": "status", "status": 500, "times": 1})
    replies = [judge.ask() for _ in range(5)]
    assert [score(reply) for reply in replies[2:]] == undisturbed


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="no header"),
        pytest.param({"Authorization": "Bearer"}, id="no token"),
        pytest.param({"Authorization": f"Basic {KEY}"}, id="other scheme"),
    ],
)
def test_call_without_a_key_is_refused(judge: Running, headers: dict[str, str]) -> None:
    """Without a bearer token the answer is 401 in OpenAI's error shape."""
    url = judge.http.base_url.join("/v1/chat/completions")
    reply = httpx.post(url, headers=headers, json={"model": "m", "messages": [{"content": "x"}]}, trust_env=False)
    assert reply.status_code == 401
    assert reply.json()["error"].keys() == {"message", "type", "code", "param"}
    assert judge.read("/requests")[0]["key_sha256"] is None


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("{", id="no JSON"),
        pytest.param("[" * 100_000, id="nested too deep"),
        pytest.param("[]", id="a list"),
        pytest.param('{"messages": [{"content": "x"}]}', id="no model"),
        pytest.param('{"model": "", "messages": [{"content": "x"}]}', id="empty model"),
        pytest.param('{"model": "m"}', id="no messages"),
        pytest.param('{"model": "m", "messages": []}', id="empty messages"),
        pytest.param('{"model": "m", "messages": ["x"]}', id="a message that is a text"),
        pytest.param('{"model": "m", "messages": [{"content": 7}]}', id="content that is no text"),
    ],
)
def test_bad_body_is_refused(judge: Running, body: str) -> None:
    """A body that asks for no completion is a 400 in OpenAI's error shape, and is counted as one."""
    reply = judge.http.post("/v1/chat/completions", content=body)
    assert reply.status_code == 400
    assert reply.json()["error"]["type"] == "invalid_request_error"
    assert judge.read("/stats")["by_status"] == {"400": 1}


@pytest.mark.parametrize(
    ("rule", "header"),
    [
        pytest.param({}, None, id="none"),
        pytest.param({"retry_after": 3}, "3", id="whole seconds"),
        pytest.param({"retry_after": 0.25}, "0.25", id="a fraction"),
        pytest.param(
            {"retry_after_raw": "Wed, 21 Oct 2015 07:28:00 GMT"}, "Wed, 21 Oct 2015 07:28:00 GMT", id="date"
        ),
        pytest.param({"retry_after_raw": "soon", "retry_after": 3}, "soon", id="literal text wins"),
    ],
)
def test_status_fault(judge: Running, rule: dict[str, Any], header: str | None) -> None:
    """A status fault answers with that status, its message in the error shape, and Retry-After as told."""
    judge.go_wrong({"fault": "status", "status": 429, "message": "Slow down.", **rule})
    reply = judge.ask()
    assert reply.status_code == 429
    assert reply.json()["error"]["message"] == "Slow down."
    assert reply.headers.get("Retry-After") == header


@pytest.mark.parametrize(
    ("fault", "finish_reason", "replies"),
    [
        pytest.param("truncate", "length", 1, id="truncate"),
        pytest.param("garbage", "stop", 1, id="garbage"),
        pytest.param("empty", "stop", 0, id="empty"),
    ],
)
def test_fault_without_a_score(judge: Running, fault: str, finish_reason: str, replies: int) -> None:
    """A cut, rambling or empty reply is a 200 with no score line; only one with text counts as a reply."""
    judge.go_wrong({"fault": fault})
    reply = judge.ask()
    assert "SCORE" not in content(reply)
    assert bool(content(reply)) == bool(replies)
    assert reply.json()["choices"][0]["finish_reason"] == finish_reason
    assert judge.read("/stats")["replies"] == replies
    assert judge.read("/stats")["by_status"] == {"200": 1}


def test_reply_fault_is_literal(judge: Running) -> None:
    """A reply fault says exactly what it was told, under the model name it was told."""
    judge.go_wrong({"fault": "reply", "content": "SCORE: 4", "finish_reason": "length", "model": "real-1"})
    reply = judge.ask().json()
    assert reply["model"] == "real-1"
    assert reply["choices"][0]["message"]["content"] == "SCORE: 4"
    assert reply["choices"][0]["finish_reason"] == "length"


def test_reply_fault_keeps_the_marked_model_name(judge: Running) -> None:
    """A reply fault that names no model is marked as no model's, as every other reply."""
    judge.go_wrong({"fault": "reply", "content": "SCORE: 4", "requested_model": "m"})
    assert judge.ask(model="m").json()["model"] == "offline-judge-not-a-model/m"
    assert content(judge.ask(model="other")) != "SCORE: 4"


def test_latency_fault_answers_late(judge: Running) -> None:
    """A latency fault delays an ordinary reply by at least that long."""
    judge.go_wrong({"fault": "latency", "seconds": 0.3})
    begin = time.monotonic()
    assert 0 <= score(judge.ask()) <= 9
    assert time.monotonic() - begin > 0.29


def test_hang_fault_never_answers(judge: Running) -> None:
    """A hanging request is in flight until its client gives up, and then over without a reply."""
    judge.go_wrong({"fault": "hang"})
    with pytest.raises(httpx.ReadTimeout):
        judge.ask(timeout=0.3)
    wait_until(lambda: judge.read("/stats")["in_flight"] == 0)
    assert judge.read("/requests")[0]["status"] == 499
    assert judge.read("/stats")["replies"] == 0


def test_disconnect_fault_closes_the_connection(judge: Running) -> None:
    """A disconnect fault gives the client no response at all, and the next request is served."""
    judge.go_wrong({"fault": "disconnect", "times": 1})
    with pytest.raises((httpx.RemoteProtocolError, httpx.NetworkError)):
        judge.ask()
    assert judge.ask().status_code == 200
    assert judge.read("/stats")["by_status"] == {"499": 1, "200": 1}


def test_first_rule_that_matches_and_is_not_used_up_applies(judge: Running) -> None:
    """Rules are tried in order by text, model and times, and say how often each fired."""
    by_text = {"fault": "status", "status": 503, "contains": "poison", "times": 1}
    by_model = {"fault": "status", "status": 404, "model": "gone", "times": None}
    judge.go_wrong(by_text, by_model)
    calls = [("some poison", "m"), ("some poison", "m"), ("some poison", "gone"), ("fine", "gone"), ("fine", "m")]
    assert [judge.ask(prompt, model=model).status_code for prompt, model in calls] == [503, 200, 404, 404, 200]
    assert judge.read("/faults") == [by_text | {"fired": 1}, by_model | {"fired": 2}]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        pytest.param("hang", "not a JSON object", id="no object"),
        pytest.param({}, "no known 'fault'", id="no fault"),
        pytest.param({"fault": "explode"}, "'explode'", id="unknown fault"),
        pytest.param({"fault": ["hang"]}, "no known 'fault'", id="fault that is no text"),
        pytest.param({"fault": "hang", "tmies": 1}, "unknown key 'tmies'", id="unknown key"),
        pytest.param({"fault": "hang", "seconds": 1}, "unknown key 'seconds'", id="another fault's key"),
        pytest.param({"fault": "hang", "times": "2"}, "'times'", id="times that is a text"),
        pytest.param({"fault": "hang", "times": True}, "'times'", id="times that is a boolean"),
        pytest.param({"fault": "hang", "contains": 7}, "'contains'", id="contains that is a number"),
        pytest.param({"fault": "status"}, "'status'", id="status missing"),
        pytest.param({"fault": "status", "status": 200}, "400 to 599", id="status that is no error"),
        pytest.param({"fault": "status", "status": 500, "retry_after_raw": "a\nb"}, "'retry_after_raw'", id="header"),
        pytest.param({"fault": "latency", "seconds": -1}, "'seconds'", id="negative seconds"),
        pytest.param({"fault": "reply"}, "'content'", id="content missing"),
    ],
)
def test_bad_rule_is_refused_and_the_former_rules_stay(judge: Running, rule: Any, said: str) -> None:
    """One bad rule refuses the whole list with its index and what is wrong, and the former rules go on."""
    judge.go_wrong({"fault": "empty"})
    reply = judge.http.put("/faults", json=[{"fault": "garbage"}, rule])
    message = reply.json()["error"]["message"]
    assert reply.status_code == 400
    assert "Rule 1" in message
    assert said in message
    assert judge.read("/faults") == [{"fault": "empty", "fired": 0}]


def test_all_bad_rules_are_named_at_once(judge: Running) -> None:
    """Every problem of a list of rules is in the one message; a body that is no list is refused too."""
    reply = judge.http.put("/faults", json=[{"fault": "x"}, {"fault": "hang", "a": 1, "times": -1}])
    message = reply.json()["error"]["message"]
    assert all(part in message for part in ("Rule 0", "Rule 1", "'a'", "'times'"))
    assert judge.http.put("/faults", json={"fault": "hang"}).status_code == 400


def test_requests_are_listed_as_they_came(judge: Running) -> None:
    """Each request is kept with its number, time, model, text, body, status and the key's hash, never the key."""
    begin = time.time()
    judge.ask("one", model="a")
    judge.go_wrong({"fault": "status", "status": 500})
    judge.ask("two", model="b")
    kept = judge.http.get("/requests")
    first, second = kept.json()
    assert (first["n"], first["model"], first["prompt"], first["status"]) == (1, "a", "one", 200)
    assert (second["n"], second["model"], second["prompt"], second["status"]) == (2, "b", "two", 500)
    assert first["body"] == {"model": "a", "messages": [{"role": "user", "content": "one"}]}
    assert begin - 1 <= first["at"] <= second["at"] <= time.time() + 1
    assert first["key_sha256"] == hashlib.sha256(KEY.encode()).hexdigest()
    assert KEY not in kept.text


def test_prompt_is_the_text_of_all_messages(judge: Running) -> None:
    """The prompt that is kept and matched by faults is the messages' texts, a line break between them."""
    messages = [{"role": "system", "content": "one"}, {"role": "user", "content": "two"}]
    judge.http.post("/v1/chat/completions", json={"model": "m", "messages": messages})
    assert judge.read("/requests")[0]["prompt"] == "one\ntwo"


def test_delete_forgets_requests_but_not_faults(judge: Running) -> None:
    """DELETE /requests empties the list and the counts and leaves the fault rules as they are."""
    judge.go_wrong({"fault": "garbage", "times": 5})
    judge.ask()
    judge.http.delete("/requests")
    nothing = {"requests": 0, "replies": 0, "in_flight": 0, "peak_in_flight": 0, "by_status": {}, "tokens": {}}
    assert judge.read("/requests") == []
    assert judge.read("/stats") == nothing
    assert judge.read("/faults") == [{"fault": "garbage", "times": 5, "fired": 1}]


def test_concurrent_requests_are_counted(judge: Running) -> None:
    """Fifty hanging requests are in flight at once; when their clients go the peak stays and the counts add up."""
    judge.go_wrong({"fault": "hang"})
    with waiting(judge, 50):
        during = judge.read("/stats")
    counts = {"requests": 50, "replies": 0, "in_flight": 50, "peak_in_flight": 50}
    assert during == counts | {"by_status": {}, "tokens": {}}
    wait_until(lambda: judge.read("/stats") == during | {"in_flight": 0, "by_status": {"499": 50}})


def test_what_replies_are_billed_for(judge: Running) -> None:
    """The tokens of all replies are summed up by model; an error costs nothing."""
    judge.go_wrong({"fault": "status", "status": 500, "times": 1})
    answers = [judge.ask("one", model="a"), judge.ask("one", model="a"), judge.ask("two, longer", model="b")]
    assert [answer.status_code for answer in answers] == [500, 200, 200]
    billed = {
        model: {name: answer.json()["usage"][name] for name in ("prompt_tokens", "completion_tokens")}
        for model, answer in zip(("a", "b"), answers[1:], strict=True)
    }
    assert judge.read("/stats")["tokens"] == billed


def test_replies_of_random_length_keep_to_the_calls_limit(judge: Running) -> None:
    """Lengths vary, the score still comes last, and what is beyond the limit of the call is cut and not billed."""
    judge.go_wrong({"fault": "length", "most_tokens": 400, "seed": 7})
    free = [judge.ask().json() for _ in range(12)]
    assert len({reply["usage"]["completion_tokens"] for reply in free}) > 6
    assert all("SCORE: " in reply["choices"][0]["message"]["content"].splitlines()[-1] for reply in free)
    limited = [judge.ask(max_tokens=150).json() for _ in range(12)]
    assert {reply["choices"][0]["finish_reason"] for reply in limited} == {"stop", "length"}
    assert max(reply["usage"]["completion_tokens"] for reply in limited) == 150


def test_a_rate_limit_answers_429_beyond_it(judge: Running) -> None:
    """Of a burst as many requests as allowed are answered, the rest get 429 and its Retry-After; later it goes on."""
    judge.go_wrong({"fault": "rate_limit", "per_second": 3, "retry_after": 1})
    burst = [judge.ask() for _ in range(6)]
    assert [answer.status_code for answer in burst] == [200] * 3 + [429] * 3
    assert burst[-1].headers["retry-after"] == "1"
    time.sleep(1.05)
    assert judge.ask().status_code == 200


def test_a_fault_by_chance_strikes_some(judge: Running) -> None:
    """A rule with a chance applies to that part of the requests, and the same seed gives the same ones."""
    rule = {"fault": "status", "status": 500, "chance": 0.3, "seed": 1}
    rounds = []
    for _ in range(2):
        judge.go_wrong(rule)
        rounds.append([judge.ask().status_code for _ in range(60)])
    assert rounds[0] == rounds[1]
    assert 8 <= rounds[0].count(500) <= 30


def test_request_that_outlives_a_delete_is_counted_no_more(judge: Running) -> None:
    """A request under way while the counts are reset never makes the new ones disagree."""
    judge.go_wrong({"fault": "hang", "times": 1})
    with waiting(judge, 1) as (client,):
        judge.http.delete("/requests")
        client.shutdown(socket.SHUT_WR)
        assert client.recv(100) == b""
    judge.ask()
    stats = judge.read("/stats")
    assert (stats["requests"], stats["in_flight"], stats["by_status"]) == (1, 0, {"200": 1})


def test_options_latency_port_file_and_kept_requests(tmp_path: Path) -> None:
    """The port file holds the port, replacing a former one; every answer is late; old requests are dropped."""
    port_file = tmp_path / "new" / "port"
    port_file.parent.mkdir()
    port_file.write_text("1\n")
    options = ("--port-file", str(port_file), "--latency-s", "0.1", "--keep-requests", "2")
    with started(*options) as running:
        assert int(port_file.read_text()) == running.http.base_url.port
        assert list(port_file.parent.iterdir()) == [port_file]
        running.go_wrong({"fault": "status", "status": 500, "times": 1})
        begin = time.monotonic()
        assert [running.ask(prompt).status_code for prompt in "abc"] == [500, 200, 200]
        assert time.monotonic() - begin > 0.29
        assert [kept["prompt"] for kept in running.read("/requests")] == ["b", "c"]
        assert running.read("/stats")["requests"] == 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param(["--host", "0.0.0.0"], "'0.0.0.0' is no loopback host", id="all interfaces"),  # noqa: S104
        pytest.param(["--host", "::"], "'::' is no loopback host", id="all IPv6 interfaces"),
        pytest.param(["--host", "192.168.1.4"], "no loopback host", id="private network"),
        pytest.param(["--host", "localhost.example.org"], "no loopback host", id="a name"),
        pytest.param(["--port", "99999"], "cannot start on 127.0.0.1 port 99999", id="no such port"),
        pytest.param(["--latency-s", "nan"], "take numbers from 0", id="latency that is no number"),
    ],
)
def test_bad_option_ends_with_2_and_a_sentence(options: list[str], said: str) -> None:
    """What it cannot or must not listen on ends it with exit code 2, a sentence and no traceback."""
    ended = subprocess.run([*COMMAND, *options], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not ended.stdout


@pytest.mark.parametrize(
    "signum", [pytest.param(signal.SIGTERM, id="TERM"), pytest.param(signal.SIGINT, id="Ctrl-C")]
)
def test_signal_ends_it_while_requests_wait(tmp_path: Path, signum: signal.Signals) -> None:
    """With one request that hangs and one that pauses, a signal ends it soon, silently and with exit code 0."""
    log = tmp_path / "stderr"
    with log.open("w") as stderr, started(stderr=stderr) as running:
        running.go_wrong({"fault": "hang", "times": 1}, {"fault": "latency", "seconds": 600})
        with waiting(running, 2) as clients:
            running.process.send_signal(signum)
            # Two seconds are promised; a busy machine is given some more.
            assert running.process.wait(timeout=6) == 0
            assert [client.recv(100) for client in clients] == [b"", b""]
    assert log.read_text() == ""
