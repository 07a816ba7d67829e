"""Reads a row of 1_raw/llm_models.csv: a judge, its prices and the options of its requests."""

from __future__ import annotations

import json
from typing import Literal

from essay_cohorts.calls import DEFAULT_CONNECTION, JudgeModel
from essay_cohorts.catalog.rows import Row
from essay_cohorts.domain import HUMAN_PREFIX, is_human, one_form

MODELS = "1_raw/llm_models.csv"
# Every column that has a meaning, also the columns that only the original system reads.
MODEL_COLUMNS = (
    *("id", "model", "provider", "display_name", "for_generation", "for_evaluation", "specialization"),
    *("temperature", "max_tokens", "max_tokens_field", "input_usd_per_mtok", "output_usd_per_mtok"),
    *("cached_input_usd_per_mtok", "request", "connection"),
    *("max_in_flight", "requests_per_minute", "tokens_per_minute"),
)

_TOKEN_FIELDS: dict[str, Literal["max_tokens", "max_completion_tokens"]] = {
    "max_tokens": "max_tokens",
    "max_completion_tokens": "max_completion_tokens",
}
# Keys of the request body that are set elsewhere; the budget, for example, reads max_tokens from its column.
_OWN_KEYS = {
    "model": " and use the column model",
    "messages": "",
    "stream": "",
    "n": "; more evaluations of an essay are replicates",
    "temperature": " and use the column temperature",
    "max_tokens": " and use the column max_tokens",
    "max_completion_tokens": " and use the column max_tokens, with max_tokens_field max_completion_tokens",
}


def read_model(row: Row) -> JudgeModel:
    """Return the judge in a row. Rows that are not for evaluation are not read, so their mistakes do not matter."""
    model_id = one_form(row.required("id"))
    if is_human(model_id):
        finding = f'"{model_id}" begins with {HUMAN_PREFIX}, which is reserved for the scores of people.'
        row.problems.append(row.problem("id", finding, "Give the judge another id, such as judge-a."))
    return JudgeModel(
        id=model_id,
        model=row.required("model"),
        temperature=row.number("temperature", float, low=0, high=2),
        max_tokens=row.number("max_tokens", int, low=1, high=10_000_000),
        max_tokens_field=row.one_of("max_tokens_field", _TOKEN_FIELDS) or "max_tokens",
        input_usd_per_mtok=row.number("input_usd_per_mtok", float, low=0, high=1_000_000),
        output_usd_per_mtok=row.number("output_usd_per_mtok", float, low=0, high=1_000_000),
        cached_input_usd_per_mtok=row.number("cached_input_usd_per_mtok", float, low=0, high=1_000_000),
        request=_request(row),
        connection=(row.id("connection") or "") if row.text("connection") else DEFAULT_CONNECTION,
        max_in_flight=row.number("max_in_flight", int, low=1, high=100_000),
        requests_per_minute=row.number("requests_per_minute", float, low=0.1, high=10_000_000),
        tokens_per_minute=row.number("tokens_per_minute", float, low=1, high=1_000_000_000),
    )


def _request(row: Row) -> str:
    """Return the column `request` as canonical JSON text; "" when it is empty or not valid."""
    request = row.json_object("request")
    for key in request:
        if key in _OWN_KEYS and (key != "temperature" or row.text(key)):
            next_step = f"Remove the key{_OWN_KEYS[key]}."
            row.problems.append(row.problem("request", f'the key "{key}" cannot be set here.', next_step))
    return json.dumps(request, sort_keys=True, separators=(",", ":")) if request else ""
