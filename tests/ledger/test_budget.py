"""The budget's decision whether one more request fits, without any file."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from essay_cohorts.calls import JudgeModel, Room, Spending
from essay_cohorts.judging.prices import unpriced, worst_case_usd
from essay_cohorts.ledger.budget import Budget, Spent

PRICED = JudgeModel(id="judge-a", model="m", max_tokens=1_000, input_usd_per_mtok=1.0, output_usd_per_mtok=10.0)


@pytest.mark.parametrize(
    ("budget", "spending", "worst", "room"),
    [
        pytest.param(Budget(), Spending(calls=10**6, settled_usd=10.0**6), None, Room.YES, id="no cap"),
        pytest.param(Budget(max_llm_calls=3), Spending(calls=2), None, Room.YES, id="the last call"),
        pytest.param(Budget(max_llm_calls=3), Spending(calls=3), 0.0, Room.NO, id="no call left"),
        pytest.param(
            Budget(max_llm_calls=3), Spending(calls=3, in_flight=3), 0.0, Room.NO, id="calls in flight count"
        ),
        pytest.param(Budget(max_cost_usd=1.0), Spending(settled_usd=0.5), 0.5, Room.YES, id="fits exactly"),
        pytest.param(Budget(max_cost_usd=1.0), Spending(settled_usd=0.5), 0.500001, Room.NO, id="a bit too much"),
        pytest.param(Budget(max_cost_usd=0.3), Spending(settled_usd=0.1), 0.2, Room.YES, id="0.1 + 0.2 fits in 0.3"),
        pytest.param(Budget(max_cost_usd=1.0), Spending(unknown_usd=0.6), 0.5, Room.NO, id="unknown ends count"),
        pytest.param(
            Budget(max_cost_usd=1.0), Spending(in_flight=1, in_flight_usd=0.6), 0.5, Room.LATER, id="may fit later"
        ),
        pytest.param(
            Budget(max_cost_usd=1.0),
            Spending(settled_usd=0.6, in_flight=1, in_flight_usd=0.1),
            0.5,
            Room.NO,
            id="does not fit, even if requests in flight cost nothing",
        ),
        pytest.param(Budget(max_cost_usd=1.0), Spending(), None, Room.NO, id="without a price nothing fits"),
        pytest.param(Budget(max_llm_calls=1, max_cost_usd=1.0), Spending(calls=1), 0.1, Room.NO, id="either cap"),
    ],
)
def test_room(budget: Budget, spending: Spending, worst: float | None, room: Room) -> None:
    """A request fits now, may fit when other requests have ended, or never fits."""
    assert budget.room_for(Spent(run=spending), worst) is room
    if room is Room.NO:
        assert budget.explain_refusal(Spent(run=spending), worst)


amounts = st.integers(0, 500).map(lambda cents: cents / 100)
spendings = st.builds(
    Spending,
    calls=st.integers(0, 20),
    settled_usd=amounts,
    in_flight=st.integers(0, 3),
    in_flight_usd=amounts,
    unknown=st.integers(0, 3),
    unknown_usd=amounts,
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(spendings, amounts, amounts, st.none() | st.integers(1, 20))
def test_a_yes_never_passes_a_cap(spending: Spending, worst: float, cap: float, calls: int | None) -> None:
    """The money that is spent or reserved and the worst case of the new request are together within the cap."""
    budget = Budget(max_llm_calls=calls, max_cost_usd=cap)
    if budget.room_for(Spent(run=spending), worst) is Room.YES:
        at_most = spending.settled_usd + spending.in_flight_usd + spending.unknown_usd + worst
        assert at_most <= cap + 1e-9
        assert calls is None or spending.calls < calls


@settings(max_examples=300, deadline=None, derandomize=True)
@given(spendings, amounts, amounts)
def test_later_only_if_requests_in_flight_can_free_room(spending: Spending, worst: float, cap: float) -> None:
    """LATER means that the request would fit without the requests in flight; otherwise it would wait for ever."""
    budget = Budget(max_cost_usd=cap)
    if budget.room_for(Spent(run=spending), worst) is Room.LATER:
        assert spending.in_flight
        freed = replace(spending, in_flight=0, in_flight_usd=0.0)
        assert budget.room_for(Spent(run=freed), worst) is Room.YES


@pytest.mark.parametrize(
    ("prompt", "usd"),
    [
        pytest.param("", (64 * 1 + 1_000 * 10) / 1e6, id="empty"),
        pytest.param("abcd", (68 * 1 + 1_000 * 10) / 1e6, id="one byte per letter"),
        pytest.param("漢字", (70 * 1 + 1_000 * 10) / 1e6, id="three bytes per letter"),
        pytest.param("\U0001f642", (68 * 1 + 1_000 * 10) / 1e6, id="four bytes per letter"),
        pytest.param("\ud83d", (65 * 1 + 1_000 * 10) / 1e6, id="half of a surrogate pair"),
    ],
)
def test_worst_case(prompt: str, usd: float) -> None:
    """The worst case is (UTF-8 bytes of the prompt + 64) x input price + max_tokens x output price."""
    assert worst_case_usd(PRICED, prompt) == pytest.approx(usd)


@pytest.mark.parametrize("column", ["input_usd_per_mtok", "output_usd_per_mtok", "max_tokens"])
def test_without_a_column_there_is_no_worst_case(column: str) -> None:
    """Each of the three columns is needed, and `unpriced` names the column that is empty."""
    empty: dict[str, Any] = {column: None}
    model = replace(PRICED, **empty)
    assert worst_case_usd(model, "x") is None
    assert unpriced(model) == (column,)
    assert unpriced(PRICED) == ()


@pytest.mark.parametrize("period", ["day", "month"])
@pytest.mark.parametrize(
    ("others", "worst", "room"),
    [
        pytest.param(Spending(settled_usd=4.0), 1.0, Room.YES, id="fits"),
        pytest.param(Spending(settled_usd=4.5, in_flight=1, in_flight_usd=0.5), 0.5, Room.LATER, id="may fit later"),
        pytest.param(Spending(settled_usd=4.5, unknown=1, unknown_usd=0.1), 0.5, Room.NO, id="does not fit"),
        pytest.param(Spending(), None, Room.NO, id="without a price nothing fits"),
    ],
)
def test_a_cap_of_all_runs(period: str, others: Spending, worst: float | None, room: Room) -> None:
    """What all runs have spent in the day or month counts, however little the run has; the reason names the cap."""
    is_day = period == "day"
    budget = Budget(max_usd_per_day=5.0 if is_day else None, max_usd_per_month=None if is_day else 5.0)
    spent = Spent(day=others) if is_day else Spent(month=others)
    assert budget.room_for(spent, worst) is room
    if room is Room.NO:
        assert budget.explain_refusal(spent, worst).startswith(f"DD_MAX_USD_PER_{period.upper()} 5: $")
