"""What calls cost: of a call that was made, and the most that a plan's calls can cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from essay_cohorts.amounts import dollars
from essay_cohorts.calls import JudgeModel, Usage

# English prose has about four bytes a token in the tokenizers of today's models; a rule of thumb, so "about".
BYTES_PER_TOKEN = 4
CHAT_FORMAT_TOKENS = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """Tokens and USD of planned calls; None where a model has no limit or no price. `output_tokens` is the most."""

    calls: int
    input_tokens: int
    output_tokens: int | None
    usd: float | None

    def __str__(self) -> str:
        output = "unknown" if self.output_tokens is None else f"at most {self.output_tokens:,}"
        usd = "unknown" if self.usd is None else f"up to about {dollars(self.usd)}"
        return f"{self.calls:,} calls, about {self.input_tokens:,} tokens in, {output} out, cost {usd}"


def cost_usd(model: JudgeModel, usage: Usage) -> float | None:
    """USD of one call: what the server says that it cost, else tokens x price / 1e6.

    Some servers count reasoning only in the total: the output is the total less the prompt where that is more. Cached
    tokens have their own price where there is one. A cost of 0 is believed only without prices: gateways say 0 for
    calls that another account pays for. None when a price or a token count is not known.
    """
    if usage.cost_usd:
        return round(usage.cost_usd, 9)
    prompt, completion = usage.prompt_tokens, usage.completion_tokens
    price_in, price_out = model.input_usd_per_mtok, model.output_usd_per_mtok
    if prompt is None or completion is None or price_in is None or price_out is None:
        return usage.cost_usd
    output = max(completion, (usage.total_tokens or 0) - prompt)
    cached = min(usage.cached_tokens or 0, prompt)
    price_cached = price_in if model.cached_input_usd_per_mtok is None else model.cached_input_usd_per_mtok
    spent = (prompt - cached) * price_in + cached * price_cached + output * price_out
    return round(spent / 1e6, 9)


def worst_case_usd(model: JudgeModel, prompt: str) -> float | None:
    """Return the most that one request can cost.

    (UTF-8 bytes of the prompt + 64) x input price + max_tokens x output price.

    No tokenizer makes more than a token of a byte; the 64 are for the tokens that a chat format adds. None when a
    price or max_tokens is not known.
    """
    tokens_in = len(prompt.encode("utf-8", errors="replace")) + CHAT_FORMAT_TOKENS
    return cost_usd(model, Usage(prompt_tokens=tokens_in, completion_tokens=model.max_tokens))


def unpriced(model: JudgeModel) -> tuple[str, ...]:
    """Return the columns of llm_models.csv that are empty and without which no worst case can be told."""
    columns = ("input_usd_per_mtok", "output_usd_per_mtok", "max_tokens")
    return tuple(column for column in columns if getattr(model, column) is None)


def estimate_calls(calls: Sequence[tuple[JudgeModel, int]]) -> Estimate:
    """Return the estimate for calls given as (model, UTF-8 bytes of the prompt)."""
    limits = [model.max_tokens for model, _ in calls]
    known_limits = [limit for limit in limits if limit is not None]
    output = sum(known_limits) if len(known_limits) == len(limits) else None
    tokens_in = [-(-size // BYTES_PER_TOKEN) for _, size in calls]
    costs = [
        cost_usd(model, Usage(prompt_tokens=tokens, completion_tokens=model.max_tokens))
        for (model, _), tokens in zip(calls, tokens_in, strict=True)
    ]
    known_costs = [cost for cost in costs if cost is not None]
    usd = sum(known_costs) if len(known_costs) == len(costs) else None
    return Estimate(calls=len(calls), input_tokens=sum(tokens_in), output_tokens=output, usd=usd)
