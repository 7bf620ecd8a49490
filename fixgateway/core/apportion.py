"""Dividing a whole number of units by weights, exactly.

Largest remainder (Hamilton): everybody gets the floor of the exact share; the units left over go, one
each, to the largest fractional parts. All arithmetic is on integers: the exact share of weight ``w`` in
``units`` is ``units·w / Σw``, its floor ``units·w // Σw`` and its remainder is compared as an integer over
the common denominator ``Σw``, so nothing is ever rounded. Quota holds (every result is the floor or the
ceiling of the exact share) as long as no cap binds; the method is not house-monotone, which is why shares
are computed once, from the total (Balinski and Young, "Fair Representation", 1982).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from fixgateway.core.model import Line, Ties


def largest_remainder(
    units: int, weights: Sequence[int], caps: Sequence[int], rank: Sequence[int], by_weight: bool = True
) -> list[int]:
    """Divide ``units`` by ``weights`` without giving anyone more than their cap.

    Args:
        units: whole units to hand out, at most Σ caps.
        weights: non-negative integers, one for each receiver, with a positive sum.
        caps: most units each may receive.
        rank: position of each receiver in the tie order (lower comes first); a permutation of 0..n-1.
        by_weight: where caps cut off so much that one unit more for everybody does not absorb it, the rest is
            spread by weight; False: one unit each again and again, as the first edition of the rules did.

    Returns:
        The units of each receiver; their sum is ``units``.

    Raises:
        ValueError: when the caps cannot absorb the units or no weight is positive.
    """
    total = sum(weights)
    if total <= 0 or units < 0 or units > sum(caps):
        raise ValueError(f"{units} units cannot be divided by weights {total} under caps {sum(caps)}")
    given = [min(units * weight // total, cap) for weight, cap in zip(weights, caps, strict=True)]
    left = units - sum(given)
    open_ = [i for i, cap in enumerate(caps) if given[i] < cap]
    while left > len(open_) > 0 and not by_weight:
        rounds = min(left // len(open_), min(caps[i] - given[i] for i in open_))
        for i in open_:
            given[i] += rounds
        left -= rounds * len(open_)
        open_ = [i for i in open_ if given[i] < caps[i]]
    if left > len(open_):
        level = water_level(units, weights, caps)
        given = [
            cap if full else min(level.units * weight // level.weight, cap)
            for weight, cap, full in zip(weights, caps, level.full, strict=True)
        ]
        left = units - sum(given)
        open_ = [i for i, full in enumerate(level.full) if not full and given[i] < caps[i]]
        units, total = level.units, level.weight
    open_.sort(key=lambda i: (given[i] * total - units * weights[i], rank[i]))
    for i in open_[:left]:
        given[i] += 1
    left -= min(left, len(open_))
    for i in sorted(range(len(caps)), key=lambda i: rank[i]) if left else ():  # only weights of 0 have room now
        more = min(left, caps[i] - given[i])
        given[i] += more
        left -= more
    return given


@dataclass(frozen=True, slots=True)
class Level:
    """Exact shares under caps: who is ``full`` takes the cap, the others, of sum ``weight``, share ``units``."""

    units: int
    weight: int
    full: list[bool]


def water_level(units: int, weights: Sequence[int], caps: Sequence[int]) -> Level:
    """Where the shares stand when nobody takes more than their cap and all others take alike, by weight.

    Water poured into vessels as wide as the weights and as high as cap / weight: the lowest are full first. Needs
    ``units`` ≤ Σ caps of positive weights; then at least one is left open, unless every weight is zero.
    """
    full = [False] * len(weights)
    weight = sum(weights)
    positive = [i for i, w in enumerate(weights) if w]
    keys = ratio_keys([caps[i] for i in positive], [weights[i] for i in positive])
    for _, i in sorted(zip(keys, positive, strict=True)):
        if units * weights[i] < caps[i] * weight or weight == weights[i]:
            break
        full[i] = True
        units -= caps[i]
        weight -= weights[i]
    return Level(units, weight, full)


def ratio_keys(numerators: Sequence[int], denominators: Sequence[int]) -> list[int]:
    """Integers in the order of the ratios: equal for equal ratios, different for different ones.

    Two different fractions with denominators up to d are at least 1/d² apart, so their multiples of d² differ in
    the whole part.
    """
    multiple = max(denominators, default=1) ** 2
    return [n * multiple // d for n, d in zip(numerators, denominators, strict=True)]


def tie_rank(lines: Sequence[Line], ties: Ties, seed: str, statement_id: str) -> list[int]:
    """The position of every line in the tie order the policy names (DESIGN §2 rule 8).

    ``seeded`` orders by HMAC-SHA256 of statement id and account under the statement's seed, so nobody can
    choose the order and anybody can derive it once the seed is revealed. The place of a line in the list
    never matters.
    """
    match ties:
        case Ties.ACCOUNT:
            order = sorted(range(len(lines)), key=lambda i: lines[i].account)
        case Ties.SMALLEST:
            order = sorted(range(len(lines)), key=lambda i: (lines[i].quantity, lines[i].account))
        case Ties.LARGEST:
            order = sorted(range(len(lines)), key=lambda i: (-lines[i].quantity, lines[i].account))
        case Ties.ROTATION:
            order = sorted(range(len(lines)), key=lambda i: (lines[i].turn, lines[i].account))
        case Ties.SEEDED:
            key = bytes.fromhex(seed)
            order = sorted(range(len(lines)), key=lambda i: tie_key(key, statement_id, lines[i].account))
    rank = [0] * len(lines)
    for position, i in enumerate(order):
        rank[i] = position
    return rank


def tie_key(seed: bytes, statement_id: str, account: str) -> bytes:
    """HMAC-SHA256(seed, statement id ‖ "|" ‖ account), the sort key of the seeded tie order."""
    return hmac.digest(seed, f"{statement_id}|{account}".encode(), hashlib.sha256)


def seed_commitment(seed: str) -> str:
    """SHA-256 of the seed's bytes in hex: published at registration, checked when the seed is revealed."""
    return hashlib.sha256(bytes.fromhex(seed)).hexdigest()
