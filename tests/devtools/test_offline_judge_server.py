"""The offline judge as a server: its counts, its list of requests, its options and its end."""

import hashlib
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.devtools.judge_process import COMMAND, KEY, ROOT, Running, started, wait_until, waiting


def test_requests_are_listed_in_order(judge: Running) -> None:
    """Each request is kept with its number, time, model, text, body, status and the key's hash, never the key."""
    begin = time.time()
    judge.ask("one", model="a")
    judge.set_faults({"fault": "status", "status": 500})
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
    """The prompt that is kept and matched by faults is the texts of all messages, joined by line breaks."""
    messages = [{"role": "system", "content": "one"}, {"role": "user", "content": "two"}]
    judge.http.post("/v1/chat/completions", json={"model": "m", "messages": messages})
    assert judge.read("/requests")[0]["prompt"] == "one\ntwo"


def test_delete_removes_requests_but_not_faults(judge: Running) -> None:
    """DELETE /requests clears the list and the counts, and keeps the fault rules."""
    judge.set_faults({"fault": "garbage", "times": 5})
    judge.ask()
    judge.http.delete("/requests")
    nothing = {"requests": 0, "replies": 0, "in_flight": 0, "peak_in_flight": 0, "by_status": {}, "tokens": {}}
    assert judge.read("/requests") == []
    assert judge.read("/stats") == nothing
    assert judge.read("/faults") == [{"fault": "garbage", "times": 5, "fired": 1}]


def test_concurrent_requests_are_counted(judge: Running) -> None:
    """Fifty hanging requests are in flight at once; after they end, the peak stays and the counts add up."""
    judge.set_faults({"fault": "hang"})
    with waiting(judge, 50):
        during = judge.read("/stats")
    counts = {"requests": 50, "replies": 0, "in_flight": 50, "peak_in_flight": 50}
    assert during == counts | {"by_status": {}, "tokens": {}}
    wait_until(lambda: judge.read("/stats") == during | {"in_flight": 0, "by_status": {"499": 50}})


def test_billed_tokens_are_summed_up(judge: Running) -> None:
    """The tokens of all replies are summed up by model, and an error is not billed."""
    judge.set_faults({"fault": "status", "status": 500, "times": 1})
    answers = [judge.ask("one", model="a"), judge.ask("one", model="a"), judge.ask("two, longer", model="b")]
    assert [answer.status_code for answer in answers] == [500, 200, 200]
    billed = {
        model: {name: answer.json()["usage"][name] for name in ("prompt_tokens", "completion_tokens")}
        for model, answer in zip(("a", "b"), answers[1:], strict=True)
    }
    assert judge.read("/stats")["tokens"] == billed


def test_request_under_way_during_a_delete_is_not_counted(judge: Running) -> None:
    """A request that is under way while the counts are reset does not change the new counts."""
    judge.set_faults({"fault": "hang", "times": 1})
    with waiting(judge, 1) as (client,):
        judge.http.delete("/requests")
        client.shutdown(socket.SHUT_WR)
        assert client.recv(100) == b""
    judge.ask()
    stats = judge.read("/stats")
    assert (stats["requests"], stats["in_flight"], stats["by_status"]) == (1, 0, {"200": 1})


def test_options_latency_port_file_and_kept_requests(tmp_path: Path) -> None:
    """The port file has the new port, every answer is delayed, and old requests are dropped."""
    port_file = tmp_path / "new" / "port"
    port_file.parent.mkdir()
    port_file.write_text("1\n")
    options = ("--port-file", str(port_file), "--latency-s", "0.1", "--keep-requests", "2")
    with started(*options) as running:
        assert int(port_file.read_text()) == running.http.base_url.port
        assert list(port_file.parent.iterdir()) == [port_file]
        running.set_faults({"fault": "status", "status": 500, "times": 1})
        begin = time.monotonic()
        assert [running.ask(prompt).status_code for prompt in "abc"] == [500, 200, 200]
        assert time.monotonic() - begin > 0.29
        assert [kept["prompt"] for kept in running.read("/requests")] == ["b", "c"]
        assert running.read("/stats")["requests"] == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(["--host", "0.0.0.0"], "'0.0.0.0' is not a loopback host", id="all interfaces"),  # noqa: S104
        pytest.param(["--host", "::"], "'::' is not a loopback host", id="all IPv6 interfaces"),
        pytest.param(["--host", "192.168.1.4"], "not a loopback host", id="private network"),
        pytest.param(["--host", "localhost.example.org"], "not a loopback host", id="a name"),
        pytest.param(["--port", "99999"], "cannot start on 127.0.0.1 port 99999", id="no such port"),
        pytest.param(["--latency-s", "nan"], "take numbers from 0", id="latency that is not a number"),
    ],
)
def test_bad_option_ends_with_2_and_a_sentence(options: list[str], message: str) -> None:
    """A bad host, port or option ends the judge with exit code 2, a sentence and no traceback."""
    ended = subprocess.run([*COMMAND, *options], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not ended.stdout


@pytest.mark.parametrize(
    "signum", [pytest.param(signal.SIGTERM, id="TERM"), pytest.param(signal.SIGINT, id="Ctrl-C")]
)
def test_signal_ends_it_while_requests_wait(tmp_path: Path, signum: signal.Signals) -> None:
    """With a hanging and a delayed request, a signal ends the judge soon, without output and with exit code 0."""
    log = tmp_path / "stderr"
    with log.open("w") as stderr, started(stderr=stderr) as running:
        running.set_faults({"fault": "hang", "times": 1}, {"fault": "latency", "seconds": 600})
        with waiting(running, 2) as clients:
            running.process.send_signal(signum)
            # The judge promises two seconds; a busy machine may take longer.
            assert running.process.wait(timeout=6) == 0
            assert [client.recv(100) for client in clients] == [b"", b""]
    assert log.read_text() == ""
