"""The judges that one slice may ask: a client with its own key and rules for each connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from essay_cohorts.calling.endpoint import Endpoint
from essay_cohorts.calls import JudgeModel, Stop
from essay_cohorts.llm_client.client import Judge


class Judges:
    """Finds the client and the rules for a model, by the connection in the model's row."""

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        *,
        accept_offline: bool,
        calls_at_once: int,
        stop_for: Callable[[str], Stop | None] = lambda _: None,
    ) -> None:
        self._endpoints = endpoints
        self._judges = {
            name: Judge(
                endpoint.client,
                endpoint.rules,
                accept_offline=accept_offline,
                calls_at_once=calls_at_once,
                stop_for=stop_for,
                connection=name,
            )
            for name, endpoint in endpoints.items()
        }

    def of(self, model: JudgeModel) -> Judge:
        """Return the judge that asks this model."""
        return self._judges[model.connection]

    def total_timeout_s(self, model: JudgeModel) -> float:
        """Return the longest time that one request to this model may take, in s."""
        return self._endpoints[model.connection].rules.total_timeout_s

    def elsewhere_wait_s(self, model: JudgeModel | None) -> float:
        """Return how long to wait for another task that calls this model, in s; 0 when nobody here would call it."""
        return 0.0 if model is None else self._endpoints[model.connection].rules.elsewhere_wait_s

    @property
    def addresses(self) -> str:
        """The addresses of all servers, without user, password and query."""
        return ", ".join(dict.fromkeys(judge.base_url for judge in self._judges.values()))

    def end_soon(self) -> frozenset[asyncio.Task[Any] | None]:
        """Retry no request from now on; return the tasks whose requests are in flight."""
        return frozenset().union(*(judge.end_soon() for judge in self._judges.values()))
