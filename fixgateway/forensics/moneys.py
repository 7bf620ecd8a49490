"""Exact money over many blocks: products of whole numbers with different denominators, added without rounding."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import polars as pl

MANY = 500
"""Denominators that are added as exact fractions; with more, each part is cut at 10^-20 of the currency unit first."""

_CUT = 10**20


def exact_sum(factors: Sequence[npt.NDArray[np.int64]], divisors: Sequence[npt.NDArray[np.int64]]) -> Fraction:
    """Σ over blocks of the product of the factors divided by the product of the divisors."""
    sums: defaultdict[int, int] = defaultdict(int)
    tops = [column.tolist() for column in factors]
    bottoms = [column.tolist() for column in divisors]
    top = tops[0]
    for column in tops[1:]:
        top = [a * b for a, b in zip(top, column, strict=True)]
    bottom = bottoms[0] if bottoms else [1] * len(top)
    for column in bottoms[1:]:
        bottom = [a * b for a, b in zip(bottom, column, strict=True)]
    for a, b in zip(top, bottom, strict=True):
        sums[b] += a
    if len(sums) <= MANY:
        return sum((Fraction(a, b) for b, a in sums.items()), Fraction(0))
    return Fraction(sum(a * _CUT // b for b, a in sums.items()), _CUT)


def by_currency(
    blocks: pl.DataFrame, d: str, den: str | None, price: str, scale: int, to: str = "close"
) -> Mapping[str, Fraction]:
    """Money by currency over ``blocks``: Σ d · what one unit is worth.

    Args:
        blocks: some rows of ``Review.blocks``.
        d: the column of quantities (numerators).
        den: the column of their denominators, None for whole units.
        price: "gain" for s·(to - P), "notional" for P.
        scale: quantity scale x price scale x multiplier scale.
        to: the column of the price to which gains run.
    """
    found: dict[str, Fraction] = {}
    for (currency,), part in blocks.group_by("currency", maintain_order=True):
        some = part.filter(pl.col(d) != 0)
        if price == "gain":
            some = some.filter(pl.col(to).is_not_null())
        names = (d, "price", "price_den", "multiplier", *((den,) if den else ()))
        column = {name: some[name].to_numpy() for name in names}
        factors = [column[d], column["multiplier"]]
        if price == "gain":
            over = [
                s * (c * q - p)
                for s, c, q, p in zip(
                    some["sign"].to_list(), some[to].to_list(), some["price_den"].to_list(), some["price"].to_list(),
                    strict=True,
                )
            ]  # fmt: skip
            factors.append(np.array(over, dtype=object))
        else:
            factors.append(column["price"])
        divisors = [column["price_den"], *((column[den],) if den else ())]
        found[str(currency)] = exact_sum(factors, divisors) / scale
    return found
