"""Average price: exact until it is written down, then rounded once, half up."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction


def average(fills: Iterable[tuple[Decimal, Decimal]]) -> Fraction:
    """Σ quantity·price / Σ quantity of (quantity, price) pairs; 0 when nothing was filled."""
    quantity = Fraction(0)
    money = Fraction(0)
    for last_qty, last_px in fills:
        quantity += Fraction(last_qty)
        money += Fraction(last_qty) * Fraction(last_px)
    return money / quantity if quantity else Fraction(0)


def round_half_up(value: Fraction, decimals: int) -> str:
    """``value`` written with exactly ``decimals`` places, halves away from zero (FIX tag 74, AvgPxPrecision).

    The specification's own figure: 3000@100, 1000@100.25, 3000@100, 2000@100.50 at 4 places is 100.1389
    (FIX 4.2 Errata 20010501, allocation examples).
    """
    scaled = abs(value) * 10**decimals
    whole = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
    digits = str(whole).rjust(decimals + 1, "0")
    sign = "-" if value < 0 and whole else ""
    return f"{sign}{digits[:-decimals]}.{digits[-decimals:]}" if decimals else f"{sign}{digits}"
