"""How a figure is shown: rounded as a person rounds, so that one value is the same text everywhere."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal


def figure(value: float, *, signed: bool = False) -> str:
    """A score, mean or difference with two decimals, a half rounded away from 0: 5.425 is 5.43.

    What lies beyond the ninth decimal is the arithmetic's. A difference that rounds to 0 has no minus.
    """
    rounded = Decimal(repr(round(value, 9))).quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)
    text = f"{rounded + 0:+f}" if signed else f"{rounded + 0:f}"
    return text.removeprefix("-") if not rounded else text
