"""The fault rules of the offline judge over real HTTP."""

import time
from typing import Any

import httpx
import pytest

from tests.devtools.judge_process import Running, content, score, wait_until


def test_failed_replies_do_not_advance_the_sequence(judge: Running) -> None:
    """A fault changes no later score."""
    undisturbed = [score(judge.ask()) for _ in range(3)]
    judge.http.delete("/requests")
    judge.set_faults({"fault": "garbage", "times": 1}, {"fault": "status", "status": 500, "times": 1})
    replies = [judge.ask() for _ in range(5)]
    assert [score(reply) for reply in replies[2:]] == undisturbed


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
    """A status fault answers with the rule's status, message and Retry-After."""
    judge.set_faults({"fault": "status", "status": 429, "message": "Slow down.", **rule})
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
    """A cut, garbage or empty reply is a 200 without a score; only a reply with text is counted as a reply."""
    judge.set_faults({"fault": fault})
    reply = judge.ask()
    assert "SCORE" not in content(reply)
    assert bool(content(reply)) == bool(replies)
    assert reply.json()["choices"][0]["finish_reason"] == finish_reason
    assert judge.read("/stats")["replies"] == replies
    assert judge.read("/stats")["by_status"] == {"200": 1}


def test_reply_fault_is_literal(judge: Running) -> None:
    """A reply fault answers with exactly the rule's text and model name."""
    judge.set_faults({"fault": "reply", "content": "SCORE: 4", "finish_reason": "length", "model": "real-1"})
    reply = judge.ask().json()
    assert reply["model"] == "real-1"
    assert reply["choices"][0]["message"]["content"] == "SCORE: 4"
    assert reply["choices"][0]["finish_reason"] == "length"


def test_reply_fault_keeps_the_marked_model_name(judge: Running) -> None:
    """A reply fault without a model has the marked model name, like every other reply."""
    judge.set_faults({"fault": "reply", "content": "SCORE: 4", "requested_model": "m"})
    assert judge.ask(model="m").json()["model"] == "offline-judge-not-a-model/m"
    assert content(judge.ask(model="other")) != "SCORE: 4"


def test_latency_fault_answers_late(judge: Running) -> None:
    """A latency fault delays an ordinary reply by at least the rule's seconds."""
    judge.set_faults({"fault": "latency", "seconds": 0.3})
    begin = time.monotonic()
    assert 0 <= score(judge.ask()) <= 9
    assert time.monotonic() - begin > 0.29


def test_hang_fault_never_answers(judge: Running) -> None:
    """A hanging request is in flight until its client gives up, and then ends without a reply."""
    judge.set_faults({"fault": "hang"})
    with pytest.raises(httpx.ReadTimeout):
        judge.ask(timeout=0.3)
    wait_until(lambda: judge.read("/stats")["in_flight"] == 0)
    assert judge.read("/requests")[0]["status"] == 499
    assert judge.read("/stats")["replies"] == 0


def test_disconnect_fault_closes_the_connection(judge: Running) -> None:
    """A disconnect fault closes the connection without a response, and the next request is served."""
    judge.set_faults({"fault": "disconnect", "times": 1})
    with pytest.raises((httpx.RemoteProtocolError, httpx.NetworkError)):
        judge.ask()
    assert judge.ask().status_code == 200
    assert judge.read("/stats")["by_status"] == {"499": 1, "200": 1}


def test_first_rule_that_matches_and_is_not_used_up_applies(judge: Running) -> None:
    """Rules are tried in order by text, model and times, and each counts how often it was applied."""
    by_text = {"fault": "status", "status": 503, "contains": "poison", "times": 1}
    by_model = {"fault": "status", "status": 404, "model": "gone", "times": None}
    judge.set_faults(by_text, by_model)
    calls = [("some poison", "m"), ("some poison", "m"), ("some poison", "gone"), ("fine", "gone"), ("fine", "m")]
    assert [judge.ask(prompt, model=model).status_code for prompt, model in calls] == [503, 200, 404, 404, 200]
    assert judge.read("/faults") == [by_text | {"fired": 1}, by_model | {"fired": 2}]


