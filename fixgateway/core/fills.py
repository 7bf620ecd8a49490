"""One trade as it stands: quantity, price, the day it was done, and what it cost to the last digit.

A price is not always a number that can be written down. After a 3:1 split 100.00 becomes 33.333…, and a fill known
only from CumQty(14) and AvgPx(6) cost the difference of two products. Such a fill keeps its exact money; its
price is then rounded and serves display only. Averages use :attr:`Fill.exact_price` or :attr:`Fill.value`, never
quantity times price.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from decimal import Context, Decimal, Inexact, InvalidOperation
from fractions import Fraction

from fixgateway.core.pricing import round_half_up
from fixgateway.core.values import quick

MONEY = Context(prec=120, traps=[InvalidOperation, Inexact])
"""Exact arithmetic for quantity times price: both may have 36 digits (18 on either side of the point)."""
DERIVED = "\x01from-cum"
"""The name under which an order keeps the fill derived from 14 and 6; no ExecID can hold SOH."""
SHOWN_PLACES = 8
"""Decimal places of a price that cannot be written exactly."""
MAX_PLACES = 18
"""Decimal places a scaled quantity may have; more means that it has no exact decimal, as a broker would write
it."""


@quick
@dataclass(frozen=True, slots=True)
class Fill:
    """One trade as it stands now, after corrections and splits.

    ``trade_date`` is the day it was done, ``date.min`` when a journal does not say. ``origin`` is the ExecID of
    the trade's first report once a correction gave it another, else "". ``money`` is quantity times price where
    ``price`` is rounded, else None. ``booking`` is the booking of the statement that has it (:mod:`.booking`), 0:
    none.
    """

    quantity: Decimal
    price: Decimal
    trade_date: date = date.min
    origin: str = ""
    money: Decimal | None = None
    booking: int = 0

    @property
    def value(self) -> Decimal:
        """Quantity times price, exact."""
        return MONEY.multiply(self.quantity, self.price) if self.money is None else self.money

    @property
    def exact_price(self) -> Decimal | Fraction:
        """The price, exact: a decimal wherever there is one."""
        return self.price if self.money is None else Fraction(self.money) / Fraction(self.quantity)


@dataclass(frozen=True, slots=True)
class Early:
    """A bust or correction that came before its fill: its own ExecID, and the new numbers (None for a bust)."""

    exec_id: str
    quantity: Decimal | None = None
    price: Decimal | None = None


def costing(quantity: Decimal, money: Decimal, trade_date: date, origin: str = "") -> Fill:
    """A fill of which quantity and money are known, and the price follows."""
    exact = Fraction(money) / Fraction(quantity)
    price = exact_decimal(exact)
    if price is not None:
        return Fill(quantity, price, trade_date, origin)
    return Fill(quantity, Decimal(round_half_up(exact, SHOWN_PLACES)), trade_date, origin, money)


def scaled(fill: Fill, ratio: Fraction) -> Fill | None:
    """A fill after a split: ``ratio`` times the quantity for the same money; None when no decimal says it
    exactly."""
    quantity = times(fill.quantity, ratio)
    if quantity is None:
        return None
    return replace(costing(quantity, fill.value, fill.trade_date), origin=fill.origin, booking=fill.booking)


def times(value: Decimal, ratio: Fraction) -> Decimal | None:
    """``value`` times ``ratio`` when a decimal says it exactly, else None."""
    return exact_decimal(Fraction(value) * ratio)


def exact_decimal(value: Fraction) -> Decimal | None:
    """A fraction as the decimal it equals, of at most :data:`MAX_PLACES` places and no more than needed, else
    None."""
    denominator = value.denominator
    twos = fives = 0
    while denominator % 2 == 0:
        denominator //= 2
        twos += 1
    while denominator % 5 == 0:
        denominator //= 5
        fives += 1
    places = max(twos, fives)
    if denominator != 1 or places > MAX_PLACES:
        return None
    return Decimal(value.numerator * 10**places // value.denominator).scaleb(-places, MONEY)
