"""How a total fill is divided among the lines of a statement: the door to every method.

The allocator is blind (DESIGN §2 rule 5): it sees account names, intended quantities, minimums, caps, the lot, the
tie order and what registration froze as numbers (tier, turn, and for price-time limit and receipt); never a
mark, a fee or an account class, and no execution price. ``split_fills.py`` is the only place that sees those, after
the quantities are decided.

| method | where |
|---|---|
| pro-rata, and the quantities of high-low and min-dispersion | ``prorata.py``; rounding: ``apportion.py`` (largest remainder), ``quota.py``, ``credits.py`` |
| rotation, release-rotation, price-time, client-priority | ``served.py`` |

A fill that reaches what everybody may receive gives everybody that, by whatever method, lot and minimum; what is
above it stays unallocated. A negative fill (what is taken back) is divided like the positive one.
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from fixgateway.core import prorata, served
from fixgateway.core.division import Division, Part, Sheet, Terms, decimal_of, sheet_of, traced
from fixgateway.core.model import EXACT, ZERO, Line, Method, exact_sum

__all__ = ["Division", "Terms", "allocate"]


def allocate(lines: Sequence[Line], filled: Decimal, terms: Terms) -> Division:
    """Divide ``filled`` among ``lines`` by the method the terms name.

    Raises:
        TypeError: a quantity is a float.
        ValueError: a quantity that cannot be divided; the quota method asked to count too many steps (quota.py).
    """
    if isinstance(filled, Decimal) and filled.is_finite() and filled < ZERO:
        return _negative(allocate(lines, EXACT.minus(filled), terms))
    sheet = sheet_of(lines, filled, terms)
    part = _divide(sheet)
    room = sum(sheet.caps)
    if sheet.fill < room:
        return traced(sheet, part, ZERO)
    if room == sum(sheet.intents):
        return traced(sheet, part, EXACT.subtract(filled, exact_sum(line.quantity for line in lines)))
    return traced(sheet, part, decimal_of(sheet.fill - room, sheet.scale))


def _divide(sheet: Sheet) -> Part:
    terms = sheet.terms
    everybody = range(len(sheet.lines))
    match terms.method:
        case Method.ROTATION | Method.RELEASE_ROTATION:
            return served.in_sequence(sheet, served.by_turn(sheet.lines))
        case Method.PRICE_TIME:
            return served.in_sequence(sheet, served.by_price_and_time(sheet.lines, terms.side))
        case Method.CLIENT_PRIORITY if not terms.proportional:
            return served.in_tiers(sheet)
        case Method.PRO_RATA | Method.HIGH_LOW | Method.MIN_DISPERSION | Method.CLIENT_PRIORITY:
            return prorata.divide(sheet, everybody, sheet.fill)


def _negative(division: Division) -> Division:
    """The same shares with the other sign."""
    minus = EXACT.minus
    lines = tuple(
        replace(
            line,
            exact=line.exact if line.exact.startswith("0/") else f"-{line.exact}",
            floor=minus(line.floor),
            award=minus(line.award),
            quantity=minus(line.quantity),
        )
        for line in division.lines
    )
    return replace(division, lines=lines, unallocated=minus(division.unallocated))
