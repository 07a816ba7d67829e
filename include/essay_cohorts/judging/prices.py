"""Prices: the cost of a call that was made, and the estimate for the calls of a plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from essay_cohorts.amounts import counted, dollars
from essay_cohorts.calls import JudgeModel, Usage

# English prose has about four bytes per token in the tokenizers of current models. This is a rule of thumb.
BYTES_PER_TOKEN = 4
CHAT_FORMAT_TOKENS = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """Tokens and USD of planned calls; None if a model has no limit or price. `output_tokens` is an upper limit."""

    calls: int
    input_tokens: int
    output_tokens: int | None
    usd: float | None

    def __str__(self) -> str:
        output = "unknown" if self.output_tokens is None else f"at most {self.output_tokens:,}"
        usd = "unknown" if self.usd is None else f"up to about {dollars(self.usd)}"
        calls, tokens = counted(self.calls, "call"), counted(self.input_tokens, "token")
        return f"{calls}, about {tokens} in, {output} out, cost {usd}"


def cost_usd(model: JudgeModel, usage: Usage) -> float | None:
    """Return the USD of one call: the cost that the server reports, else tokens x price / 1e6.

    Some servers count reasoning only in the total, so the output is the total less the prompt if that is more. Cached
    tokens have their own price if there is one. A reported cost of 0 counts only if the model has no prices, because
    gateways report 0 for calls that another account pays for. None if a price or a token count is not known.
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
    """Return the most that one request can cost, in USD; None if a price or max_tokens is not known.

    It is (UTF-8 bytes of the prompt + 64) x input price + max_tokens x output price. No tokenizer makes more than one
    token of a byte, and the 64 cover the tokens that a chat format adds.
    """
    tokens_in = len(prompt.encode("utf-8", errors="replace")) + CHAT_FORMAT_TOKENS
    return cost_usd(model, Usage(prompt_tokens=tokens_in, completion_tokens=model.max_tokens))


def likely_tokens(model: JudgeModel, prompt: str) -> int:
    """Return about how many tokens one request uses: its input, and the output that the model may return at most."""
    return -(-len(prompt.encode("utf-8", errors="replace")) // BYTES_PER_TOKEN) + (model.max_tokens or 0)


def unpriced(model: JudgeModel) -> tuple[str, ...]:
    """Return the empty columns of llm_models.csv without which the worst case is not known."""
    columns = ("input_usd_per_mtok", "output_usd_per_mtok", "max_tokens")
    return tuple(column for column in columns if getattr(model, column) is None)


def estimate_calls(calls: Sequence[tuple[JudgeModel, int]]) -> Estimate:
    """Return the estimate for calls, each given as the model and the number of UTF-8 bytes of its prompt."""
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
