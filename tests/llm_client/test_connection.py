"""The Connection in the environment: the same variable that Airflow reads."""

from __future__ import annotations

import json

import pytest

from essay_cohorts.llm_client.client_settings import CallRules
from essay_cohorts.llm_client.connection import connection_in, connections_in

NAME = "AIRFLOW_CONN_LLM_DEFAULT"
KEY = "sk-secret-of-mine"
FINE = {"conn_type": "openai", "host": "https://api.example.com/v1", "password": KEY}


@pytest.mark.parametrize(
    ("extra", "rules"),
    [
        pytest.param(None, CallRules(), id="no rules"),
        pytest.param({}, CallRules(), id="empty"),
        pytest.param({"max_attempts": 2}, CallRules(max_attempts=2), id="an object"),
        pytest.param('{"max_attempts": 2}', CallRules(max_attempts=2), id="a text, as Airflow writes it"),
    ],
)
def test_a_connection_is_read(extra: object, rules: CallRules) -> None:
    """Host, key and rules come from the JSON form."""
    found = connection_in({NAME: json.dumps({**FINE, "extra": extra})})
    assert found.problems == ()
    assert (found.value.host, found.value.key, found.value.rules) == (FINE["host"], KEY, rules)


def test_another_connection_has_its_own_variable() -> None:
    """The id of the Connection, in capitals, ends the variable's name."""
    assert connection_in({"AIRFLOW_CONN_VLLM": json.dumps(FINE)}, "vllm").value.key == KEY
    [problem] = connection_in({NAME: json.dumps(FINE)}, "vllm").problems
    assert problem.place == "AIRFLOW_CONN_VLLM"


def test_the_problems_of_all_connections_are_found_at_once() -> None:
    """A missing and a wrong connection are both reported, and a mistyped id leads to the judge's row."""
    values = {NAME: json.dumps(FINE), "AIRFLOW_CONN_VLLM": json.dumps({**FINE, "password": ""})}
    found = connections_in(values, ["llm_default", "openruoter", "vllm"])
    assert [problem.place for problem in found.problems] == ["AIRFLOW_CONN_OPENRUOTER", "AIRFLOW_CONN_VLLM"]
    assert "the column connection of 1_raw/llm_models.csv, which names openruoter" in found.problems[0].next_step
    assert found.value["llm_default"].key == KEY


@pytest.mark.parametrize(
    ("value", "finding"),
    [
        pytest.param("", "it is not set.", id="empty"),
        pytest.param(f"openai://:{KEY}@api.example.com", "it is not a JSON object.", id="URI form"),
        pytest.param(f'["{KEY}"]', "it is not a JSON object.", id="a list"),
        pytest.param(json.dumps({**FINE, "extra": [KEY]}), "it is not a JSON object.", id="extra is a list"),
        pytest.param(json.dumps({**FINE, "extra": "{"}), "it is not a JSON object.", id="extra is torn"),
        pytest.param(json.dumps({**FINE, "host": ""}), "its host (the API's full base URL) is blank.", id="no host"),
        pytest.param(json.dumps({**FINE, "host": "api.example.com"}), "not a full base URL", id="no scheme"),
        pytest.param(json.dumps({**FINE, "host": "http://127.0.0.1:99999/v1"}), "not a valid URL", id="port"),
        pytest.param(json.dumps({**FINE, "host": "http://[::1/v1"}), "not a valid URL", id="bracket"),
        pytest.param(json.dumps({**FINE, "host": "http://"}), "not a valid URL", id="no name"),
        pytest.param(json.dumps({**FINE, "host": "http://api.example.com/v1\n"}), "not a valid URL", id="a line end"),
        pytest.param(json.dumps({**FINE, "host": "http://a\u0000b/v1"}), "not a valid URL", id="a control character"),
        pytest.param("[" * 100_000, "it is not a JSON object", id="nested too deeply"),
        pytest.param(json.dumps({**FINE, "password": None}), "its password (the API key) is blank.", id="no key"),
        pytest.param(json.dumps({**FINE, "password": f"{KEY} "}), "has a space, a line break", id="a space"),
        pytest.param(json.dumps({**FINE, "extra": {"max_attempt": 1}}), "there is no such setting.", id="rule"),
    ],
)
def test_a_connection_that_cannot_be_used_is_named_without_its_key(value: str, finding: str) -> None:
    """One message with the variable and the finding; the key is in none of them."""
    found = connection_in({NAME: value})
    assert len(found.problems) == 1
    assert finding in str(found.problems[0])
    assert KEY not in str(found.problems[0]) + repr(found.value)
