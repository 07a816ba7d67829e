"""Judges behind a real LiteLLM proxy beside judges at another server, and what the proxy's answers are read as."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.answer_server import Answer, AnswerServer
from tests.cli.command import FinishedCommand, run_command
from tests.judge_server import JudgeServer
from tests.litellm.proxy import KEY, UPSTREAM_KEY, Proxy, started_proxy
from tests.store_builder import StoreBuilder

USAGE = {
    "prompt_tokens": 1000,
    "completion_tokens": 200,
    "total_tokens": 1200,
    "prompt_tokens_details": {"cached_tokens": 896},
    "completion_tokens_details": {"reasoning_tokens": 150},
}
OFFLINE_KEY = "sk-of-the-offline-judge"


def reply(**message: str) -> Answer:
    """Return a completion of the server behind the proxy."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", **message}}
    body = {"id": "1", "object": "chat.completion", "created": 1, "model": "behind-2026-01-01", "choices": [choice]}
    return Answer(body={**body, "usage": USAGE})


def refusal(status: int, code: str, message: str, *, param: str | None = None, **headers: str) -> Answer:
    """Return an error of the server behind the proxy, in OpenAI's form."""
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return Answer(status=status, body={"error": error}, headers=headers)


@pytest.fixture(scope="module")
def behind() -> Iterator[AnswerServer]:
    """Start the server behind the proxy."""
    with AnswerServer(answers=[reply(content="SCORE: 5")]).serving() as server:
        yield server


