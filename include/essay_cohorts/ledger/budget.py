"""The budget of a DagRun and the caps of the whole project: decide whether one more request may be made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from essay_cohorts.amounts import dollars
from essay_cohorts.calls import Room, Spending

_NOTHING = Spending()


@dataclass(frozen=True, kw_only=True, slots=True)
class Spent:
    """What counts against a budget: the spending of the run, and that of all runs today and this month.

    Days and months are those of UTC. What the budget does not limit is left at zero.
    """

    run: Spending = _NOTHING
    day: Spending = _NOTHING
    month: Spending = _NOTHING

    def with_request(self, worst_usd: float | None) -> Spent:
        """Return what counts with one more request in flight."""
        return Spent(
            run=self.run.with_request(worst_usd),
            day=self.day.with_request(worst_usd),
            month=self.month.with_request(worst_usd),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """The limits on the requests and the USD of one DagRun, with all its slices, tries and clears; and on all runs.

    `max_usd_per_day` and `max_usd_per_month` hold for all runs of the data root together. None means no limit.
    """

    max_llm_calls: int | None = None
    max_cost_usd: float | None = None
    max_usd_per_day: float | None = None
    max_usd_per_month: float | None = None

    @property
    def limits_run(self) -> bool:
        """True when the run itself has a limit."""
        return self.max_llm_calls is not None or self.max_cost_usd is not None

    @property
    def is_set(self) -> bool:
        """True when there is at least one limit."""
        return self.limits_run or self.max_usd_per_day is not None or self.max_usd_per_month is not None

    def room_for(self, spent: Spent, worst_usd: float | None) -> Room:
        """Decide whether a request that may cost up to `worst_usd` fits into every limit.

        Settled costs, requests of unknown outcome and the worst case of the requests in flight count as spent. LATER
        means that the request does not fit now, but may fit when requests in flight cost less than their worst case.
        """
        if self.max_llm_calls is not None and spent.run.calls >= self.max_llm_calls:
            return Room.NO
        rooms = {_room(spending, cap, worst_usd) for _, spending, cap in self._caps(spent)}
        return Room.NO if Room.NO in rooms else Room.LATER if Room.LATER in rooms else Room.YES

    def explain_refusal(self, spent: Spent, worst_usd: float | None) -> str:
        """Return the reason why a request does not fit into the budget."""
        if self.max_llm_calls is not None and spent.run.calls >= self.max_llm_calls:
            return f"max_llm_calls {self.max_llm_calls} is used up"
        rooms = [(_room(spending, cap, worst_usd), name, spending, cap) for name, spending, cap in self._caps(spent)]
        _, name, spending, cap = next(each for each in rooms if each[0] is Room.NO)
        unknown = (
            f", including {dollars(spending.unknown_usd)} for calls of unknown outcome" if spending.unknown else ""
        )
        worst = "has an unknown cost" if worst_usd is None else f"may cost up to {dollars(worst_usd)}"
        usd = dollars(spending.settled_usd + spending.unknown_usd)
        return f"{name} {cap:g}: {usd} is spent{unknown}, and this call {worst}"

    def _caps(self, spent: Spent) -> Iterator[tuple[str, Spending, float]]:
        for name, spending, cap in (
            ("max_cost_usd", spent.run, self.max_cost_usd),
            ("DD_MAX_USD_PER_DAY", spent.day, self.max_usd_per_day),
            ("DD_MAX_USD_PER_MONTH", spent.month, self.max_usd_per_month),
        ):
            if cap is not None:
                yield name, spending, cap


def _room(spending: Spending, cap: float, worst_usd: float | None) -> Room:
    if worst_usd is None:
        return Room.NO
    without_in_flight = spending.settled_usd + spending.unknown_usd + worst_usd
    if _fits(without_in_flight + spending.in_flight_usd, cap):
        return Room.YES
    return Room.LATER if spending.in_flight and _fits(without_in_flight, cap) else Room.NO


def _fits(usd: float, cap: float) -> bool:
    # Prices have up to 9 decimals. Further decimals are rounding errors of the sum: 0.1 + 0.2 must fit into 0.3.
    return round(usd, 9) <= cap
