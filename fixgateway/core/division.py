"""What goes into a division of a fill and what comes out of it.

Between the two everything is whole numbers: a :class:`Sheet` holds the statement in units of 1/scale, a method
fills in one :class:`Award` for every line, and :func:`traced` writes them as decimals again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from fixgateway.core.apportion import tie_rank
from fixgateway.core.model import EXACT, ZERO, Line, Method, Remainder, Rounding, Side, Ties
from fixgateway.core.outputs import TraceLine

FULL = "full"
CAP = "cap"
FLOOR = "floor"
BELOW_MINIMUM = "below-minimum"
PART = "part"
WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Terms:
    """Everything besides the lines and the fill that decides a share.

    ``lot`` and ``min_quantity`` are in shares (or the instrument's unit); a line's own minimum, when
    positive, replaces ``min_quantity``; ``ignore_minimum`` sets both aside. ``seed`` is hex, used by seeded ties
    and cumulative rounding only. ``side`` is read by price-time only. ``proportional`` says that the statement
    carries a recorded justification for dividing all tiers of client-priority alike. ``credits`` are what earlier
    roundings left an account short of (positive) or gave it above (negative), in lots; an account that is not
    named has none. ``by_weight`` is False for journals of the first edition of the rules (apportion.py).
    """

    statement_id: str
    lot: Decimal
    min_quantity: Decimal
    ties: Ties
    remainder: Remainder
    seed: str
    method: Method = Method.PRO_RATA
    rounding: Rounding = Rounding.LARGEST_REMAINDER
    side: Side = Side.BUY
    proportional: bool = False
    ignore_minimum: bool = False
    credits: Mapping[str, Fraction] = field(default_factory=dict)
    by_weight: bool = True


@dataclass(frozen=True, slots=True)
class Division:
    """A fill divided: one trace line for each statement line, in the statement's order.

    Σ quantity + ``unallocated`` is the fill; ``unallocated`` is what nobody may receive (a fill above the total,
    or above what holdings allow). ``below_minimum`` says that after all exclusions somebody who was kept is still
    below the minimum, because the others could not absorb the fill; ``all_below_minimum`` that everybody who was
    kept is. ``credits`` are the accounts' credits afterwards, in lots, for the roundings that have them.
    """

    lines: tuple[TraceLine, ...]
    unallocated: Decimal
    below_minimum: bool = False
    all_below_minimum: bool = False
    credits: Mapping[str, Fraction] = field(default_factory=dict)


class Award(NamedTuple):
    """What one line receives, in units of 1/scale, and why.

    ``exact`` is the share before rounding, ``floor`` its whole lots, ``rule`` a word of docs/allocation.md.
    ``place`` is the position in which the line was served, from 1, where a method serves lines one after another.
    ``credit`` is what earlier roundings left the account short of, in lots.
    """

    exact: Fraction
    floor: int
    quantity: int
    rule: str
    place: int = 0
    credit: Fraction | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """The awards of some lines of a sheet, by their index, and what a :class:`Division` says besides."""

    awards: dict[int, Award]
    below_minimum: bool = False
    all_below_minimum: bool = False
    credits: Mapping[str, Fraction] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A statement and its fill as whole numbers of 1/``scale``.

    ``caps`` are the most each line may receive: its intent, or less where its holding is smaller. ``minimums`` are
    whole numbers of 1/(scale · ``fineness``). ``rank`` is each line's position in the tie order.
    """

    lines: Sequence[Line]
    terms: Terms
    scale: int
    fill: int
    lot: int
    intents: list[int]
    caps: list[int]
    minimums: list[int]
    fineness: int
    rank: list[int]


def sheet_of(lines: Sequence[Line], filled: Decimal, terms: Terms) -> Sheet:
    """The statement as whole numbers.

    Raises:
        TypeError: a number is a float; floats are refused, not rounded.
        ValueError: a number is negative or the lot is not positive.
    """
    given = [filled, terms.lot, *(line.quantity for line in lines)]
    holdings = [line.cap for line in lines if line.cap is not None]
    least = [_minimum(line, terms) for line in lines]
    for value in (*given, *holdings, *least):
        if not isinstance(value, Decimal):
            raise TypeError(f"{value!r} is a {type(value).__name__}; quantities are decimals")
        if not value.is_finite() or value < ZERO:
            raise ValueError(f"{value} is no quantity")
    if not terms.lot:
        raise ValueError("a lot of 0 cannot be apportioned")
    scale = _scale([*given, *holdings])
    fineness = max(1, _scale(least) // scale)
    intents = [units(line.quantity, scale) for line in lines]
    return Sheet(
        lines=lines,
        terms=terms,
        scale=scale,
        fill=units(filled, scale),
        lot=units(terms.lot, scale),
        intents=intents,
        caps=[
            intent if line.cap is None else min(intent, units(line.cap, scale))
            for line, intent in zip(lines, intents, strict=True)
        ],
        minimums=[units(value, scale * fineness) for value in least],
        fineness=fineness,
        rank=tie_rank(lines, terms.ties, terms.seed, terms.statement_id),
    )


def _minimum(line: Line, terms: Terms) -> Decimal:
    return ZERO if terms.ignore_minimum else (line.min_quantity or terms.min_quantity)


def traced(sheet: Sheet, part: Part, unallocated: Decimal) -> Division:
    """The awards as trace lines, in the statement's order."""
    lines = tuple(_trace(sheet, line, part.awards[i]) for i, line in enumerate(sheet.lines))
    return Division(lines, unallocated, part.below_minimum, part.all_below_minimum, part.credits)


def _trace(sheet: Sheet, line: Line, award: Award) -> TraceLine:
    scale = sheet.scale
    if award.rule == FULL:
        floor = quantity = line.quantity
        extra = ZERO
    elif award.rule == BELOW_MINIMUM:
        floor = quantity = extra = ZERO
    else:
        floor, quantity = decimal_of(award.floor, scale), decimal_of(award.quantity, scale)
        extra = decimal_of(award.quantity - award.floor, scale)
    return TraceLine(
        account=line.account,
        intent=line.quantity,
        exact=ratio_text(award.exact if scale == 1 else award.exact / scale),
        floor=floor,
        award=extra,
        quantity=quantity,
        rule=award.rule,
        place=award.place,
        cap=line.cap,
        credit="" if award.credit is None else ratio_text(award.credit),
    )


def _scale(values: Sequence[Decimal]) -> int:
    """The power of ten that makes every value an integer."""
    exponents = [exponent for v in values if isinstance(exponent := v.as_tuple().exponent, int)]
    return int(10 ** -min(0, *exponents, 0))


def units(value: Decimal, scale: int) -> int:
    """``value`` as a whole number of 1/scale."""
    numerator, denominator = value.as_integer_ratio()
    whole, rest = divmod(numerator * scale, denominator)
    if rest:
        raise ValueError(f"{value} is not a whole number of 1/{scale}")
    return whole


def decimal_of(value: int, scale: int) -> Decimal:
    """Whole units of 1/scale as an exact decimal."""
    return Decimal(value) if scale == 1 else Decimal(value).scaleb(1 - len(str(scale)), EXACT)


def ratio_text(value: Fraction) -> str:
    """``num/den`` in lowest terms."""
    return f"{value.numerator}/{value.denominator}"
