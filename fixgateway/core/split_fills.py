"""Allocation at executed prices: which account gets which of the fills.

Used where a policy does not average prices (NFA Interpretive Notice 9029 on bunched orders names both):

- **high-low**: the highest prices go to the highest account numbers, for buys and for sells alike;
- **min-dispersion**: the fills are dealt so that every account's own average is as near to the block's as whole
  units allow.

The quantities are decided before (:mod:`methods`), blind to prices; here they are only filled with priced pieces.

Min-dispersion deals from the middle of the price list outwards, to the smallest account first. An account of X
units owes X times the block's average; it gets so many units of the nearest dearer price and so many of the
nearest cheaper one that its cost comes nearest to that. What one account pays too much the next is made to pay too
little, so the errors do not add up for the last one, and the prices furthest out go to those with the most units
to even them out. Then, pair by pair, the accounts that are furthest from the average exchange units while that
brings them nearer to it. The result is nearly always the one with the least sum of squares, not always.
"""

from __future__ import annotations

import re
from bisect import bisect_left, insort
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import groupby
from math import lcm

from fixgateway.core.model import EXACT, Method

EXCHANGES_MAX = 1000
"""Most exchanges of units between accounts after the first deal."""
_FURTHEST = 6

Price = Decimal | Fraction


@dataclass(frozen=True, slots=True)
class PricedPiece:
    """A quantity of one account at one executed price."""

    account: str
    quantity: Decimal
    price: Price


def split_fills(
    shares: Sequence[tuple[str, Decimal]], fills: Sequence[tuple[Price, Decimal]], method: Method
) -> tuple[PricedPiece, ...]:
    """Fill every account's share with priced pieces, exact in quantity.

    Args:
        shares: account and quantity; the sum is that of the fills.
        fills: executed price and quantity, in any order.
        method: ``HIGH_LOW`` or ``MIN_DISPERSION``.

    Returns:
        The pieces in the order of ``shares``, the dearest of each account first, one for each price.

    Raises:
        TypeError: a number is a float.
        ValueError: quantities do not add up or are negative, or the method does not split fills.
    """
    for value in (*(q for _, q in shares), *(q for _, q in fills)):
        if not isinstance(value, Decimal):
            raise TypeError(f"{value!r} is a {type(value).__name__}; quantities are decimals")
    if any(not isinstance(price, Decimal | Fraction) for price, _ in fills):
        raise TypeError("prices are decimals or fractions")
    unit = lcm(*(value.as_integer_ratio()[1] for _, value in (*shares, *fills)))
    rows = [_whole(quantity, unit) for _, quantity in shares]
    levels = _levels(fills, unit)
    if sum(rows) != sum(size for _, size in levels) or min(rows, default=0) < 0:
        raise ValueError(
            f"shares add up to {Fraction(sum(rows), unit)}, fills to other than that, or one is negative"
        )
    order = sorted(range(len(rows)), key=lambda i: (account_number(shares[i][0]), shares[i][0]))
    ordered = [rows[i] for i in order]
    match method:
        case Method.HIGH_LOW:
            dealt = _high_low(ordered, levels)
        case Method.MIN_DISPERSION:
            dealt = _exchanged(_from_the_middle(ordered, levels), levels)
        case _:
            raise ValueError(f"{method} does not split fills")
    pieces = dict(zip(order, dealt, strict=True))
    return tuple(
        PricedPiece(account, _decimal(size, unit), levels[level][0])
        for i, (account, _) in enumerate(shares)
        for level, size in sorted(pieces[i].items())
        if size
    )


Level = tuple[Price, int]
Pieces = dict[int, int]
"""Level → units. Levels are numbered from the dearest."""


def _levels(fills: Sequence[tuple[Price, Decimal]], unit: int) -> list[Level]:
    """Units at each price, the dearest first."""
    ordered = sorted(fills, key=lambda fill: fill[0], reverse=True)
    return [
        (price, sum(_whole(quantity, unit) for _, quantity in same))
        for price, same in groupby(ordered, key=lambda fill: fill[0])
    ]


