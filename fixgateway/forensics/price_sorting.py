"""Test g, price sorting: inside a block every account gets the block's average price, without any statistics.

Methods that give accounts prices of their own by rule (high-low, minimum dispersion) are listed, not counted.
"""

from __future__ import annotations

from fractions import Fraction

import polars as pl

from fixgateway.forensics import moneys
from fixgateway.forensics.amounts import approved, gained
from fixgateway.forensics.data import Review
from fixgateway.forensics.findings import Finding, Verdict, money

OWN_PRICES = ("high-low", "min-dispersion", "minimum-dispersion")
"""Methods whose rule, not a person, gives each account fills of its own price."""
LISTED = 500
"""Blocks that are listed; the count is of all."""
_LIMITS = (
    "No chance is involved: one block with two prices is enough.",
    "Prices that differ only because each account's was rounded by itself are counted too; round the block's once.",
)


def run(review: Review) -> list[Finding]:
    """Blocks whose accounts have different prices, and what the union of the groups gained by it."""
    blocks = review.blocks.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias("b"))
    sorted_ = blocks.filter(~pl.col("one_price"))
    by_rule = sorted_.filter(pl.col("method").is_in(OWN_PRICES))
    breaches = sorted_.filter(~pl.col("method").is_in(OWN_PRICES)).with_columns(approved(review).alias("approved"))
    open_ = breaches.filter(~pl.col("approved")).height
    verdict = Verdict.RED if open_ else Verdict.AMBER if breaches.height else Verdict.GREEN
    by_group = {name: _gained(review, breaches, name) for name in review.groups}
    return [
        Finding(
            id="g/price-sorting",
            title="Price sorting inside blocks",
            verdict=verdict if blocks.height else Verdict.INSUFFICIENT,
            n_blocks=blocks.height,
            exact=True,
            **gained(review, breaches, by_group.get("union", {})),
            limits=_LIMITS,
            details={
                "blocks_with_several_prices": breaches.height,
                "without_approved_exception": open_,
                "prices_by_method": by_rule.height,
                "gained_by_group": {
                    name: {cur: money(amount) for cur, amount in sums.items()} for name, sums in by_group.items()
                },
                "blocks": breaches.head(LISTED)
                .select("block_id", pl.col("trade_date").cast(pl.String), "symbol", "side", "approved")
                .to_dicts(),
            },
            power={"text": "every block with two prices is seen, whatever the amount", "power": 1.0},
            primary=True,
            summary=_words(blocks.height, breaches.height, open_),
        )
    ]


def _words(blocks: int, breaches: int, open_: int) -> str:
    if not breaches:
        return f"In each of {blocks} blocks all accounts have the same price."
    return (
        f"In {breaches} of {blocks} blocks accounts have different prices; "
        f"{open_} of them without an approved exception."
    )


def _gained(review: Review, breaches: pl.DataFrame, group: str) -> dict[str, Fraction]:
    """What the group gained because its prices were not the block's average, by currency."""
    column = f"g_{group}"
    if not breaches.height or column not in review.rows.columns:
        return {}
    rows = (
        review.rows.filter(pl.col(column) & pl.col("price").is_not_null())
        .select("b", "alloc", pl.col("price").alias("own"))
        .join(breaches.select("b", "sign", "multiplier", "currency", "price", "price_den"), on="b")
    )
    scale = review.quantity_scale * review.price_scale * review.multiplier_scale
    lost = moneys.by_currency(rows, "alloc", None, "gain", scale, to="own")
    return {currency: -amount for currency, amount in sorted(lost.items())}
