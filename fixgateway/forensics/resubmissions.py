"""Test g, grinding: statements tried again and again until the seed, or the outcome, suited somebody.

A statement that ended without a fill and was followed by another of the same trader, strategy, symbol, side and trade date
counts as one try. Only a blotter that keeps blocks without fills shows them; the gateway's own records do.
"""  # noqa: E501

from __future__ import annotations

import polars as pl

from fixgateway.forensics.data import Review
from fixgateway.forensics.findings import Finding, Verdict

TRIES = 2
"""From so many withdrawn statements before a filled one on, people are told."""
SHOWN = 500
LIMITS = (
    "Only statements that stand in the blotter count; one without blocks that ended unfilled cannot show any.",
    "Orders may end unfilled for good reasons, for example a limit that was never reached.",
)


def run(review: Review) -> list[Finding]:
    """Statements withdrawn and registered again on one day, by trader, strategy, symbol and side."""
    found = repeated(review)
    unfilled = review.blocks.filter(pl.col("filled") == 0).height
    often = found.filter(pl.col("withdrawn") >= TRIES)
    verdict = Verdict.AMBER if often.height else Verdict.GREEN if unfilled else Verdict.INSUFFICIENT
    return [
        Finding(
            id="g/grinding",
            title="Statements withdrawn and registered again",
            verdict=verdict,
            n_blocks=review.blocks.height,
            exact=True,
            seed=review.seed,
            limits=LIMITS,
            details={"unfilled": unfilled, "tries_from": TRIES, "repeated": often.head(SHOWN).to_dicts()},
            power={"text": "every repetition in the blotter is seen", "power": 1.0} if unfilled else None,
            summary=_words(unfilled, often.height),
        )
    ]


def repeated(review: Review) -> pl.DataFrame:
    """Withdrawn statements that came before another one on the day, a row a trader, strategy, symbol and side."""
    when = pl.coalesce("captured_ns", "released_ns")
    keys = ["trade_date", "trader", "strategy", "symbol", "side"]
    empty = pl.col("filled") == 0
    before_another = empty & (when < when.max().over(keys))
    counted = review.blocks.filter(pl.col("intended").is_not_null()).with_columns(before_another.alias("again"))
    return (
        counted.group_by(keys)
        .agg(
            pl.col("again").sum().alias("withdrawn"),
            pl.col("block_id").cast(pl.String).filter(pl.col("again")).sort().alias("blocks"),
        )
        .filter(pl.col("withdrawn") > 0)
        .with_columns(pl.col("trade_date").cast(pl.String))
        .sort(["withdrawn", *keys], descending=[True] + [False] * len(keys))
    )


def _words(unfilled: int, often: int) -> str:
    if not unfilled:
        return "The blotter shows no statement that ended unfilled."
    return f"{unfilled} statements ended unfilled; {often} times one was tried again {TRIES} or more times on a day."
