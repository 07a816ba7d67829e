"""The worked examples of docs/several-servers.md are valid Connections and rows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from essay_cohorts.catalog.catalog import Catalog
from essay_cohorts.llm_client.connection import connections_in
from tests.store_builder import StoreBuilder

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "several-servers.md").read_text(encoding="utf-8")
CONNECTIONS = dict(re.findall(r"^(AIRFLOW_CONN_\w+)='(.*?)'$", PAGE, re.MULTILINE | re.DOTALL))
TABLES = re.findall(r"^```\n(id,model,.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SERVERS = ["azure", "litellm", "llm_default", "ollama", "openrouter", "vllm"]


def test_each_connection_can_be_used() -> None:
    """Each example in JSON form has an address and a place for the key, and no misspelt setting."""
    assert sorted(CONNECTIONS) == [f"AIRFLOW_CONN_{name.upper()}" for name in SERVERS]
    # The placeholders have spaces, so that one which is left in is reported before a call.
    filled = {name: re.sub(r'("password": )"[A-Z ]+"', r'\1"sk-1"', value) for name, value in CONNECTIONS.items()}
    assert connections_in(filled, SERVERS).problems == ()


@pytest.mark.parametrize("number", range(7))
def test_each_row_is_a_judge_of_a_connection_of_the_page(store: StoreBuilder, number: int) -> None:
    """Each example of llm_models.csv is read without a problem, and the page has the Connection of each row."""
    store.write("1_raw/llm_models.csv", TABLES[number])
    judges = Catalog(root=store.root).models()
    assert judges.problems == ()
    assert {judge.connection for judge in judges.value} <= set(SERVERS)


def test_no_row_is_left_out() -> None:
    """The page has one table at its head and one for each server."""
    assert len(TABLES) == 7
