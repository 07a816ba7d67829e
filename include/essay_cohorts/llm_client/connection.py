"""The address and the key of an LLM's API, as Airflow's Connections or the environment hold them.

The environment variable `AIRFLOW_CONN_<ID>` means the same to Airflow and to the commands that call without Airflow.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from essay_cohorts.calls import DEFAULT_CONNECTION
from essay_cohorts.errors import Checked, Problem
from essay_cohorts.llm_client.client_settings import CallRules, read_call_rules


@dataclass(frozen=True, kw_only=True, slots=True)
class LlmConnection:
    """An API: its full base URL, its key, and the rules for calls. The key is not shown."""

    host: str = ""
    key: str = field(default="", repr=False)
    rules: CallRules = field(default_factory=CallRules)


def variable_of(connection_id: str) -> str:
    """Return the name of the environment variable that holds a connection."""
    return f"AIRFLOW_CONN_{connection_id.upper()}"


def connections_in(
    environment: Mapping[str, str], connection_ids: Collection[str]
) -> Checked[dict[str, LlmConnection]]:
    """Return the connections with these ids, and the problems of all of them."""
    found = {name: connection_in(environment, name) for name in connection_ids}
    problems = tuple(problem for checked in found.values() for problem in checked.problems)
    return Checked(value={name: checked.value for name, checked in found.items()}, problems=problems)


def connection_in(environment: Mapping[str, str], connection_id: str = DEFAULT_CONNECTION) -> Checked[LlmConnection]:
    """Return the connection that the variable AIRFLOW_CONN_<ID> holds in JSON form, and all its problems."""
    name = variable_of(connection_id)
    next_step = f"Write {name} in JSON form into .env or the environment: see .env.example."
    text = environment.get(name, "").strip()
    if not text:
        missing_step = f"{next_step}{other_id_step(connection_id)}"
        problem = Problem(place=name, finding="it is not set.", next_step=missing_step)
        return Checked(value=LlmConnection(), problems=(problem,))
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        fields = None
    extra = fields.get("extra") if isinstance(fields, dict) else None
    if isinstance(extra, str):
        extra = _parsed(extra)
    if not isinstance(fields, dict) or not isinstance(extra or {}, dict):
        # The value may hold the key, so the message does not quote it.
        problem = Problem(place=name, finding="it is not a JSON object.", next_step=next_step)
        return Checked(value=LlmConnection(), problems=(problem,))
    host, key = str(fields.get("host") or ""), str(fields.get("password") or "")
    rules = read_call_rules(extra or {}, f"{name}, extra")
    problems = (*connection_problems(name, host, key, next_step), *rules.problems)
    return Checked(value=LlmConnection(host=host, key=key, rules=rules.value), problems=problems)


def other_id_step(connection_id: str) -> str:
    """Return what else may be wrong when a connection is missing: a judge's row may name it by mistake."""
    if connection_id == DEFAULT_CONNECTION:
        return ""
    return f" Or correct the column connection of 1_raw/llm_models.csv, which names {connection_id}."


def connection_problems(place: str, host: str, key: str, next_step: str) -> Iterator[Problem]:
    """Yield what is wrong with the address and the key, without showing the key.

    With a blank key or address the client would silently use OPENAI_API_KEY or OPENAI_BASE_URL of the environment.
    """
    if not host.strip():
        yield Problem(place=place, finding="its host (the API's full base URL) is blank.", next_step=next_step)
    elif not host.startswith(("http://", "https://")):
        finding = "its host is not a full base URL; it begins with neither http:// nor https://."
        yield Problem(place=place, finding=finding, next_step=next_step)
    elif not _is_url(host):
        yield Problem(place=place, finding="its host is not a valid URL.", next_step=next_step)
    if not key.strip():
        yield Problem(place=place, finding="its password (the API key) is blank.", next_step=next_step)
    elif not key.isascii() or not key.isprintable() or " " in key:
        finding = "its password (the API key) has a space, a line break or another character that no key has."
        again = "Paste the key again, without the characters around it."
        yield Problem(place=place, finding=finding, next_step=again)


def _is_url(text: str) -> bool:
    import httpx2

    try:
        parts = urlsplit(text)
        httpx2.URL(text)  # the client refuses control characters and names that are no names of hosts
        return bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except (ValueError, httpx2.InvalidURL):  # a port beyond 65535, or a bracket that is not closed
        return False


def _parsed(text: str) -> Any:
    try:
        return json.loads(text or "{}")
    except ValueError:
        return text
