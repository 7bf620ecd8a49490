"""Slow, literal apportioners, written from the definitions alone: what the quick ones must agree with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import product


def exact(units: int, weights: Sequence[int]) -> list[Fraction]:
    """Every account's exact share."""
    return [Fraction(units * weight, sum(weights)) for weight in weights]


def error(shares: Sequence[int], wanted: Sequence[Fraction]) -> Fraction:
    """Σ |x - e|."""
    return sum((abs(x - e) for x, e in zip(shares, wanted, strict=True)), Fraction(0))


def vectors(units: int, caps: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Every way to give out ``units`` within the caps."""
    return (x for x in product(*(range(cap + 1) for cap in caps)) if sum(x) == units)


def least_error(units: int, weights: Sequence[int], caps: Sequence[int]) -> Fraction:
    """The least Σ|x - e| over every whole division, by trying all of them."""
    wanted = exact(units, weights)
    return min(error(x, wanted) for x in vectors(units, caps))


def largest_remainder(units: int, weights: Sequence[int], rank: Sequence[int]) -> list[int]:
    """Hamilton: the floors, and the rest one each by size of the fraction, ties by rank."""
    wanted = exact(units, weights)
    given = [int(e) for e in wanted]
    order = sorted(range(len(weights)), key=lambda i: (given[i] - wanted[i], rank[i]))
    for i in order[: units - sum(given)]:
        given[i] += 1
    return given


def quota_method(units: int, weights: Sequence[int], rank: Sequence[int]) -> Iterator[list[int]]:
    """Balinski and Young, step by step: the states after 0, 1, … ``units`` units.

    Unit h goes to the largest w / (x + 1) among those below their upper quota, x < h·w / W.
    """
    total, x = sum(weights), [0] * len(weights)
    yield x[:]
    for h in range(1, units + 1):
        eligible = [i for i, w in enumerate(weights) if x[i] < Fraction(h * w, total)]
        best = max(eligible, key=lambda i: (Fraction(weights[i], x[i] + 1), -rank[i]))
        x[best] += 1
        yield x[:]


def poured(fill: int, weights: Sequence[int], caps: Sequence[int], active: set[int]) -> dict[int, Fraction]:
    """Exact shares under caps: whoever would get more than the cap gets the cap, and the rest is poured again."""
    full: set[int] = set()
    while True:
        rest = fill - sum(caps[i] for i in full)
        weight = sum(weights[i] for i in active - full)
        share = {i: Fraction(rest * weights[i], weight) for i in active - full} if weight else {}
        over = {i for i, e in share.items() if e > caps[i]}
        if not over:
            return share | {i: Fraction(caps[i]) for i in full}
        full |= over


def with_minimums(
    fill: int, weights: Sequence[int], caps: Sequence[int], minimums: Sequence[int]
) -> tuple[dict[int, Fraction], dict[int, Fraction]]:
    """Exact shares of those who are kept, and of the excluded when they were: one exclusion at a time."""
    active = set(range(len(weights)))
    dropped: dict[int, Fraction] = {}
    while True:
        share = poured(fill, weights, caps, active)
        below = {i for i in active if share[i] < minimums[i]}
        if not below:
            return share, dropped
        smallest = min(share[i] for i in below)
        group = {i for i in below if share[i] == smallest}
        if group == active or sum(caps[i] for i in active - group) < fill:
            return share, dropped
        dropped |= {i: share[i] for i in group}
        active -= group
