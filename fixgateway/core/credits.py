"""Roundings that favour nobody in the long run.

Largest remainder with a fixed tie order gives its extra units to the same accounts again and again (ten equal
accounts, a thousand blocks: 449 lots to the first, 459 from the last). Two remedies:

- *Carry-forward* adds to the exact share what earlier roundings left the account short of, its credit, and
  rounds the sum. While the same accounts share in the same proportions no account is ever a whole lot away from
  what all its blocks owe it. In a single block an account may be almost two lots from the exact share.
- *Cumulative rounding* lays the exact shares end to end, in a seeded order, on a line with a mark at every
  whole number, shifted by a seeded offset; an account gets one unit for each mark in its stretch (systematic
  sampling: Grimmett, "Stochastic apportionment", American Mathematical Monthly 111, 2004). A stretch of length e
  holds the floor or the ceiling of e marks, and e on average.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from fractions import Fraction
from hashlib import sha256
from itertools import accumulate
from math import lcm

from fixgateway.core.apportion import tie_key

CREDIT_UNIT = 10**12
"""Credits are kept in 1/10^12 lot: sums of fractions of ever new totals would need ever more digits."""


def kept(credit: Fraction) -> Fraction:
    """A credit as it is carried on: never more than one lot, cut towards zero to 1/:data:`CREDIT_UNIT` lot.

    It can only be more where a cap or a fill of few lots kept the account from its due, or the accounts changed.
    """
    bounded = max(Fraction(-1), min(Fraction(1), credit))
    cut = abs(bounded.numerator) * CREDIT_UNIT // bounded.denominator
    return Fraction(cut if bounded > 0 else -cut, CREDIT_UNIT)


def carried(units: int, targets: Sequence[Fraction], caps: Sequence[int], rank: Sequence[int]) -> list[int]:
    """The whole numbers of sum ``units`` nearest to the targets, none below zero or above its cap.

    Where targets do not add up to ``units`` (the credits of those present need not cancel out), or lie outside the
    bounds, all are moved by the same amount first: that is the nearest point with the right sum. Then the floors,
    and one unit each for the largest fractional parts.

    Raises:
        ValueError: the caps cannot absorb the units.
    """
    if units > sum(caps):
        raise ValueError(f"{units} units do not fit under caps of {sum(caps)}")
    common = lcm(*(target.denominator for target in targets))
    wanted = [target.numerator * (common // target.denominator) for target in targets]
    move, parts = _move(units * common, wanted, [cap * common for cap in caps])
    common *= parts
    moved = [min(max(value * parts + move, 0), cap * common) for value, cap in zip(wanted, caps, strict=True)]
    given = [value // common for value in moved]
    left = units - sum(given)
    for i in sorted(range(len(moved)), key=lambda i: (-(moved[i] % common), rank[i]))[:left]:
        given[i] += 1
    return given


def _move(total: int, wanted: Sequence[int], caps: Sequence[int]) -> tuple[int, int]:
    """By how much (numerator, denominator) all must move so that, kept in [0, cap], they add up to it."""
    if sum(min(max(value, 0), cap) for value, cap in zip(wanted, caps, strict=True)) == total:
        return 0, 1
    # As the move grows, value i begins to count at -wanted and stops growing at cap - wanted.
    open_ = [(value, cap) for value, cap in zip(wanted, caps, strict=True) if cap]
    turns = sorted([(-value, 1) for value, _ in open_] + [(cap - value, -1) for value, cap in open_])
    reached, growing, at = 0, 0, turns[0][0]
    for move, change in turns:
        more = growing * (move - at)
        if reached + more >= total and growing:
            break
        reached, at = reached + more, move
        growing += change
    if not growing:
        return at, 1
    return at * growing + total - reached, growing


def cumulative(
    units: int,
    shares: Sequence[Fraction],
    caps: Sequence[int],
    accounts: Sequence[str],
    seed: str,
    statement_id: str,
) -> list[int]:
    """Whole numbers of sum ``units``, each the floor or ceiling of its part, equal to it on average over seeds.

    A cap binds only where it is no whole number of lots; what does not fit goes to the next in the seeded order.
    """
    key = bytes.fromhex(seed)
    order = sorted(range(len(shares)), key=lambda i: tie_key(key, statement_id, accounts[i]))
    common = lcm(*(share.denominator for share in shares))
    parts = [shares[i].numerator * (common // shares[i].denominator) for i in order]
    total = sum(parts) or 1
    digest = hmac.digest(key, f"{statement_id}|offset|".encode(), sha256)
    offset = int.from_bytes(digest, "big")  # of 2^256
    marks = [((units * end << 256) // total + offset) >> 256 for end in accumulate(parts)]
    given = [0] * len(shares)
    before = 0
    for i, mark in zip(order, marks, strict=True):
        given[i] = min(mark - before, caps[i])
        before = mark
    left = units - sum(given)
    for i in order:
        more = min(left, caps[i] - given[i])
        given[i] += more
        left -= more
    return given
