"""How a total fill is divided among the lines of a statement.

The allocator is blind (DESIGN §2 rule 5): it sees account names, intended quantities, minimums, the lot
and the tie order; never a price, a mark, a fee or an account class.

Pro-rata, step by step (DESIGN §5, lots and minimums):

1. A full fill gives every account its intent, whatever lot and minimum say. An overfill too; the excess
   stays unallocated and is an exception.
2. While an exact share is below its account's minimum, the accounts with the smallest such share are
   dropped together and the rest re-apportioned; nobody is dropped if the others' intents could not absorb
   the fill. Nobody is ever raised to the minimum.
3. Whole lots are apportioned by largest remainder, capped at floor(intent / lot).
4. The odd rest below a lot goes by the policy's remainder rule, never above an intent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from fixgateway.core.apportion import largest_remainder, tie_rank
from fixgateway.core.model import EXACT, ZERO, Line, Remainder, Ties, exact_sum
from fixgateway.core.outputs import TraceLine


@dataclass(frozen=True, slots=True)
class Terms:
    """Everything besides the lines and the fill that decides a share.

    ``lot`` and ``min_quantity`` are in shares (or the instrument's unit); a line's own minimum, when
    positive, replaces ``min_quantity``. ``seed`` is hex and used by seeded ties only.
    """

    statement_id: str
    lot: Decimal
    min_quantity: Decimal
    ties: Ties
    remainder: Remainder
    seed: str


def allocate(lines: Sequence[Line], filled: Decimal, terms: Terms) -> tuple[tuple[TraceLine, ...], Decimal]:
    """Divide ``filled`` among ``lines`` pro rata.

    Returns:
        One trace line for each statement line, in the statement's order, and the quantity nobody may
        receive (only an overfill leaves one). Σ quantity + unallocated = ``filled``.
    """
    total = exact_sum(line.quantity for line in lines)
    if filled >= total:
        whole = tuple(
            TraceLine(x.account, x.quantity, _ratio(Fraction(x.quantity)), x.quantity, ZERO, x.quantity, "full")
            for x in lines
        )
        return whole, EXACT.subtract(filled, total)
    return _partial(lines, filled, terms), ZERO


def _partial(lines: Sequence[Line], filled: Decimal, terms: Terms) -> tuple[TraceLine, ...]:
    """The shares of a fill that is smaller than the statement."""
    scale = _scale([filled, terms.lot, *(line.quantity for line in lines)])
    fill, lot = _units(filled, scale), _units(terms.lot, scale)
    intents = [_units(line.quantity, scale) for line in lines]
    rank = tie_rank(lines, terms.ties, terms.seed, terms.statement_id)
    dropped = _below_minimum(lines, intents, fill, scale, terms.min_quantity)
    active = [i for i in range(len(lines)) if i not in dropped]
    weight = sum(intents[i] for i in active)

    caps = [intents[i] // lot for i in active]
    lots = min(fill // lot, sum(caps))
    ordered = sorted(active, key=lambda i: rank[i])
    position = {i: n for n, i in enumerate(ordered)}
    given = largest_remainder(lots, [intents[i] for i in active], caps, [position[i] for i in active])
    quantity = {i: units * lot for i, units in zip(active, given, strict=True)}
    rest_takers = _give_rest(fill - lots * lot, quantity, intents, fill, weight, rank, terms.remainder)

    def trace(i: int, line: Line) -> TraceLine:
        if i in dropped:
            return TraceLine(line.account, line.quantity, _ratio(dropped[i]), ZERO, ZERO, ZERO, "below-minimum")
        exact = Fraction(fill * intents[i], weight)
        floor = min(exact // lot * lot, quantity[i])
        award = quantity[i] - floor
        rule = "floor" if not award else f"remainder:{terms.ties}"
        if i in rest_takers:
            rule = f"odd-rest:{terms.remainder}"
        return TraceLine(
            line.account,
            line.quantity,
            _ratio(exact / scale),
            _decimal(int(floor), scale),
            _decimal(int(award), scale),
            _decimal(quantity[i], scale),
            rule,
        )

    return tuple(trace(i, line) for i, line in enumerate(lines))


def _below_minimum(
    lines: Sequence[Line], intents: Sequence[int], fill: int, scale: int, minimum: Decimal
) -> dict[int, Fraction]:
    """Lines dropped because of their minimum, with the exact share (in units of quantity) they had then."""
    minimums = [Fraction(line.min_quantity or minimum) * scale for line in lines]
    active = set(range(len(lines)))
    dropped: dict[int, Fraction] = {}
    while True:
        weight = sum(intents[i] for i in active)
        # A share below its minimum, smallest first; equal shares are equal intents under one weight.
        below = [i for i in active if Fraction(fill * intents[i], weight) < minimums[i]]
        if not below:
            return dropped
        smallest = min(intents[i] for i in below)
        group = [i for i in below if intents[i] == smallest]
        if weight - smallest * len(group) < fill or len(group) == len(active):
            return dropped
        for i in group:
            dropped[i] = Fraction(fill * intents[i], weight * scale)
            active.remove(i)


def _give_rest(
    rest: int,
    quantity: dict[int, int],
    intents: Sequence[int],
    fill: int,
    weight: int,
    rank: Sequence[int],
    rule: Remainder,
) -> set[int]:
    """Hand out what is left below a lot, in place; returns who took some of it."""
    takers: set[int] = set()
    match rule:
        case Remainder.LARGEST_SHORTFALL:
            order = sorted(quantity, key=lambda i: (quantity[i] * weight - fill * intents[i], rank[i]))
        case Remainder.SMALLEST_ACCOUNT:
            order = sorted(quantity, key=lambda i: (intents[i], rank[i]))
        case Remainder.ROTATION:
            order = sorted(quantity, key=lambda i: rank[i])
    for i in order:
        take = min(rest, intents[i] - quantity[i])
        if take > 0:
            quantity[i] += take
            rest -= take
            takers.add(i)
    return takers


def _scale(values: Sequence[Decimal]) -> int:
    """The power of ten that makes every value an integer."""
    exponents = [exponent for v in values if isinstance(exponent := v.as_tuple().exponent, int)]
    return int(10 ** -min(0, *exponents))


def _units(value: Decimal, scale: int) -> int:
    """``value`` as an integer number of 1/scale."""
    fraction = Fraction(value) * scale
    if fraction.denominator != 1:
        raise ValueError(f"{value} is not a whole number of 1/{scale}")
    return fraction.numerator


def _decimal(units: int, scale: int) -> Decimal:
    """Integer units of 1/scale as an exact decimal."""
    return Decimal(units).scaleb(1 - len(str(scale)), EXACT)


def _ratio(value: Fraction) -> str:
    """``num/den`` in lowest terms."""
    return f"{value.numerator}/{value.denominator}"
