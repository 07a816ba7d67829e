"""The endpoint of the calls over one connection: a client for an LLM's API, and the rules for its calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from essay_cohorts.llm_client.client_settings import CallRules


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """A client for an LLM's API, and the rules for its calls."""

    client: AsyncOpenAI
    rules: CallRules
