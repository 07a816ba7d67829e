"""The budget of one DagRun: decides whether one more request may be made."""

from __future__ import annotations

from dataclasses import dataclass

from essay_cohorts.amounts import dollars
from essay_cohorts.calls import Room, Spending


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """The limits on the requests and the USD of one DagRun, with all its slices, tries and clears.

    None means no limit.
    """

    max_llm_calls: int | None = None
    max_cost_usd: float | None = None

    @property
    def is_set(self) -> bool:
        """True when there is at least one limit."""
        return self.max_llm_calls is not None or self.max_cost_usd is not None

    def room_for(self, spending: Spending, worst_usd: float | None) -> Room:
        """Decide whether a request that may cost up to `worst_usd` fits into the budget.

        Settled costs, requests of unknown outcome and the worst case of the requests in flight count as spent. LATER
        means that the request does not fit now, but may fit when requests in flight cost less than their worst case.
        """
        if self.max_llm_calls is not None and spending.calls >= self.max_llm_calls:
            return Room.NO
        if self.max_cost_usd is None:
            return Room.YES
        if worst_usd is None:
            return Room.NO
        without_in_flight = spending.settled_usd + spending.unknown_usd + worst_usd
        if _fits(without_in_flight + spending.in_flight_usd, self.max_cost_usd):
            return Room.YES
        return Room.LATER if spending.in_flight and _fits(without_in_flight, self.max_cost_usd) else Room.NO

    def explain_refusal(self, spending: Spending, worst_usd: float | None) -> str:
        """Return the reason why a request does not fit into the budget."""
        if self.max_llm_calls is not None and spending.calls >= self.max_llm_calls:
            return f"max_llm_calls {self.max_llm_calls} is used up"
        spent = spending.settled_usd + spending.unknown_usd
        unknown = (
            f", including {dollars(spending.unknown_usd)} for calls of unknown outcome" if spending.unknown else ""
        )
        worst = "has an unknown cost" if worst_usd is None else f"may cost up to {dollars(worst_usd)}"
        return f"max_cost_usd {self.max_cost_usd}: {dollars(spent)} is spent{unknown}, and this call {worst}"


def _fits(usd: float, cap: float) -> bool:
    # Prices have up to 9 decimals. Further decimals are rounding errors of the sum: 0.1 + 0.2 must fit into 0.3.
    return round(usd, 9) <= cap
