"""Tests that the Connection `llm_default` becomes a client or one readable error, never the environment's client."""

import asyncio
import json
from typing import Any

import pytest

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
    return asyncio.run(connect())


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
