"""The LLM's API as Airflow stores it: the Connection `llm_default` of type `openai`.

In JSON form:

{"conn_type": "openai", "host": "https://api.example.com/v1", "password": "<API key>",
 "extra": {"connect_timeout_s": 5, "read_timeout_s": 120, "total_timeout_s": 300}}
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException

if TYPE_CHECKING:
    from essay_cohorts.calling.endpoint import Endpoint
    from essay_cohorts.errors import Problem
    from essay_cohorts.llm_client.client_settings import CallRules

CONN_ID = "llm_default"
_NEXT_STEP = "Set it under Admin > Connections, or as AIRFLOW_CONN_LLM_DEFAULT in JSON form: see .env.example."


def check_connection() -> None:
    """Raise BadInput when the Connection cannot be used; planning calls this before anything is written."""
    try:
        connection = Connection.get(CONN_ID)
    except AirflowNotFoundException:
        connection = None
    _rules(connection, under_way=False)


async def connect() -> Endpoint:
    """Return a client for the Connection's API with its rules for calls; BadInput when it cannot be used."""
    from airflow.providers.openai.hooks.openai import OpenAIHook

    from essay_cohorts.calling.endpoint import Endpoint

    try:
        connection = await Connection.async_get(CONN_ID)
    except AirflowNotFoundException:
        connection = None
    rules = _rules(connection, under_way=True)
    # httpx2 would log a line for each request, and `call_missing` logs the outcome of each already.
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    return Endpoint(client=await OpenAIHook(conn_id=CONN_ID).aget_conn(), rules=rules)


def _rules(connection: Connection | None, *, under_way: bool) -> CallRules:
    from essay_cohorts.errors import raise_if_any
    from essay_cohorts.llm_client.client_settings import read_call_rules

    rules = read_call_rules(connection.extra_dejson if connection else {}, f"Connection {CONN_ID}, extra")
    raise_if_any([*_problems(connection), *rules.problems], under_way=under_way)
    return rules.value


def _problems(connection: Connection | None) -> Iterator[Problem]:
    from essay_cohorts.errors import Problem
    from essay_cohorts.llm_client.connection import connection_problems

    place = f"Connection {CONN_ID}"
    if connection is None:
        yield Problem(place=place, finding="it does not exist.", next_step=_NEXT_STEP)
        return
    yield from connection_problems(place, connection.host or "", connection.password or "", _NEXT_STEP)
