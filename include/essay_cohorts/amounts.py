"""Shows figures and counts: a value is rounded as a person rounds, and is the same text everywhere."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal


def figure(value: float, *, signed: bool = False) -> str:
    """Return a score, mean or difference with two decimals, with a half rounded away from 0: 5.425 is 5.43.

    Decimals after the ninth are ignored, because they are errors of the arithmetic. A difference that rounds to 0 has
    no minus sign.
    """
    rounded = Decimal(repr(round(value, 9))).quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)
    text = f"{rounded + 0:+f}" if signed else f"{rounded + 0:f}"
    return text.removeprefix("-") if not rounded else text


def with_minus_sign(text: str) -> str:
    """Return a figure's text with the minus sign of print instead of a hyphen."""
    return text.replace("-", "−")


def dollars(amount: float | None) -> str:
    """Return an amount of money in USD, with a half rounded away from 0; "cost unknown" for None.

    It has four decimals, or six below a cent, because a single request may cost so little. An amount above 0 is never
    shown as 0.
    """
    if amount is None:
        return "cost unknown"
    exact = Decimal(repr(round(amount, 9)))
    step = "0.000001" if 0 < exact < Decimal("0.01") else "0.0001"
    rounded = exact.quantize(Decimal(step), rounding=ROUND_HALF_UP)
    return f"under ${step}" if exact > 0 and not rounded else f"${rounded:,f}"


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return a count with its noun: "1 essay", "2 essays", "1,200 calls".

    `plural` is the noun with an s by default. A noun may have its verb with it: counted(1, "essay is", "essays are").
    """
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"
