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

from fixgateway.core.model import Line, Ties


def largest_remainder(units: int, weights: Sequence[int], caps: Sequence[int], rank: Sequence[int]) -> list[int]:
    """Divide ``units`` by ``weights`` without giving anyone more than their cap.

    Args:
        units: whole units to hand out, at most Σ caps.
        weights: non-negative integers, one for each receiver, with a positive sum.
        caps: most units each may receive.
        rank: position of each receiver in the tie order (lower comes first); a permutation of 0..n-1.

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
    while left:
        # One pass almost always suffices; a cap that binds leaves units for another.
        open_ = [i for i, cap in enumerate(caps) if given[i] < cap]
        open_.sort(key=lambda i: (given[i] * total - units * weights[i], rank[i]))
        for i in open_[:left]:
            given[i] += 1
        left = units - sum(given)
    return given


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
