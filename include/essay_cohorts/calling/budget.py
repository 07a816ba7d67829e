"""The cap on what one DagRun may spend: is there room for one more request?"""

from __future__ import annotations

from dataclasses import dataclass

from essay_cohorts.amounts import dollars
from essay_cohorts.calls import Room, Spending


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """The most requests and USD of one DagRun, over all its slices, tries and clears; None: no cap."""

    max_llm_calls: int | None = None
    max_cost_usd: float | None = None

    @property
    def is_set(self) -> bool:
        """False when nothing is capped."""
        return self.max_llm_calls is not None or self.max_cost_usd is not None

    def room_for(self, spending: Spending, worst_usd: float | None) -> Room:
        """Return whether a request that can cost `worst_usd` fits beside what was spent and may yet be spent.

        LATER: not now, but it may once requests under way turn out to cost less than their worst case.
        """
        if self.max_llm_calls is not None and spending.calls >= self.max_llm_calls:
            return Room.NO
        if self.max_cost_usd is None:
            return Room.YES
        if worst_usd is None:
            return Room.NO
        certain = spending.settled_usd + spending.unknown_usd + worst_usd
        if _fits(certain + spending.in_flight_usd, self.max_cost_usd):
            return Room.YES
        return Room.LATER if spending.in_flight and _fits(certain, self.max_cost_usd) else Room.NO

    def in_words(self, spending: Spending, worst_usd: float | None) -> str:
        """Return why a request does not fit."""
        if self.max_llm_calls is not None and spending.calls >= self.max_llm_calls:
            return f"max_llm_calls {self.max_llm_calls} is used up"
        spent = spending.settled_usd + spending.unknown_usd
        lost = f", of which {dollars(spending.unknown_usd)} for calls of unknown outcome" if spending.unknown else ""
        worst = "an unknown cost" if worst_usd is None else f"at worst {dollars(worst_usd)}"
        return f"max_cost_usd {self.max_cost_usd}: {dollars(spent)} is spent{lost}, and this call needs {worst}"


def _fits(usd: float, cap: float) -> bool:
    # Sums of prices with up to 9 decimals: what lies beyond is the arithmetic's.
    return round(usd, 9) <= cap
