"""How a figure is shown: rounded as a person rounds, so that one value is the same text everywhere."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal


def figure(value: float, *, signed: bool = False) -> str:
    """Return a score, mean or difference with two decimals, a half rounded away from 0: 5.425 is 5.43.

    What lies beyond the ninth decimal is the arithmetic's. A difference that rounds to 0 has no minus.
    """
    rounded = Decimal(repr(round(value, 9))).quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)
    text = f"{rounded + 0:+f}" if signed else f"{rounded + 0:f}"
    return text.removeprefix("-") if not rounded else text


def dollars(amount: float | None) -> str:
    """Return an amount of money in USD, a half rounded away from 0; "cost unknown" for None.

    Four decimals, below a cent six: a single request costs as little. More than nothing never looks like nothing.
    """
    if amount is None:
        return "cost unknown"
    exact = Decimal(repr(round(amount, 9)))
    step = "0.000001" if 0 < exact < Decimal("0.01") else "0.0001"
    rounded = exact.quantize(Decimal(step), rounding=ROUND_HALF_UP)
    return f"under ${step}" if exact > 0 and not rounded else f"${rounded:,f}"
