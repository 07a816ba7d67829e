"""The LLM's API as Airflow knows it: the Connection `llm_default` of type `openai`, in JSON form.

{"conn_type": "openai", "host": "https://api.example.com/v1", "password": "<API key>",
 "extra": {"connect_timeout_s": 5, "read_timeout_s": 120, "total_timeout_s": 300}}
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException

if TYPE_CHECKING:
    from include.cohorts.calling import Endpoint

CONN_ID = "llm_default"
_NEXT_STEP = "Set it under Admin > Connections, or as AIRFLOW_CONN_LLM_DEFAULT in JSON form: see .env.example."


async def connect() -> Endpoint:
    """A client for the Connection's API and its rules for calls. BadInput when the Connection cannot be used."""
    from airflow.providers.openai.hooks.openai import OpenAIHook

    from include.cohorts.calling import Endpoint
    from include.cohorts.errors import Problem, raise_if_any
    from include.cohorts.judge import read_call_rules

    try:
        connection = await Connection.async_get(CONN_ID)
    except AirflowNotFoundException:
        missing = Problem(place=f"Connection {CONN_ID}", finding="it does not exist.", next_step=_NEXT_STEP)
        raise_if_any([missing])
        raise
    # A blank one would silently fall back to OPENAI_API_KEY or OPENAI_BASE_URL of the worker's environment.
    blank = {"host (the API's full base URL)": connection.host, "password (the API key)": connection.password}
    problems = [
        Problem(place=f"Connection {CONN_ID}", finding=f"its {name} is blank.", next_step=_NEXT_STEP)
        for name, value in blank.items()
        if not (value or "").strip()
    ]
    rules = read_call_rules(connection.extra_dejson, f"Connection {CONN_ID}, extra")
    raise_if_any([*problems, *rules.problems])
    return Endpoint(client=await OpenAIHook(conn_id=CONN_ID).aget_conn(), rules=rules.value)
