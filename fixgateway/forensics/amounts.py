"""Exact money and the conditions several tests share: what a deviation earned, whose exception was approved."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import polars as pl

from fixgateway.forensics import moneys
from fixgateway.forensics.data import Review
from fixgateway.forensics.findings import BPS


def approved(review: Review) -> pl.Expr:
    """Whether a block's exception is an approved one: a code, and a second person's approval (late or not: test c).

    With a list of codes in the plan the code must be on it. Where the file has no column for the approver, only such a
    list can make a code an approved one.
    """
    codes = review.plan.codes
    known = pl.col("exception_code") != ""
    if codes is not None:
        known &= pl.col("exception_code").is_in(sorted(codes))
    if review.has("exception_approver"):
        known &= (pl.col("exception_approver") != "") & (pl.col("exception_approver") != pl.col("trader"))
        return known & pl.col("approved_ns").is_not_null() if review.has("exception_approved_at") else known
    return known if codes is not None else pl.lit(False)


def earned(review: Review, blocks: pl.DataFrame, column: str) -> dict[str, Fraction]:
    """What a column of deviations (numerators over ``den``) earned by the close, exactly, by currency.

    Blocks without a price or a close are left out.
    """
    known = blocks.filter(pl.col("close").is_not_null() & pl.col("price").is_not_null())
    return dict(sorted(moneys.by_currency(known, column, "den", "gain", scale(review)).items()))


def named(review: Review, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with the ``account`` of each index ``a``."""
    names = pl.Series("account", review.accounts, dtype=pl.String)
    return rows.with_columns(names.gather(rows["a"]).alias("account"))


def gained(review: Review, blocks: pl.DataFrame, amounts: Mapping[str, Fraction]) -> dict[str, Any]:
    """A finding's money fields: amounts by currency and, where there is one currency, the benefit and its basis points.

    Basis points are of what the union of the groups was allocated in ``blocks``.
    """
    names = review.currencies
    if len(names) != 1:
        return {"benefits": amounts}
    (currency,) = names
    benefit = amounts.get(currency, Fraction(0))
    fields: dict[str, Any] = {"benefits": {currency: benefit}, "benefit": benefit, "currency": currency}
    if "x_union" in blocks.columns:
        priced = blocks.filter(pl.col("price").is_not_null())
        notional = moneys.by_currency(priced, "x_union", None, "notional", scale(review)).get(currency)
        fields["benefit_bps"] = float(benefit / notional * BPS) if notional else None
    return fields


def scale(review: Review) -> int:
    """What products of quantity, price and multiplier are divided by to be money."""
    return review.quantity_scale * review.price_scale * review.multiplier_scale


def units(review: Review, numerator: int, den: int = 1) -> str:
    """A quantity as exact plain text: whole, decimal, or a fraction ``50000/3``."""
    value = Fraction(numerator, den * review.quantity_scale)
    if value.denominator == 1:
        return str(value.numerator)
    rest = value.denominator
    for factor in (2, 5):
        while rest % factor == 0:
            rest //= factor
    if rest != 1:
        return f"{value.numerator}/{value.denominator}"
    places = next(n for n in range(1, 400) if 10**n % value.denominator == 0)
    whole = abs(value.numerator) * 10**places // value.denominator
    sign = "-" if value < 0 else ""
    return f"{sign}{whole // 10**places}.{whole % 10**places:0{places}d}"