def account_number(account: str) -> list[tuple[int, int, str]]:
    """The sort key of account numbers: runs of digits by value, so that A-10 comes after A-9."""
    return [
        (0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.findall(r"[0-9]+|[^0-9]+", account)
    ]


# ---------------------------------------------------------------- high-low


def _high_low(rows: Sequence[int], levels: Sequence[Level]) -> list[Pieces]:
    """``rows`` are in the order of the account numbers; the dearest level goes to the last."""
    dealt: list[Pieces] = [{} for _ in rows]
    level, left = 0, levels[0][1] if levels else 0
    for i in reversed(range(len(rows))):
        needed = rows[i]
        while needed:
            if not left:
                level += 1
                left = levels[level][1]
            taken = min(needed, left)
            if taken:
                dealt[i][level] = taken
            needed -= taken
            left -= taken
    return dealt


# ---------------------------------------------------------------- min-dispersion


@dataclass(slots=True)
class _Deal:
    """``pieces`` of every account, and what each pays ``over`` its part; a level's ``price`` in the same money."""

    pieces: list[Pieces]
    over: list[int]
    rows: Sequence[int]
    price: list[int]


def _money(levels: Sequence[Level]) -> tuple[list[int], int, int]:
    """Prices as whole numbers, and the block's average as a numerator and a denominator in the same unit."""
    ratios = [price.as_integer_ratio() for price, _ in levels]
    common = lcm(*(denominator for _, denominator in ratios))
    prices = [numerator * (common // denominator) for numerator, denominator in ratios]
    cost = sum(price * size for price, (_, size) in zip(prices, levels, strict=True))
    return prices, cost, sum(size for _, size in levels)


def _from_the_middle(rows: Sequence[int], levels: Sequence[Level]) -> _Deal:
    """Deal to the largest account last: it has the most units to even things out with.

    The two ends of ``ends`` are the prices next to the average; what is further out comes later.
    """
    prices, cost, total = _money(levels)
    # All money below is multiplied by ``total``: then the average is the whole number ``cost``.
    price = [one * total for one in prices]
    sized = [[level, size] for level, (_, size) in enumerate(levels) if size]
    above = [end for end in sized if price[end[0]] >= cost]
    ends = deque(above[::-1] + sized[len(above) :][::-1])
    dealt: list[Pieces] = [{} for _ in rows]
    over = [0] * len(rows)
    carried = 0
    for i in sorted(range(len(rows)), key=rows.__getitem__):
        taken: defaultdict[int, int] = defaultdict(int)
        target = rows[i] * cost - carried
        needed = rows[i]
        while needed:
            dear, cheap = sorted((ends[0], ends[-1]), key=lambda end: end[0])
            if dear is cheap:
                batch, from_dear = min(needed, dear[1]), min(needed, dear[1])
            else:
                batch, from_dear = _batch(needed, target, price[dear[0]], price[cheap[0]], dear[1], cheap[1])
            for end, size in ((dear, from_dear), (cheap, batch - from_dear)):
                taken[end[0]] += size
                end[1] -= size
                target -= size * price[end[0]]
            needed -= batch
            while ends and not ends[0][1]:
                ends.popleft()
            while ends and not ends[-1][1]:
                ends.pop()
        dealt[i] = {level: size for level, size in taken.items() if size}
        over[i] = sum(size * price[level] for level, size in dealt[i].items()) - rows[i] * cost
        carried += over[i]
    return _Deal(dealt, over, rows, price)


def _batch(needed: int, target: int, dear: int, cheap: int, dear_left: int, cheap_left: int) -> tuple[int, int]:
    """How many units to take now, and how many of them from the dear end, so that the cost comes to ``target``."""
    wanted = max(0, min(needed, (2 * (target - needed * cheap) + dear - cheap) // (2 * (dear - cheap))))
    if wanted <= dear_left and needed - wanted <= cheap_left:
        return needed, wanted
    # One end does not reach: take it whole, and of the other in the same proportion.
    if wanted * cheap_left > (needed - wanted) * dear_left:
        other = min(cheap_left, dear_left * (needed - wanted) // wanted)
        return dear_left + other, dear_left
    other = min(dear_left, cheap_left * wanted // (needed - wanted))
    return cheap_left + other, other


def _exchanged(deal: _Deal, levels: Sequence[Level]) -> list[Pieces]:
    """Exchange units between those furthest above and below the average while Σ over²/quantity falls."""
    if len(levels) < 2:
        return deal.pieces
    finer = max(deal.rows) ** 2

    def place(i: int) -> tuple[int, int]:
        """Whole numbers in the order of what each pays too much for a unit."""
        return deal.over[i] * finer // deal.rows[i], i

    order = sorted(place(i) for i, row in enumerate(deal.rows) if row)
    for _ in range(EXCHANGES_MAX):
        best = min(
            (
                option
                for _, low in order[:_FURTHEST]
                for _, high in order[-_FURTHEST:]
                if low != high
                for option in _options(deal, low, high)
            ),
            default=None,
        )
        if best is None:
            break
        gain, low, high, dear, cheap, size = best
        if gain >= 0:
            break
        for i, gives, takes, sign in ((high, dear, cheap, -1), (low, cheap, dear, 1)):
            del order[bisect_left(order, place(i))]
            deal.pieces[i][gives] -= size
            deal.pieces[i][takes] = deal.pieces[i].get(takes, 0) + size
            deal.over[i] += sign * size * (deal.price[dear] - deal.price[cheap])
            insort(order, place(i))
    return deal.pieces


def _options(deal: _Deal, low: int, high: int) -> list[tuple[Fraction, int, int, int, int, int]]:
    """Exchanges of ``high``'s dear units for ``low``'s cheap ones: the change of the sum of squares first."""
    found = []
    rows, over = deal.rows, deal.over
    for dear, dear_size in deal.pieces[high].items():
        for cheap, cheap_size in deal.pieces[low].items():
            step = deal.price[dear] - deal.price[cheap]
            room = min(dear_size, cheap_size)
            if step <= 0 or not room:
                continue
            # The parabola's vertex, to the nearest whole unit.
            best = Fraction(over[high] * rows[low] - over[low] * rows[high], step * (rows[low] + rows[high]))
            size = min(room, round(best))
            if size <= 0:
                continue
            moved = size * step
            change = Fraction((over[high] - moved) ** 2 - over[high] ** 2, rows[high]) + Fraction(
                (over[low] + moved) ** 2 - over[low] ** 2, rows[low]
            )
            found.append((change, low, high, dear, cheap, size))
    return found


def _whole(value: Decimal, unit: int) -> int:
    numerator, denominator = value.as_integer_ratio()
    return numerator * (unit // denominator)


def _decimal(size: int, unit: int) -> Decimal:
    """``size``/``unit`` exactly; the unit divides a power of ten."""
    ten = 1
    while ten % unit:
        ten *= 10
    return Decimal(size * (ten // unit)).scaleb(1 - len(str(ten)), EXACT)
