"""The offline judge over real HTTP: its replies and scores, and the calls that it refuses."""

import json
import re

import httpx
import pytest

from essay_cohorts.judging.json_score import read_json
from essay_cohorts.judging.parsers import read_last_line
from tests.devtools.judge_process import KEY, Running, score, started


def test_first_line_says_that_it_is_not_a_model(judge: Running) -> None:
    """The one line at start-up says that this is not a model, and the address."""
    start = "offline judge: NOT a model, its scores are made up; listening on"
    assert re.fullmatch(rf"{start} http://127\.0\.0\.1:\d+/v1\n", judge.line)


def test_health(judge: Running) -> None:
    """A started judge is healthy."""
    assert judge.read("/health") == {"status": "ok"}


def test_reply_has_the_shape_of_a_chat_completion(judge: Running) -> None:
    """A reply is a chat.completion that names no real model, says so in its text, and ends in a score."""
    messages = [{"role": "system", "content": "Be fair."}, {"role": "user", "content": "Über 9"}]
    body = {"model": "gpt-x", "messages": messages, "temperature": 0}
    reply = judge.http.post("/v1/chat/completions", json=body).raise_for_status().json()
    choice = reply["choices"][0]
    text = choice["message"]["content"]
    tokens = -(-len(text.encode()) // 4)
    assert reply["object"] == "chat.completion"
    assert reply["id"]
    assert isinstance(reply["created"], int)
    assert reply["model"] == "offline-judge-not-a-model/gpt-x"
    assert (choice["message"]["role"], choice["finish_reason"]) == ("assistant", "stop")
    assert "not a language model" in text
    assert re.search(r"\nSCORE: \d\.\d\Z", text)
    assert reply["usage"] == {"prompt_tokens": 4, "completion_tokens": tokens, "total_tokens": 4 + tokens}


def test_a_prompt_that_asks_for_json_gets_json(judge: Running) -> None:
    """The object has the score of the last line, so that either parser reads the same."""
    messages = [{"role": "user", "content": 'End with {"score": n}.'}]
    reply = judge.http.post("/v1/chat/completions", json={"model": "m", "messages": messages}).json()
    text = reply["choices"][0]["message"]["content"]
    assert json.loads(text.split("```json")[1].split("```")[0])["score"] == float(text.rsplit(": ", 1)[1])
    assert read_json(text).score == read_last_line(text).score is not None


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
    """For every prompt the last line is a score from 0 to 9 with one decimal."""
    body = {"model": "m", "messages": [{"role": "user", "content": prompt}]}
    reply = judge.http.post("/v1/chat/completions", content=json.dumps(body))
    assert 0 <= score(reply) <= 9
    assert judge.read("/requests")[0]["prompt"] == prompt


def test_replicates_differ_a_little(judge: Running) -> None:
    """Repeats of one prompt give several scores that differ by at most 1.1."""
    scores = [score(judge.ask()) for _ in range(12)]
    assert len(set(scores)) > 1
    assert max(scores) - min(scores) <= 1.1


def test_models_and_prompts_differ(judge: Running) -> None:
    """The score depends on the prompt and on the requested model."""
    assert len({score(judge.ask(f"essay {i}")) for i in range(10)}) > 3
    assert len({score(judge.ask(model=f"model {i}")) for i in range(10)}) > 3


def test_fresh_servers_give_the_same_sequence() -> None:
    """Two new servers, and one server after DELETE /requests, give the same scores for the same prompts."""
    prompts = ["a", "b", "a", "a", "b"]
    with started() as first, started() as second:
        sequences = [[score(running.ask(prompt)) for prompt in prompts] for running in (first, second)]
        first.http.delete("/requests")
        sequences.append([score(first.ask(prompt)) for prompt in prompts])
    assert sequences[0] == sequences[1] == sequences[2]


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="no header"),
        pytest.param({"Authorization": "Bearer"}, id="no token"),
        pytest.param({"Authorization": f"Basic {KEY}"}, id="other scheme"),
    ],
)
def test_call_without_a_key_is_refused(judge: Running, headers: dict[str, str]) -> None:
    """Without a bearer token the answer is a 401 in the form of OpenAI's errors."""
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
        pytest.param('{"model": "m", "messages": [{"content": 7}]}', id="content that is not text"),
    ],
)
def test_bad_body_is_refused(judge: Running, body: str) -> None:
    """A body that is not a valid call is answered with a 400 in the form of OpenAI's errors, and counted as 400."""
    reply = judge.http.post("/v1/chat/completions", content=body)
    assert reply.status_code == 400
    assert reply.json()["error"]["type"] == "invalid_request_error"
    assert judge.read("/stats")["by_status"] == {"400": 1}
