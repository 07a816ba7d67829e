"""Tests that each Connection becomes a client or one readable error, never the environment's client."""

import asyncio
import json
from collections.abc import Collection
from typing import Any

import pytest

from tests.answer_server import Answer, AnswerServer
from tests.conftest import PlayedDag, task_ref
from tests.store_builder import StoreBuilder

GOOD: dict[str, Any] = {"conn_type": "openai", "host": "http://127.0.0.1:9/v1", "password": "k-1"}


@pytest.fixture
def openai_in_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the credentials that the client would use without a Connection."""
    monkeypatch.setenv("OPENAI_API_KEY", "environment-key")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/environment")


def _connect(monkeypatch: pytest.MonkeyPatch, connection: dict[str, Any] | None) -> Any:
    from essay_cohorts_airflow.llm_connection import connect

    if connection is None:
        monkeypatch.delenv("AIRFLOW_CONN_LLM_DEFAULT", raising=False)
    else:
        monkeypatch.setenv("AIRFLOW_CONN_LLM_DEFAULT", json.dumps(connection))
    return asyncio.run(connect(["llm_default"]))["llm_default"]


def test_a_whole_connection_becomes_a_client(monkeypatch: pytest.MonkeyPatch, openai_in_environment: None) -> None:
    """The client has the Connection's address and key, not the environment's, and the rules of the extra."""
    endpoint = _connect(monkeypatch, {**GOOD, "extra": {"read_timeout_s": 7, "max_attempts": 2}})
    assert str(endpoint.client.base_url) == "http://127.0.0.1:9/v1/"
    assert endpoint.client.api_key == "k-1"
    assert (endpoint.rules.read_timeout_s, endpoint.rules.max_attempts) == (7.0, 2)
    assert endpoint.rules.connect_timeout_s == 5.0


@pytest.mark.parametrize(
    ("connection", "finding"),
    [
        pytest.param({**GOOD, "password": ""}, "its password (the API key) is blank", id="no key"),
        pytest.param({**GOOD, "password": "  "}, "its password (the API key) is blank", id="blank key"),
        pytest.param({**GOOD, "password": "sk-1\n"}, "has a space, a line break", id="key with a line end"),
        pytest.param({**GOOD, "password": "sk-é"}, "another character that no key has", id="key beyond ASCII"),
        pytest.param({**GOOD, "host": "api.example.com/v1"}, "begins with neither http", id="host without scheme"),
        pytest.param({**GOOD, "host": ""}, "its host (the API's full base URL) is blank", id="no host"),
        pytest.param({**GOOD, "extra": {"read_timeout_s": -1}}, "read_timeout_s: -1 is not valid", id="bad timeout"),
        pytest.param({**GOOD, "extra": {"read_timout_s": 9}}, 'Did you mean "read_timeout_s"', id="misspelt extra"),
        pytest.param(None, "it does not exist", id="no connection"),
    ],
)
def test_a_connection_that_cannot_be_used_is_bad_input(
    monkeypatch: pytest.MonkeyPatch, openai_in_environment: None, connection: dict[str, Any] | None, finding: str
) -> None:
    """The error names what is missing or wrong and where to set it; the environment's key is not used instead."""
    from essay_cohorts.errors import BadInput

    with pytest.raises(BadInput) as caught:
        _connect(monkeypatch, connection)
    assert "Connection llm_default" in str(caught.value)
    assert "sk-" not in str(caught.value)
    assert finding in str(caught.value)


def test_each_connection_has_its_own_key_address_and_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two variables become two clients; an id may hold a dot and a hyphen."""
    from essay_cohorts_airflow.llm_connection import connect

    other = {"conn_type": "openai", "host": "http://127.0.0.1:8/v1", "password": "k-2", "extra": {"max_attempts": 9}}
    monkeypatch.setenv("AIRFLOW_CONN_LLM_DEFAULT", json.dumps(GOOD))
    monkeypatch.setenv("AIRFLOW_CONN_VLLM.EU-1", json.dumps(other))
    found = asyncio.run(connect(["llm_default", "vllm.eu-1"]))
    assert {name: (str(each.client.base_url), each.client.api_key) for name, each in found.items()} == {
        "llm_default": ("http://127.0.0.1:9/v1/", "k-1"),
        "vllm.eu-1": ("http://127.0.0.1:8/v1/", "k-2"),
    }
    assert [each.rules.max_attempts for each in found.values()] == [5, 9]


def test_planning_reports_every_connection_before_anything_is_written(
    monkeypatch: pytest.MonkeyPatch, store: StoreBuilder
) -> None:
    """A missing and a wrong Connection are one error with both problems, although the first Connection works."""
    from essay_cohorts.backfill.plan_cohort import plan_cohort
    from essay_cohorts.errors import BadInput
    from essay_cohorts_airflow.llm_connection import check_connections

    monkeypatch.setenv("AIRFLOW_CONN_LLM_DEFAULT", json.dumps(GOOD))
    monkeypatch.setenv("AIRFLOW_CONN_VLLM", json.dumps({**GOOD, "host": "127.0.0.1:8", "password": "sk-secret"}))
    store.judges_at(a="", b="vllm", c="nowhere")
    store.backfill(store.essay(1))
    tree = store.tree_hash()
    task = task_ref("run-1", "plan_cohort", 1)
    with pytest.raises(BadInput) as caught:
        plan_cohort(PlayedDag(root=store.root, base_url="").settings, {}, task, check_connections)
    assert [problem.place for problem in caught.value.problems] == ["Connection nowhere", "Connection vllm"]
    assert "AIRFLOW_CONN_NOWHERE in JSON form" in str(caught.value)
    assert "sk-" not in str(caught.value)
    assert store.tree_hash() == tree
    plan_cohort(PlayedDag(root=store.root, base_url="").settings, {"models": ["judge-a"]}, task, check_connections)


def test_a_cohort_is_judged_over_two_connections(monkeypatch: pytest.MonkeyPatch, store: StoreBuilder) -> None:
    """With Airflow's own hook each server gets its own key only, and both judges score."""
    from essay_cohorts.calling.endpoint import Endpoint
    from essay_cohorts_airflow.llm_connection import connect

    class Dag(PlayedDag):
        async def connect(self, connection_ids: Collection[str]) -> dict[str, Endpoint]:
            return await connect(connection_ids)

    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "SCORE: 6"}}
    answers = [Answer(body={"object": "chat.completion", "model": "m", "choices": [choice]})]
    store.judges_at(a="", b="vllm")
    store.backfill(store.essay(1))
    with AnswerServer(answers=answers).serving() as first, AnswerServer(answers=answers).serving() as second:
        for variable, server, key in (("LLM_DEFAULT", first, "k-first"), ("VLLM", second, "k-second")):
            value = {**GOOD, "host": server.base_url, "password": key}
            monkeypatch.setenv(f"AIRFLOW_CONN_{variable}", json.dumps(value))
        assert Dag(root=store.root, base_url="").run().summary.complete
    assert all("k-first" in text and "k-second" not in text for text in first.received)
    assert all("k-second" in text and "k-first" not in text for text in second.received)
    assert len(first.received) == len(second.received) == 8
