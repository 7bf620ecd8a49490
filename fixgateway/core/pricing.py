"""Average price: exact until it is written down, then rounded once by the policy's rule."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction

from fixgateway.core.model import PriceRounding, Statement

FillPair = tuple[Decimal, Decimal | Fraction]
"""A fill's quantity and exact price (a fraction where no decimal says it: ``Fill.exact_price``)."""


def average(fills: Iterable[FillPair]) -> Fraction:
    """Σ quantity·price / Σ quantity of (quantity, price) pairs; 0 when nothing was filled."""
    quantity = Fraction(0)
    money = Fraction(0)
    for last_qty, last_px in fills:
        quantity += Fraction(last_qty)
        money += Fraction(last_qty) * Fraction(last_px)
    return money / quantity if quantity else Fraction(0)


def day_average(statement: Statement, day: Iterable[tuple[Statement, Iterable[FillPair]]]) -> Fraction:
    """Exact average over everything the adviser filled in one security and side on one trade date.

    Every participant gets "the average share price for all the adviser's transactions in that security on that
    business day" (SMC Capital, SEC staff letter of 5 September 1995); the policy asks for it with
    ``averaging = "day"``.

    Args:
        statement: the statement to be priced.
        day: every statement with the fills booked on its trade date, over all brokers; the statement itself is
            one of them. Statements of another date, side or security are passed over.
    """
    return average(fill for other, fills in day if priced_together(statement, other) for fill in fills)


def priced_together(one: Statement, other: Statement) -> bool:
    """Whether a day average covers both: same trade date, side and security.

    A statement that names its security by symbol alone means the one of that symbol, whatever SecurityID(48)
    the other adds.
    """
    if (one.trade_date, one.side, one.symbol) != (other.trade_date, other.side, other.symbol):
        return False
    ids = ((one.id_source, one.security_id), (other.id_source, other.security_id))
    return ids[0] == ids[1] or not one.security_id or not other.security_id


def rounded(value: Fraction, decimals: int, rounding: PriceRounding = PriceRounding.HALF_UP) -> int:
    """``value`` in units of the last of ``decimals`` places: half away from zero, half to even, or cut."""
    whole: int = 10**decimals
    denominator = value.denominator
    floor, rest = divmod(abs(value.numerator) * whole, denominator)
    match rounding:
        case PriceRounding.HALF_UP:
            up = 2 * rest >= denominator
        case PriceRounding.HALF_EVEN:
            up = 2 * rest + floor % 2 > denominator
        case PriceRounding.DOWN:
            up = False
    return -(floor + up) if value < 0 else floor + up


def written(value: Fraction, decimals: int, rounding: PriceRounding = PriceRounding.HALF_UP) -> str:
    """``value`` written with exactly ``decimals`` places (FIX tag 74, AvgPxPrecision) by the policy's rounding."""
    units = rounded(value, decimals, rounding)
    digits = str(abs(units)).rjust(decimals + 1, "0")
    sign = "-" if units < 0 else ""
    return f"{sign}{digits[:-decimals]}.{digits[-decimals:]}" if decimals else f"{sign}{digits}"


def round_half_up(value: Fraction, decimals: int) -> str:
    """``value`` written with exactly ``decimals`` places, halves away from zero.

    The specification's own figure: 3000@100, 1000@100.25, 3000@100, 2000@100.50 at 4 places is 100.1389
    (FIX 4.2 Errata 20010501, allocation examples).
    """
    return written(value, decimals)