@pytest.fixture(scope="module")
def proxy(behind: AnswerServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """Start one proxy for all tests, because its start takes most of the time."""
    with started_proxy(tmp_path_factory.mktemp("litellm"), behind.base_url) as started:
        yield started


@pytest.fixture
def selected(store: StoreBuilder, judge_server: JudgeServer, monkeypatch: pytest.MonkeyPatch) -> StoreBuilder:
    """Return a store with five essays for two judges: judge-a at the offline judge, judge-b behind the proxy."""
    use_models(store, proxied="mocked")
    store.backfill(*(store.essay(number) for number in range(1, 6)))
    connection = {"host": judge_server.base_url, "password": OFFLINE_KEY}
    monkeypatch.setenv("AIRFLOW_CONN_LLM_DEFAULT", json.dumps(connection))
    return store


def use_models(store: StoreBuilder, *, proxied: str) -> None:
    """Write the rows of both judges; `proxied` is the model that the proxy is asked for."""
    header = "id,model,for_evaluation,max_tokens,input_usd_per_mtok,output_usd_per_mtok,connection"
    rows = ["judge-a,example/judge-a,true,,,,", f"judge-b,{proxied},true,500,1,10,litellm"]
    store.write("1_raw/llm_models.csv", "\n".join([header, *rows]) + "\n")


def run(store: StoreBuilder, **conf: Any) -> FinishedCommand:
    """Run `cohorts run` with one template, once for each essay and judge, in one slice."""
    whole = {"templates": ["novelty"], "replicates": 1, "batch_size": 100, **conf}
    return run_command("run", "--cohort", "c", "--yes", "--data-root", store.root, "--conf", json.dumps(whole))


def scores(store: StoreBuilder, judge: str) -> list[str]:
    """Return the scores of a judge in scores.csv."""
    return [row["score"] for row in store.rows("cohorts/c/scores.csv") if row["llm_model_id"] == judge]


def records(store: StoreBuilder, name: str, judge: str) -> list[dict[str, Any]]:
    """Return the JSON files of this name of the judge's evaluations."""
    gen_ids = [row["gen_id"] for row in store.rows("cohorts/c/scores.csv") if row["llm_model_id"] == judge]
    paths = [store.root / "gens" / "evaluation" / gen_id / name for gen_id in gen_ids]
    return [json.loads(path.read_text("utf-8")) for path in paths if path.exists()]


def shows_no_key(done: FinishedCommand, store: StoreBuilder, *more: str) -> bool:
    """Return whether no key is in what the command printed and wrote."""
    keys = (KEY, UPSTREAM_KEY, OFFLINE_KEY, *more)
    kept = b"".join(store.files().values()).decode("utf-8", "replace")
    return not any(key in done.stdout + done.stderr + kept for key in keys)


def test_both_judges_score(
    selected: StoreBuilder, judge_server: JudgeServer, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One run has scores of both servers, and the records say which server, model and tokens they came from."""
    monkeypatch.setenv("AIRFLOW_CONN_LITELLM", proxy.connection())
    done = run(selected)
    assert done.returncode == 0, done.stderr
    assert scores(selected, "judge-b") == ["7.0"] * 5
    assert all(scores(selected, "judge-a"))
    assert judge_server.calls() == 5
    for record in records(selected, "raw_metadata.json", "judge-b"):
        assert (record["base_url"].rstrip("/"), record["response_model"]) == (proxy.base_url, "mocked")
        usage = record["usage"]
        assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0
        expected = (usage["prompt_tokens"] * 1 + usage["completion_tokens"] * 10) / 1e6
        assert record["cost_usd"] == pytest.approx(expected)
    assert {record["base_url"].rstrip("/") for record in records(selected, "raw_metadata.json", "judge-a")} == {
        judge_server.base_url
    }
    assert shows_no_key(done, selected)


def test_usage_and_reasoning_come_through_the_proxy(
    selected: StoreBuilder, proxy: Proxy, behind: AnswerServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tokens and the reasoning that the server behind returns are kept, and that server gets its own key."""
    monkeypatch.setenv("AIRFLOW_CONN_LITELLM", proxy.connection())
    use_models(selected, proxied="forwarded")
    behind.answers = [reply(content="SCORE: 4", reasoning_content="I weigh both sides.")]
    done = run(selected, models=["judge-b"])
    assert (done.returncode, scores(selected, "judge-b")) == (0, ["4.0"] * 5), done.stderr
    [usage] = {tuple(record["usage"].items()) for record in records(selected, "raw_metadata.json", "judge-b")}
    assert dict(usage) | {"cost_usd": None} == {
        "prompt_tokens": 1000,
        "completion_tokens": 200,
        "total_tokens": 1200,
        "cached_tokens": 896,
        "reasoning_tokens": 150,
        "cost_usd": None,
    }
    texts = {path.read_text("utf-8") for path in selected.root.glob("gens/evaluation/*/reasoning.txt")}
    assert texts == {"I weigh both sides."}
    assert all(UPSTREAM_KEY in text and KEY not in text for text in behind.received)
    assert behind.asked[-1]["max_tokens"] == 500


def test_a_wrong_key_of_the_proxy_leaves_the_other_judge_working(
    selected: StoreBuilder, judge_server: JudgeServer, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy without a database answers a wrong key with a 400: its judge stops after three, the other scores."""
    wrong = "sk-wrong-key-of-the-proxy"
    monkeypatch.setenv("AIRFLOW_CONN_LITELLM", proxy.connection(wrong))
    done = run(selected, max_concurrency=1)
    assert (done.returncode, judge_server.calls()) == (1, 5)
    assert all(scores(selected, "judge-a"))
    assert scores(selected, "judge-b") == [""] * 5
    assert [each["kind"] for each in records(selected, "failure.json", "judge-b")].count("http_400") == 3
    assert "Check the key and the host of the Connection litellm" in done.stderr
    assert shows_no_key(done, selected, wrong)


def test_a_wrong_key_of_the_other_server_leaves_the_proxy_working(
    selected: StoreBuilder, judge_server: JudgeServer, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first 401 stops the other server's judge, and every evaluation behind the proxy is scored."""
    monkeypatch.setenv("AIRFLOW_CONN_LITELLM", proxy.connection())
    judge_server.faults({"fault": "status", "status": 401, "message": f"Wrong key {OFFLINE_KEY}"})
    done = run(selected, max_concurrency=1)
    assert (done.returncode, judge_server.calls()) == (1, 1)
    assert scores(selected, "judge-b") == ["7.0"] * 5
    assert "Put a valid API key into the Connection llm_default" in done.stderr
    assert shows_no_key(done, selected)


@pytest.mark.parametrize(
    ("answer", "requests", "step"),
    [
        pytest.param(
            refusal(401, "invalid_api_key", f"Incorrect API key provided: {UPSTREAM_KEY}."),
            1, "Put a valid API key into the Connection litellm", id="a wrong key behind the proxy",
        ),
        pytest.param(
            refusal(429, "insufficient_quota", "You exceeded your current quota, please check your plan."),
            1, "Top up the account behind the Connection litellm", id="no credit behind the proxy",
        ),
        pytest.param(
            refusal(404, "model_not_found", "The model does not exist."),
            1, "Check the column model of 1_raw/llm_models.csv", id="an unknown model behind the proxy",
        ),
        pytest.param(
            refusal(400, "unsupported_parameter", "Unsupported parameter: 'max_tokens'.", param="max_tokens"),
            3, "Write max_completion_tokens into the column max_tokens_field", id="another name of the limit",
        ),
        pytest.param(
            refusal(400, "context_length_exceeded", "This model's maximum context length is 10 tokens."),
            5, "maximum context length is 10 tokens", id="five essays that are too long",
        ),
        pytest.param(refusal(500, "server_error", "Down."), 10, "the server said 500", id="a server that is down"),
    ],
)  # fmt: skip
def test_errors_come_through_the_proxy(
    selected: StoreBuilder, proxy: Proxy, behind: AnswerServer, monkeypatch: pytest.MonkeyPatch,
    answer: Answer, requests: int, step: str,
) -> None:  # fmt: skip
    """An error of the server behind stops, fails or retries the calls as it does without a proxy."""
    monkeypatch.setenv("AIRFLOW_CONN_LITELLM", proxy.connection())
    use_models(selected, proxied="forwarded")
    behind.asked.clear()
    behind.answers = [answer]
    done = run(selected, models=["judge-b"], max_concurrency=1)
    assert (done.returncode, len(behind.asked)) == (1, requests)
    assert step in done.stderr
    assert shows_no_key(done, selected)


def test_an_unknown_model_of_the_proxy_names_the_row(
    selected: StoreBuilder, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy answers with a 400, and the message names the judge's row."""
    monkeypatch.setenv("AIRFLOW_CONN_LITELLM", proxy.connection())
    use_models(selected, proxied="nowhere")
    done = run(selected, models=["judge-b"], max_concurrency=1)
    assert done.returncode == 1
    assert "Invalid model name" in done.stderr
    assert "the model's row in 1_raw/llm_models.csv" in done.stderr


def test_a_wait_that_the_server_behind_asks_for_is_obeyed(
    selected: StoreBuilder, proxy: Proxy, behind: AnswerServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wait beyond the limit of the connection ends the call without a retry, and three of them stop the judge."""
    monkeypatch.setenv("AIRFLOW_CONN_LITELLM", proxy.connection(longest_retry_after_s=5))
    use_models(selected, proxied="forwarded")
    behind.asked.clear()
    behind.answers = [refusal(429, "rate_limit_exceeded", "Slow down.", **{"Retry-After": "7"})]
    done = run(selected, models=["judge-b"], max_concurrency=1)
    assert "it asks to wait 7 s" in done.stderr
    assert len(behind.asked) == 3
