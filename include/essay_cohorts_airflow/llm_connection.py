"""The LLMs' APIs as Airflow stores them: Connections of type `openai`, `llm_default` unless a judge names another.

In JSON form:

{"conn_type": "openai", "host": "https://api.example.com/v1", "password": "<API key>",
 "extra": {"connect_timeout_s": 5, "read_timeout_s": 120, "total_timeout_s": 300}}
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException

if TYPE_CHECKING:
    from essay_cohorts.calling.endpoint import Endpoint
    from essay_cohorts.errors import Problem
    from essay_cohorts.llm_client.client_settings import CallRules


def check_connections(connection_ids: Collection[str]) -> None:
    """Raise BadInput with the problems of all these Connections; planning calls this before anything is written."""
    found: dict[str, Connection | None] = {}
    for name in connection_ids:
        try:
            found[name] = Connection.get(name)
        except AirflowNotFoundException:
            found[name] = None
    _rules(found, under_way=False)


async def connect(connection_ids: Collection[str]) -> dict[str, Endpoint]:
    """Return a client for each Connection's API with its rules for calls; BadInput when one cannot be used."""
    from airflow.providers.openai.hooks.openai import OpenAIHook

    from essay_cohorts.calling.endpoint import Endpoint

    found: dict[str, Connection | None] = {}
    for name in connection_ids:
        try:
            found[name] = await Connection.async_get(name)
        except AirflowNotFoundException:
            found[name] = None
    rules = _rules(found, under_way=True)
    # httpx2 would log a line for each request, and `call_missing` logs the outcome of each already.
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    return {name: Endpoint(client=await OpenAIHook(conn_id=name).aget_conn(), rules=rules[name]) for name in found}


def _rules(connections: Mapping[str, Connection | None], *, under_way: bool) -> dict[str, CallRules]:
    """Return the rules for calls of each Connection; BadInput with the problems of all of them."""
    from essay_cohorts.errors import raise_if_any
    from essay_cohorts.llm_client.client_settings import read_call_rules

    rules: dict[str, CallRules] = {}
    problems: list[Problem] = []
    for name, connection in connections.items():
        checked = read_call_rules(connection.extra_dejson if connection else {}, f"Connection {name}, extra")
        rules[name] = checked.value
        problems += [*_problems(name, connection), *checked.problems]
    raise_if_any(problems, under_way=under_way)
    return rules


def _problems(name: str, connection: Connection | None) -> Iterator[Problem]:
    from essay_cohorts.errors import Problem
    from essay_cohorts.llm_client.connection import connection_problems, other_id_step, variable_of

    place = f"Connection {name}"
    next_step = f"Set it under Admin > Connections, or as {variable_of(name)} in JSON form: see .env.example."
    if connection is None:
        yield Problem(place=place, finding="it does not exist.", next_step=f"{next_step}{other_id_step(name)}")
        return
    yield from connection_problems(place, connection.host or "", connection.password or "", next_step)