@pytest.mark.parametrize(
    ("rule", "mistake"),
    [
        pytest.param("hang", "not a JSON object", id="no object"),
        pytest.param({}, "no known 'fault'", id="no fault"),
        pytest.param({"fault": "explode"}, "'explode'", id="unknown fault"),
        pytest.param({"fault": ["hang"]}, "no known 'fault'", id="fault that is not text"),
        pytest.param({"fault": "hang", "tmies": 1}, "unknown key 'tmies'", id="unknown key"),
        pytest.param({"fault": "hang", "seconds": 1}, "unknown key 'seconds'", id="another fault's key"),
        pytest.param({"fault": "hang", "times": "2"}, "'times'", id="times that is a text"),
        pytest.param({"fault": "hang", "times": True}, "'times'", id="times that is a boolean"),
        pytest.param({"fault": "hang", "contains": 7}, "'contains'", id="contains that is a number"),
        pytest.param({"fault": "status"}, "'status'", id="status missing"),
        pytest.param({"fault": "status", "status": 200}, "400 to 599", id="status that is not an error"),
        pytest.param({"fault": "status", "status": 500, "retry_after_raw": "a\nb"}, "'retry_after_raw'", id="header"),
        pytest.param({"fault": "latency", "seconds": -1}, "'seconds'", id="negative seconds"),
        pytest.param({"fault": "reply"}, "'content'", id="content missing"),
    ],
)
def test_bad_rule_is_refused_and_the_former_rules_stay(judge: Running, rule: Any, mistake: str) -> None:
    """A list with a bad rule is refused with the rule's index and mistake, and the former rules stay."""
    judge.set_faults({"fault": "empty"})
    reply = judge.http.put("/faults", json=[{"fault": "garbage"}, rule])
    message = reply.json()["error"]["message"]
    assert reply.status_code == 400
    assert "Rule 1" in message
    assert mistake in message
    assert judge.read("/faults") == [{"fault": "empty", "fired": 0}]


def test_all_bad_rules_are_named_at_once(judge: Running) -> None:
    """One message names every mistake in a list of rules, and a body that is not a list is refused, too."""
    reply = judge.http.put("/faults", json=[{"fault": "x"}, {"fault": "hang", "a": 1, "times": -1}])
    message = reply.json()["error"]["message"]
    assert all(part in message for part in ("Rule 0", "Rule 1", "'a'", "'times'"))
    assert judge.http.put("/faults", json={"fault": "hang"}).status_code == 400


def test_replies_of_random_length_keep_to_the_calls_limit(judge: Running) -> None:
    """Lengths vary, the score is the last line, and text beyond the call's limit is cut and not billed."""
    judge.set_faults({"fault": "length", "most_tokens": 400, "seed": 7})
    free = [judge.ask().json() for _ in range(12)]
    assert len({reply["usage"]["completion_tokens"] for reply in free}) > 6
    assert all("SCORE: " in reply["choices"][0]["message"]["content"].splitlines()[-1] for reply in free)
    limited = [judge.ask(max_tokens=150).json() for _ in range(12)]
    assert {reply["choices"][0]["finish_reason"] for reply in limited} == {"stop", "length"}
    assert max(reply["usage"]["completion_tokens"] for reply in limited) == 150


def test_a_rate_limit_answers_429_beyond_it(judge: Running) -> None:
    """A burst beyond the rate gets 429 with Retry-After, and a later request is answered."""
    judge.set_faults({"fault": "rate_limit", "per_second": 3, "retry_after": 1})
    burst = [judge.ask() for _ in range(6)]
    assert [answer.status_code for answer in burst] == [200] * 3 + [429] * 3
    assert burst[-1].headers["retry-after"] == "1"
    time.sleep(1.05)
    assert judge.ask().status_code == 200


def test_a_fault_by_chance_applies_to_some(judge: Running) -> None:
    """A rule with a chance applies to this share of the requests, and the same seed gives the same requests."""
    rule = {"fault": "status", "status": 500, "chance": 0.3, "seed": 1}
    rounds = []
    for _ in range(2):
        judge.set_faults(rule)
        rounds.append([judge.ask().status_code for _ in range(60)])
    assert rounds[0] == rounds[1]
    assert 8 <= rounds[0].count(500) <= 30
