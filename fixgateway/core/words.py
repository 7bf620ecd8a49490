"""How a share came about, in one sentence that a compliance officer can read.

Nothing is decided here: the sentences say what a :class:`TraceLine` holds. docs/allocation.md has the rules' words.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

from fixgateway.core.model import ZERO, Remainder, Ties, plain_text
from fixgateway.core.outputs import TraceLine

TIES: dict[str, str] = {
    Ties.SEEDED: "seeded order",
    Ties.ACCOUNT: "account id",
    Ties.SMALLEST: "smallest first",
    Ties.LARGEST: "largest first",
    Ties.ROTATION: "turn",
}
_ODD_REST: dict[str, str] = {
    Remainder.LARGEST_SHORTFALL: "furthest below its exact share",
    Remainder.SMALLEST_ACCOUNT: "the smallest account with room",
    Remainder.ROTATION: "the lowest turn with room",
    "quota": "the one the next lot goes to",
}


def number(value: Decimal) -> str:
    """Plainly, with thousands separated: ``15,000``."""
    whole, point, decimals = plain_text(value).partition(".")
    return f"{int(whole):,}{point}{decimals}" if whole not in ("-0", "-") else f"{whole}{point}{decimals}"


def share(exact: str) -> str:
    """``50000/3`` as ``16,666 2/3``."""
    value = Fraction(exact)
    whole, rest = divmod(abs(value.numerator), value.denominator)
    sign = "-" if value < 0 else ""
    if not rest:
        return f"{sign}{whole:,}"
    return f"{sign}{whole:,} {rest}/{value.denominator}" if whole else f"{sign}{rest}/{value.denominator}"


def sentence(line: TraceLine, lot: Decimal) -> str:
    """Why the account got its quantity.

    Args:
        lot: of the statement.
    """
    rule, _, by = line.rule.partition(":")
    said = _RULES[rule](line, lot, by) if rule in _RULES else f"exact {share(line.exact)}; rule {line.rule}"
    before = f"; {number(line.before)} of it booked before, {number(line.quantity)} now" if line.before else ""
    return said + before


def _rounded(line: TraceLine, lot: Decimal) -> str:
    """``exact 16,666 2/3; 16,666 whole``, the beginning of most sentences."""
    lots = f"{number(line.floor)} whole" if lot == 1 else f"{number(line.floor)} in whole lots of {number(lot)}"
    return f"exact {share(line.exact)}; {lots}"


def _award(line: TraceLine) -> str:
    return f"{number(line.award)} more" if line.award >= ZERO else f"{number(-line.award)} less"


def _full(line: TraceLine, _lot: Decimal, _by: str) -> str:
    return f"everything it asked for, {number(line.intent)}"


def _cap(line: TraceLine, _lot: Decimal, _by: str) -> str:
    return f"all that its holding allows, {number(ZERO if line.cap is None else line.cap)}"


def _floor(line: TraceLine, lot: Decimal, _by: str) -> str:
    exactly = Fraction(line.exact) == Fraction(line.floor)
    if lot == 1:
        return f"{_rounded(line, lot)}" + ("" if exactly else ", the fraction went to others")
    return _rounded(line, lot) + ("" if exactly else ", the rest went to others")


def _remainder(line: TraceLine, lot: Decimal, by: str) -> str:
    return f"{_rounded(line, lot)}, {_award(line)} for its fraction (equal fractions: {TIES.get(by, by)})"


def _odd_rest(line: TraceLine, lot: Decimal, by: str) -> str:
    return f"{_rounded(line, lot)}, {_award(line)} of the rest below a lot: {_ODD_REST.get(by, by)}"


def _quota(line: TraceLine, lot: Decimal, _by: str) -> str:
    return f"{_rounded(line, lot)}, {_award(line)} by the quota method"


def _carried(line: TraceLine, lot: Decimal, _by: str) -> str:
    credit = f", short {share(line.credit)} lots from earlier blocks" if line.credit else ""
    return f"{_rounded(line, lot)}{credit}: {_award(line)}"


def _cumulative(line: TraceLine, lot: Decimal, _by: str) -> str:
    return f"{_rounded(line, lot)}, {_award(line)} by a mark in its stretch of the seeded order"


def _part(line: TraceLine, _lot: Decimal, _by: str) -> str:
    return f"served in place {line.place}, the last one reached: what was left, {number(line.quantity)}"


def _waiting(line: TraceLine, _lot: Decimal, _by: str) -> str:
    return f"not reached: the fill ended before place {line.place}"


def _below_minimum(line: TraceLine, _lot: Decimal, _by: str) -> str:
    return f"left out: its exact share {share(line.exact)} was below its minimum, and nobody is raised to it"


def _overfill(line: TraceLine, _lot: Decimal, _by: str) -> str:
    return f"the error account takes {number(line.quantity)}, filled above what the accounts may have"


def _forced(line: TraceLine, lot: Decimal, _by: str) -> str:
    return f"{_rounded(line, lot)}; moved to {number(line.quantity)} by what a broker accepted and keeps"


def _own_order(line: TraceLine, _lot: Decimal, _by: str) -> str:
    filled = Fraction(line.exact)
    above = "" if filled == Fraction(line.quantity) else f", of which it may have {number(line.quantity)}"
    return f"its own orders, turn {line.place}, filled {share(line.exact)}{above}"


def _exception(line: TraceLine, _lot: Decimal, _by: str) -> str:
    return f"exact {share(line.exact)}; {number(line.quantity)} by an approved exception"


_RULES: dict[str, Callable[[TraceLine, Decimal, str], str]] = {
    "full": _full,
    "cap": _cap,
    "floor": _floor,
    "remainder": _remainder,
    "odd-rest": _odd_rest,
    "quota": _quota,
    "carry-forward": _carried,
    "cumulative-rounding": _cumulative,
    "part": _part,
    "waiting": _waiting,
    "below-minimum": _below_minimum,
    "overfill": _overfill,
    "forced": _forced,
    "own-order": _own_order,
    "exception": _exception,
}
"""A sentence for every word of a trace; one without gets its word."""

