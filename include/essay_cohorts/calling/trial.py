"""One call to see how a template works: nothing is stored, and the request is not in any journal."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count

from essay_cohorts.calling.endpoint import Endpoint
from essay_cohorts.calling.judges import Judges
from essay_cohorts.calls import CallEnd, Failure, JudgeModel, Prompt, Reply, Usage
from essay_cohorts.judging.prices import cost_usd


@dataclass(kw_only=True, slots=True)
class TrialSpending:
    """Counts the requests of a trial and what they cost, in USD; `unknown` requests have an unknown cost."""

    requests: int = 0
    usd: float = 0.0
    unknown: int = 0
    _names: count[int] = field(default_factory=count)

    async def reserve(self, model: JudgeModel, prompt: Prompt) -> str | Failure:  # noqa: ARG002  (a protocol)
        """Count a request; a trial that a person has confirmed has no other limit than the attempts of one call."""
        self.requests += 1
        return str(next(self._names))

    async def settle(
        self,
        model: JudgeModel,
        call: str,  # noqa: ARG002  (a protocol)
        end: CallEnd,
        usage: Usage | None = None,
        *,
        status: int | None = None,  # noqa: ARG002
    ) -> None:
        """Add what a request cost."""
        cost = None if usage is None else cost_usd(model, usage)
        if end is CallEnd.NOT_CHARGED:
            return
        if cost is None:
            self.unknown += 1
        self.usd += cost or 0.0

    async def store_partial_reply(self, model: JudgeModel, prompt: Prompt, reply: Reply) -> None:  # noqa: ARG002
        """Add what a reply that broke off cost; its text is not kept."""
        await self.settle(model, reply.call, CallEnd.REPLY, reply.usage)


async def try_call(
    endpoint: Endpoint, model: JudgeModel, prompt: Prompt, *, accept_offline: bool
) -> tuple[Reply | Failure, TrialSpending]:
    """Ask a judge once, with the usual retries; return the answer and what it cost."""
    spending = TrialSpending()
    async with endpoint.client:
        judges = Judges({model.connection: endpoint}, accept_offline=accept_offline, calls_at_once=1)
        answer = await judges.of(model).ask(model, prompt, spending)
    if isinstance(answer, Reply):
        await spending.settle(model, answer.call, CallEnd.REPLY, answer.usage)
    return answer, spending
